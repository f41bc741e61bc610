from __future__ import annotations

from collections import Counter

import pytest

from auto_interventions.confirming import ConfirmState, confirm_round, next_round, plan_confirmation
from auto_interventions.confirming import plan as planning
from auto_interventions.confirming.evidence import validated
from auto_interventions.fingerprint import generator
from auto_interventions.subjects.base import Request

from .worlds import World, bank, config, explored, hypotheses


def test_every_prompt_once_from_sample_zero_in_random_order() -> None:
    plan = plan_confirmation(bank(90), 0, 40, config()).backbone
    assert len({request.prompt.id for request in plan}) == len(plan) == 90
    assert {request.first_sample for request in plan} == {0}
    assert [request.prompt for request in plan] != bank(90)
    first = Counter(request.prompt.stratum for request in plan[:45])
    assert max(first.values()) < 25


def test_order_depends_on_the_seed_alone() -> None:
    plan = plan_confirmation(bank(50), 0, 10, config())
    assert plan == plan_confirmation(bank(50)[::-1], 0, 10, config())
    assert plan != plan_confirmation(bank(50), 0, 10, config(seed=1))


def test_live_models_are_asked_as_often_as_the_smallest_effect_needs() -> None:
    pairs = {
        effect: sum(request.samples for request in plan_confirmation(bank(400), 0, 40, config({"smallest_effect": effect})).backbone)
        for effect in (0.2, 0.05)
    }
    assert 400 <= pairs[0.2] <= 800
    assert 1200 <= pairs[0.05] <= 4000


def test_budget_is_a_cap() -> None:
    plan = plan_confirmation(bank(400), 300, 40, config(max_texts=700)).backbone
    assert sum(request.samples for request in plan) == 200
    assert len(plan) == 200  # more prompts before more samples
    assert plan_confirmation(bank(400), 700, 40, config(max_texts=700)).backbone == ()
    assert plan_confirmation(bank(3), 0, 0, config()).backbone == ()
    assert plan_confirmation([], 0, 5, config()).backbone == ()


def test_recorded_texts_are_all_used() -> None:
    capacity = {prompt.id: number % 4 for number, prompt in enumerate(bank(40))}
    plan = plan_confirmation(bank(40), 0, 5, config(), capacity).backbone
    assert {request.prompt.id: request.samples for request in plan} == {key: value for key, value in capacity.items() if value}
    capped = plan_confirmation(bank(40), 0, 5, config(max_texts=40), capacity).backbone
    assert sum(request.samples for request in capped) <= 20


def test_rounds_slice_the_plan() -> None:
    settings = config(per_round=40)
    plan = plan_confirmation(bank(90), 0, 40, settings)
    world = World(generator("test-plan", "slices"), (0.0,) * 3)
    state = ConfirmState.start(hypotheses(3), len(plan.backbone))
    seen: list[Request] = []
    while requests := next_round(plan, state, explored(), settings).requests:
        assert len(requests) == 1 or sum(request.samples for request in requests) <= 20
        seen += requests
        state = confirm_round(state, *world.round(requests))
    assert tuple(seen) == plan.backbone


def test_a_sentence_on_its_way_gets_more_samples_while_it_keeps_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going on finds what the plan alone leaves open; where nothing differs it rarely goes on, and finds nothing."""
    settings = config(per_round=60, max_texts=4000)

    def end(rise: float, simulation: int, more: float) -> tuple[int, bool]:
        monkeypatch.setattr(planning, "_MOST_MORE", more)
        world = World(generator("test-plan", "on its way", simulation), (rise, *(0.0,) * 9))
        plan = plan_confirmation(bank(90), 0, 10, config({"smallest_effect": 0.2}))
        state = ConfirmState.start(hypotheses(10), len(plan.backbone), {"a": 30, "b": 30, "c": 30})
        while (round := next_round(plan, state, explored(), settings)).requests:
            state = confirm_round(state, *world.round(round.requests), backbone_pairs=round.backbone_pairs)
        return len(state.pairs), bool(validated(state, explored(), 0.05)[0])

    found = {more: sum(end(0.06, simulation, more)[1] for simulation in range(8)) for more in (0.0, 1.0)}
    assert found[1.0] > found[0.0]
    quiet = {more: [end(0.0, simulation, more) for simulation in range(8)] for more in (0.0, 1.0)}
    assert not any(told for _, told in quiet[1.0])
    assert sum(pairs for pairs, _ in quiet[1.0]) <= 1.5 * sum(pairs for pairs, _ in quiet[0.0])


def test_exhaustive_asks_all_at_once() -> None:
    settings = config(per_round=40, strategy="exhaustive", max_texts=900)
    plan = plan_confirmation(bank(90), 0, 3, settings)
    whole = next_round(plan, ConfirmState.start(hypotheses(3), len(plan.backbone)), explored(), settings)
    assert whole.requests == list(plan.backbone)
    assert sum(request.samples for request in whole.requests) == 450
    uneven = plan_confirmation(bank(90), 0, 3, config(strategy="exhaustive", max_texts=1000))
    assert sum(request.samples for request in uneven.backbone) == 500
    assert {request.samples for request in uneven.backbone} == {5, 6}
