from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.confirming import ConfirmState, confirm_round, next_round, plan_confirmation, validated, why_stop_confirming
from auto_interventions.fingerprint import generator
from auto_interventions.inference import Wealth

from .worlds import World, bank, config, explored, hypotheses

CONFIG = config(per_round=80)
ALPHA = CONFIG.inference.alpha


def confirmed(name: str, rises: tuple[float, ...], prompts: int = 120, capacity: int = 2, base: float = 0.1) -> list[ConfirmState]:
    """The states after each round."""
    world = World(generator("test-confirm", name), rises, base)
    plan = plan_confirmation(bank(prompts), 0, len(rises), CONFIG, {prompt.id: capacity for prompt in bank(prompts)})
    state = ConfirmState.start(hypotheses(len(rises)), len(plan.backbone))
    states: list[ConfirmState] = []
    while requests := next_round(plan, state, explored(), CONFIG).requests:
        state = confirm_round(state, *world.round(requests))
        states.append(state)
    return states


def test_under_the_global_null_nothing_is_validated_at_any_look() -> None:
    """200 confirmations of 20 dependent sentences on prompts that differ, two samples each: P(anything ever validated) ≤ α."""
    wrong = [any(validated(state, explored(), ALPHA).any() for state in confirmed(f"null {number}", (0.0,) * 20)) for number in range(200)]
    assert np.mean(wrong) <= ALPHA + 2.5 * np.sqrt(ALPHA * (1 - ALPHA) / 200)


def test_false_discovery_rate_and_power_where_some_differ() -> None:
    """4 of 24 sentences differ, one of them reversed; stops at the first look that validates anything (the worst for a fixed-n test)."""
    rises = (0.4, 0.4, 0.3, -0.9, *(0.0,) * 20)
    proportions, first, last = [], [], []
    for number in range(60):
        states = confirmed(f"some {number}", rises, base=0.25)
        looks = [validated(state, explored(), ALPHA) for state in states]
        stop = next((look for look in looks if look.any()), looks[-1])
        proportions.append(stop[4:].sum() / max(stop.sum(), 1))
        first.append(stop[:4].any())
        last.append(looks[-1][:4])
    assert np.mean(proportions) <= ALPHA + 3 * np.std(proportions) / np.sqrt(60)
    assert np.mean(first) > 0.95
    assert np.mean(last, axis=0).min() > 0.8


def test_intervals_cover_where_prompts_differ() -> None:
    """The rise averages 0.3 · (1 − rate) over prompts; samples of a prompt are dependent, the interval is not fooled."""
    missed = 0
    for number in range(100):
        effect = confirmed(f"cover {number}", (0.3,), capacity=3)[-1].effect(0, ALPHA)
        missed += not effect.interval[0] <= 0.27 <= effect.interval[1]
    assert missed / 100 <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 100)


def test_evidence_is_the_bet_on_each_pair_in_any_rounds() -> None:
    world = World(generator("test-confirm", "rounds"), (0.5, 0.0))
    plan = plan_confirmation(bank(30), 0, 2, CONFIG, {prompt.id: 2 for prompt in bank(30)})
    pairs, base, intervention = world.round(list(plan.backbone))
    once = confirm_round(ConfirmState.start(hypotheses(2), 30), pairs, base, intervention)
    half = len(pairs) // 2
    twice = confirm_round(ConfirmState.start(hypotheses(2), 30), pairs[:half], base[:, :half], intervention[:, :half])
    twice = confirm_round(twice, pairs[half:], base[:, half:], intervention[:, half:])
    np.testing.assert_allclose(once.log_e, twice.log_e)
    assert once.log_e[0] == pytest.approx(Wealth.start(two_sided=True).bet((intervention - base)[0].astype(float)).log_e)
    assert (once.prompts, twice.prompts, twice.rounds, len(twice.pairs)) == (30, 30, 2, 60)
    assert once.effect(0, ALPHA) == twice.effect(0, ALPHA)


def test_abstentions_are_no_bet_and_no_effect() -> None:
    world = World(generator("test-confirm", "abstain"), (0.5,))
    plan = plan_confirmation(bank(30), 0, 1, CONFIG, {prompt.id: 1 for prompt in bank(30)})
    pairs, base, intervention = world.round(list(plan.backbone))
    base[0, :10] = np.nan
    intervention[0, 20:] = np.nan
    state = confirm_round(ConfirmState.start(hypotheses(1), 30), pairs, base, intervention)
    assert state.log_e[0] == pytest.approx(Wealth.start(two_sided=True).bet((intervention - base)[0, 10:20].astype(float)).log_e)
    assert state.effect(0, ALPHA).prompts == 10


def test_bad_input() -> None:
    plan = plan_confirmation(bank(5), 0, 1, CONFIG, {prompt.id: 1 for prompt in bank(5)})
    pairs, base, intervention = World(generator("test-confirm", "bad"), (0.0,)).round(list(plan.backbone))
    start = ConfirmState.start(hypotheses(1), 5)
    with pytest.raises(ValueError, match="shape"):
        confirm_round(start, pairs, base[:, :2], intervention)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        confirm_round(start, pairs, base + 1.5, intervention)
    once = confirm_round(start, pairs, base, intervention)
    with pytest.raises(ValueError, match="judged before"):
        confirm_round(once, pairs, base, intervention)
    with pytest.raises(ValueError, match="judged before"):
        confirm_round(start, [*pairs, pairs[0]], np.zeros((1, 6), dtype=np.float32), np.zeros((1, 6), dtype=np.float32))


def test_it_stops_early_only_when_all_is_decided() -> None:
    wide = config({"smallest_effect": 0.2}, per_round=80)
    clear = confirmed("clear", (0.6, 0.0), prompts=400, capacity=1)
    ends = [why_stop_confirming(state, explored(), wide) for state in clear]
    assert ends[0] is None
    early = next(number for number, end in enumerate(ends) if end is not None)
    assert early < len(clear) - 2
    assert "decided" in str(ends[early])
    assert list(validated(clear[early], explored(), ALPHA)) == [True, False]
    assert why_stop_confirming(clear[-2], explored(), config({"smallest_effect": 0.001})) is None
    assert "no hypothesis" in str(why_stop_confirming(ConfirmState.start([], 0), explored(), wide))
    assert "planned" in str(why_stop_confirming(clear[0], explored(), wide, exhausted=True))
