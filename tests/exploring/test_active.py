"""All rules of allocation: each goes where it should, still looks everywhere, and asks nothing twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from auto_interventions.config import AuditConfig, InferenceConfig
from auto_interventions.exploring import Active, Allocation, Boundary, Divergence, RoundBatch, RoundState, Uniform, allocation_of, run_round
from auto_interventions.exploring.divergence import expected_growth, retired
from auto_interventions.records import Prompt

from .audits import STRATA, World, bank, config

RULES: tuple[Allocation, ...] = (Active(), Boundary(), Divergence(), Uniform())


def experienced(where: tuple[str, ...], shift: float = 1.0, rounds: int = 3) -> RoundState:
    """A state after rounds in which the models differed in the strata `where`, and texts of "small" lay on the borders."""
    world = World(np.random.default_rng(3), shift=shift, where=where)
    state = RoundState.start(STRATA)
    for number in range(rounds):
        batch = world.batch(bank(), 1, first=number)
        near = np.array([0.9 if pair.prompt.stratum == "small" else 0.1 for pair in batch.pairs])
        state = run_round(state, RoundBatch(batch.pairs, batch.differences, boundary=near), config())
    return state


def counted(rule: Allocation, state: RoundState, pairs: int, settings: AuditConfig) -> Counter[str]:
    """Pairs by stratum over ten plans."""
    counts: Counter[str] = Counter()
    for seed in range(10):
        for request in rule.allocate(replace(state, seed=seed), bank(), pairs, settings):
            counts[request.prompt.stratum] += request.samples
    return counts


def test_the_config_chooses() -> None:
    chosen = {strategy: type(allocation_of(config(strategy=strategy))) for strategy in ("active", "boundary", "divergence", "uniform")}
    assert chosen == {"active": Active, "boundary": Boundary, "divergence": Divergence, "uniform": Uniform}
    assert isinstance(allocation_of(config()), Active)
    assert isinstance(allocation_of(config(strategy="exhaustive")), Uniform)


@pytest.mark.parametrize("rule", RULES)
def test_before_any_bet_it_is_uniform(rule: Allocation) -> None:
    state = RoundState.start(STRATA)
    assert rule.allocate(state, bank(), 50, config()) == Uniform().allocate(state, bank(), 50, config())


@pytest.mark.parametrize("rule", [Active(), Divergence()])
def test_it_goes_where_the_models_differ(rule: Allocation) -> None:
    # An alpha so small that nothing is decided yet: a decided stratum would be left alone.
    strict = config().model_copy(update={"inference": InferenceConfig(alpha=1e-200)})
    counts = counted(rule, experienced(("middle",), shift=2.0), 60, strict)
    fair = 60 * 10 * 30 / 104
    assert counts["middle"] > 1.3 * fair
    assert min(counts[name] for name in ("large", "small")) > 0


@pytest.mark.parametrize("rule", [Active(), Boundary()])
def test_it_goes_to_prompts_whose_texts_lie_on_borders(rule: Allocation) -> None:
    counts = counted(rule, experienced((), shift=0.0), 60, config())
    assert counts["small"] > 1.15 * 60 * 10 * 12 / 104
    assert counts["large"] > 0


def test_inside_a_stratum_the_prompts_that_pay_come_first() -> None:
    state = experienced(("large",), shift=1.0)
    chosen = [prompt for prompt in bank() if prompt.stratum == "large"][:6]
    rich = {prompt.id: (20, 12.0, 10.0) for prompt in chosen}
    state = replace(state, payoffs={**state.payoffs, **rich})
    strict = config().model_copy(update={"inference": InferenceConfig(alpha=1e-200)})
    asked: Counter[str] = Counter()
    for seed in range(10):
        for request in Divergence().allocate(replace(state, seed=seed), bank(), 40, strict):
            asked[request.prompt.id] += request.samples
    mine = np.mean([asked[prompt.id] for prompt in chosen])
    others = np.mean([asked[prompt.id] for prompt in bank() if prompt.stratum == "large" and prompt not in chosen])
    assert mine > 1.3 * others


def test_decided_strata_get_less() -> None:
    state = experienced(STRATA, shift=4.0)
    decided = list(state.divergent(0.05))
    strict = config().model_copy(update={"inference": InferenceConfig(alpha=1e-200)})
    assert decided
    np.testing.assert_allclose(expected_growth(state, config())[decided], 0.2 * expected_growth(state, strict)[decided])


def test_quiet_strata_are_retired_and_only_they() -> None:
    state = experienced(("middle",), shift=2.0, rounds=12)
    quiet = dict(zip(state.strata, retired(state, config()).tolist(), strict=True))
    assert not quiet["middle"]
    assert not quiet["tiny"], "24 pairs are too few to say that nothing of 5 points shows"
    nothing = retired(experienced((), shift=0.0, rounds=12), config())
    assert nothing[0]
    assert not expected_growth(experienced((), shift=0.0, rounds=12), config())[nothing].any()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pairs", [1, 7, 60, 300])
def test_it_draws_what_was_asked_and_nothing_twice(rule: Allocation, pairs: int) -> None:
    state = experienced(("large", "small"))
    requests = rule.allocate(state, bank(), pairs, config())
    assert sum(request.samples for request in requests) == pairs
    assert len({request.prompt.id for request in requests}) == len(requests)
    assert all(request.first_sample == state.drawn[request.prompt.id] for request in requests)


@pytest.mark.parametrize("rule", RULES)
def test_recorded_texts_run_dry(rule: Allocation) -> None:
    state = experienced(("tiny",))
    capacity = {prompt.id: 4 for prompt in bank()}
    requests = rule.allocate(state, bank(), 1000, config(), capacity)
    assert all(request.first_sample + request.samples <= 4 for request in requests)
    assert sum(request.samples for request in requests) == len(bank()), "three of four samples of each prompt were drawn before"


@pytest.mark.parametrize("rule", RULES)
def test_the_same_state_asks_the_same(rule: Allocation) -> None:
    state = experienced(("large",))
    assert rule.allocate(state, bank(), 40, config()) == rule.allocate(state, bank(), 40, config())


def test_more_strata_than_pairs() -> None:
    many = [Prompt(f"p{number}", f"s{number:03}") for number in range(400)]
    state = RoundState.start(sorted({prompt.stratum for prompt in many}))
    requests = Uniform().allocate(state, many, 100, config())
    assert len(requests) == 100
    places = sorted(int(request.prompt.text[1:]) for request in requests)
    assert max(np.diff(places)) <= 40, "spread over all strata, not the first hundred"
