"""Active allocation goes where the evidence grows, still looks everywhere, and asks nothing twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from auto_interventions.config import InferenceConfig
from auto_interventions.exploring import Active, RoundState, Uniform, allocation_of, run_round
from auto_interventions.exploring.active import expected_growth

from .audits import STRATA, World, bank, config


def experienced(where: tuple[str, ...], shift: float = 1.0) -> RoundState:
    """A state after rounds in which the models differed in the strata `where`."""
    world = World(np.random.default_rng(3), shift=shift, where=where)
    state = RoundState.start(STRATA)
    for number in range(3):
        state = run_round(state, world.batch(bank(), 1, first=number), config())
    return state


def test_the_config_chooses() -> None:
    assert isinstance(allocation_of(config()), Active)
    assert isinstance(allocation_of(config(strategy="uniform")), Uniform)


def test_before_any_bet_it_is_uniform() -> None:
    state = RoundState.start(STRATA)
    assert Active().allocate(state, bank(), 50, config()) == Uniform().allocate(state, bank(), 50, config())


def test_it_goes_where_the_models_differ() -> None:
    # An alpha so small that nothing is decided yet: a decided stratum would be left alone.
    strict = config().model_copy(update={"inference": InferenceConfig(alpha=1e-200)})
    state = experienced(("middle",), shift=2.0)
    counts: Counter[str] = Counter()
    for seed in range(10):
        for request in Active().allocate(replace(state, seed=seed), bank(), 60, strict):
            counts[request.prompt.stratum] += request.samples
    fair = 60 * 10 * 30 / 104
    assert counts["middle"] > 1.3 * fair
    assert min(counts[name] for name in ("large", "small")) > 0


def test_decided_strata_get_no_extra() -> None:
    state = experienced(STRATA, shift=4.0)
    decided = state.divergent(0.05)
    assert decided
    assert not expected_growth(state, config())[list(decided)].any()


@pytest.mark.parametrize("pairs", [1, 7, 60, 300])
def test_it_draws_what_was_asked_and_nothing_twice(pairs: int) -> None:
    state = experienced(("large", "small"))
    requests = Active().allocate(state, bank(), pairs, config())
    assert sum(request.samples for request in requests) == pairs
    assert len({request.prompt.id for request in requests}) == len(requests)
    assert all(request.first_sample == state.drawn[request.prompt.id] for request in requests)


def test_recorded_texts_run_dry() -> None:
    state = experienced(("tiny",))
    capacity = {prompt.id: 4 for prompt in bank()}
    requests = Active().allocate(state, bank(), 1000, config(), capacity)
    assert all(request.first_sample + request.samples <= 4 for request in requests)
    assert sum(request.samples for request in requests) == len(bank()), "three of four samples of each prompt were drawn before"


def test_the_same_state_asks_the_same() -> None:
    state = experienced(("large",))
    assert Active().allocate(state, bank(), 40, config()) == Active().allocate(state, bank(), 40, config())
