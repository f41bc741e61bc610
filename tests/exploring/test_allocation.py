from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from auto_interventions.exploring import RoundState, Uniform, pairs_wanted
from auto_interventions.records import RoundEvidence
from auto_interventions.subjects.base import Request

from .audits import SIZES, STRATA, bank, config


def drawn(requests: list[Request]) -> int:
    return sum(request.samples for request in requests)


def after(state: RoundState, requests: list[Request]) -> RoundState:
    counts = {request.prompt.id: request.first_sample + request.samples for request in requests}
    return replace(state, drawn={**state.drawn, **counts})


def test_every_stratum_gets_its_share_of_any_round() -> None:
    requests = Uniform().allocate(RoundState.start(STRATA), bank(), 52, config())
    counts = Counter(request.prompt.stratum for request in requests)
    assert drawn(requests) == 52
    for stratum, size in zip(STRATA, SIZES, strict=True):
        assert abs(counts[stratum] - size / 2) <= 1


def test_prompts_come_without_replacement_then_their_next_samples() -> None:
    state, settings, seen = RoundState.start(STRATA), config(), set()
    for _ in range(4):
        requests = Uniform().allocate(state, bank(), 26, settings)
        assert all(request.first_sample == 0 and request.samples == 1 for request in requests)
        assert not seen & {request.prompt.id for request in requests}
        seen |= {request.prompt.id for request in requests}
        state = after(state, requests)
    assert len(seen) == sum(SIZES)
    assert {request.first_sample for request in Uniform().allocate(state, bank(), 26, settings)} == {1}


def test_more_pairs_than_prompts_go_round_again() -> None:
    requests = Uniform().allocate(RoundState.start(STRATA), bank(), 250, config())
    assert drawn(requests) == 250
    assert {request.samples for request in requests} == {2, 3}
    assert len({request.prompt.id for request in requests}) == len(requests)


def test_samples_per_prompt() -> None:
    requests = Uniform().allocate(RoundState.start(STRATA), bank(), 11, config(samples_per_prompt=4))
    assert [request.samples for request in requests] == [4, 4, 3] or sorted(request.samples for request in requests) == [3, 4, 4]


def test_recorded_texts_run_dry() -> None:
    prompts = bank()[:3]
    capacity = {prompts[0].id: 2, prompts[1].id: 0, prompts[2].id: 1}
    state = RoundState.start(STRATA)
    requests = Uniform().allocate(state, prompts, 10, config(), capacity)
    assert {request.prompt.id: request.samples for request in requests} == {prompts[0].id: 2, prompts[2].id: 1}
    assert Uniform().allocate(after(state, requests), prompts, 10, config(), capacity) == []
    assert Uniform().allocate(state, [], 10, config()) == []
    assert Uniform().allocate(state, prompts, 0, config()) == []


def test_deterministic_in_any_order_of_the_bank_and_moved_by_the_seed() -> None:
    state = RoundState.start(STRATA)
    one = Uniform().allocate(state, bank(), 30, config())
    assert one == Uniform().allocate(state, bank()[::-1], 30, config())
    assert one != Uniform().allocate(state, bank(), 30, config(seed=1))


@pytest.mark.parametrize(("texts", "rounds", "wanted"), [(0, 0, 100), (200, 1, 50), (460, 2, 20), (500, 3, 0), (520, 3, 0)])
def test_budget_of_a_round(texts: int, rounds: int, wanted: int) -> None:
    history = (RoundEvidence(1, 0, 0.0, (), (), 0.5, 1.0),) * rounds
    state = replace(RoundState.start(STRATA), texts=texts, history=history)
    assert pairs_wanted(state, config(max_texts=1000, initial=200, per_round=100)) == wanted
