"""Focused pairs find what is narrow sooner, and change neither error rates nor the meaning of intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auto_interventions.confirming import ConfirmState, confirm_round, next_round, plan_confirmation, validated, why_stop_confirming
from auto_interventions.confirming.focus import beliefs_of, focus_of, local_stakes, reach_in_places, shares_of, starting_wealth, support_of
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import betting_grid, log_e_values
from auto_interventions.subjects.base import Request

from .worlds import World, bank, config, explored, hypotheses

STRATA = tuple(f"s{number}" for number in range(20))
POOL = dict.fromkeys(STRATA, 10)
ALPHA = 0.05


def audits(
    name: str, count: int, rises: tuple[float, ...], where: tuple[str, ...], base: float, strategy: str = "active"
) -> list[list[ConfirmState]]:
    """Confirmations on 20 strata of ten prompts; exploring saw `explored_pairs` a stratum, drawn from the same world."""
    settings = config(per_round=120, max_texts=1600, strategy=strategy)
    runs: list[list[ConfirmState]] = []
    for number in range(count):
        world = World(generator("test-focus", name, number), rises, base, where)
        plan = plan_confirmation(bank(200, STRATA), 0, len(rises), settings)
        seen = _explored(world, len(rises))
        state = ConfirmState.start(hypotheses(len(rises)), len(plan.backbone), POOL, seen)
        states: list[ConfirmState] = []
        while (round := next_round(plan, state, explored(), settings)).requests:
            state = confirm_round(state, *world.round(round.requests), round.backbone_pairs)
            states.append(state)
        runs.append(states)
    return runs


def _explored(world: World, sentences: int) -> np.ndarray:
    rise = np.array(world.rises)[:, None] * np.array([name in world.where for name in STRATA])
    pairs = 12
    gained = world.random.binomial(pairs, np.clip(world.base + rise, 0, 1)) - world.random.binomial(
        pairs, world.base, (sentences, len(STRATA))
    )
    return np.stack([np.full(gained.shape, float(pairs)), gained, np.abs(gained) + 1.0], axis=-1)


def test_a_narrow_change_is_validated_with_fewer_texts() -> None:
    rises, where = (0.5, *(0.0,) * 15), STRATA[:2]
    needed: dict[str, list[int]] = {}
    for strategy in ("active", "uniform"):
        runs = audits("narrow", 12, rises, where, 0.02, strategy)
        looks = [[len(state.pairs) for state in states if validated(state, explored(), ALPHA)[0]] for states in runs]
        needed[strategy] = [look[0] if look else 2000 for look in looks]
    assert np.median(needed["active"]) < 0.6 * np.median(needed["uniform"])


def test_focused_looks_keep_the_error_rate() -> None:
    wrong = [any(validated(state, explored(), ALPHA).any() for state in states) for states in audits("null", 80, (0.0,) * 12, STRATA, 0.15)]
    assert np.mean(wrong) <= ALPHA + 2.5 * np.sqrt(ALPHA * (1 - ALPHA) / 80)


def test_intervals_mean_the_pool_although_narrow_strata_were_asked_more() -> None:
    """A rise of 0.5·(1 − rate) in 2 of 20 strata is 0.049 over the pool; prompts asked more often do not count more."""
    missed, points, focused = 0, [], []
    for states in audits("cover", 50, (0.5, *(0.0,) * 5), STRATA[:2], 0.02):
        effect = states[-1].effect(0, ALPHA)
        missed += not effect.interval[0] <= 0.049 <= effect.interval[1]
        points.append(effect.difference)
        focused.append((~states[-1].backbone).mean())
    assert np.mean(focused) > 0.05
    assert missed / 50 <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 50)
    assert abs(np.mean(points) - 0.049) < 0.01


def test_nothing_is_asked_twice_and_recorded_texts_are_kept_for_the_backbone() -> None:
    settings = config(per_round=60, max_texts=400)
    capacity = {prompt.id: 3 for prompt in bank(200, STRATA)}
    world = World(generator("test-focus", "recorded"), (0.6, 0.0), 0.02, STRATA[:1])
    plan = replace(plan_confirmation(bank(200, STRATA), 0, 2, settings, capacity), pairs=600)
    state = ConfirmState.start(hypotheses(2), len(plan.backbone), POOL, _explored(world, 2))
    while (round := next_round(plan, state, explored(), settings)).requests:
        state = confirm_round(state, *world.round(round.requests), round.backbone_pairs)
    assert max(state.drawn.values()) <= 3
    assert state.backbone_prompts == 200


def test_shares_add_up_and_favour_what_exploring_showed() -> None:
    some = [replace(one, evidence=value) for one, value in zip(hypotheses(4), (0.0, 3.0, 9.0, 40.0), strict=True)]
    shares = shares_of(some)
    assert shares.sum() == pytest.approx(1.0)
    assert list(np.argsort(shares, kind="stable")) == [0, 1, 2, 3]
    assert shares.min() >= 0.3 / 4
    np.testing.assert_allclose(shares_of(hypotheses(5)), 0.2)
    assert shares_of([]).shape == (0,)


def test_a_measure_of_form_pays_for_fewer_rivals() -> None:
    word, measure = (replace(hypotheses(1)[0], statement=name, source=name, evidence=5.0) for name in ("lexical", "format"))
    assert shares_of([word, measure])[1] > 3 * shares_of([word, measure])[0]
    sure = [replace(one, evidence=12.0) for one in (word, measure)]
    np.testing.assert_allclose(shares_of(sure), 0.5)


def test_belief_is_the_odds_of_exploring_times_the_evidence_since() -> None:
    lucky, modest = (replace(hypotheses(1)[0], statement=name, evidence=nats) for name, nats in (("lucky", 6.0), ("modest", 3.0)))
    own = replace(lucky, statement="mine", source="own", check=None, evidence=0.0)
    shares = np.array([0.4, 0.2, 0.4])
    before, after = (beliefs_of([lucky, modest, own], np.array(log_e), shares) for log_e in ((0.0, 0.0, 0.0), (-3.0, 4.0, -1.0)))
    assert before[0] / before[1] == pytest.approx(np.exp(3))
    assert after[1] / after[0] == pytest.approx(1000 / np.exp(3), rel=0.1), "the odds are at most even"
    for beliefs in (before, after):
        assert beliefs[2] == 0.4, "no check: by its share, whatever few verdicts say"
        assert beliefs.sum() == pytest.approx(1.0)
    assert beliefs_of([lucky], np.array([-1e9]), np.ones(1))[0] == 1.0
    assert beliefs_of([], np.zeros(0), np.zeros(0)).shape == (0,)


def test_the_luckiest_of_exploring_loses_its_vote_as_fresh_pairs_disown_it() -> None:
    seen = np.tile(np.array([20.0, 0.0, 0.1]), (2, 10, 1))
    seen[0, 0] = seen[1, 9] = [20.0, 5.0, 5.0]  # one sentence has paid in the first stratum alone, the other in the last
    sizes, needed = np.full(10, 5.0), np.array([6.0, 6.0])
    for beliefs, where in (([0.4, 0.02], 0), ([0.02, 0.4], 9)):
        votes = focus_of(seen, sizes, needed, np.array(beliefs), 500)
        assert votes is not None
        assert votes[where] > 0.6


def test_a_phrase_that_never_comes_up_again_loses_its_vote() -> None:
    """Exploring saw it nine times in one stratum; since, 150 pairs there showed it not once, so that its e-value stayed 1. The other came
    up as often, in another stratum, and does so still."""
    plain = hypotheses(2)[0]
    both = [replace(plain, evidence=6.0), replace(plain, statement="b", evidence=4.0)]
    found = np.zeros((2, len(STRATA), 3))
    found[..., 0] = 40
    found[0, 3, 1:], found[1, 5, 1:] = 9, 9
    seen = found.copy()
    seen[:, [3, 5], 0] += 150
    seen[1, 5, 1:] += 20
    log_e = np.array([0.0, 6.0])
    support, shares = support_of(both, log_e, found, seen), shares_of(both)
    assert support[0] < -4
    assert support[1] == 6.0, "never more than the e-value"
    before, after = beliefs_of(both, np.zeros(2), shares), beliefs_of(both, support, shares)
    assert before[0] > 0.7
    assert after[0] < 0.02
    assert beliefs_of(both, log_e, shares)[0] > 0.2, "which coin flips alone do not see"
    by_model = [replace(one, check=None, source="labeller") for one in both]
    np.testing.assert_array_equal(support_of(by_model, log_e, found, seen), log_e)


def test_starting_capital_is_one_whatever_was_explored() -> None:
    explored_sums = np.array([[0.0, 0.0, 0.0], [50.0, 20.0, 20.0], [50.0, -3.0, 30.0]])
    wealth = starting_wealth(hypotheses(3), explored_sums)
    np.testing.assert_allclose(log_e_values(wealth), 0.0, atol=1e-12)
    assert wealth[1].argmax() > wealth.shape[1] // 2, "the explored direction is `intervention`"


def test_capital_lies_on_the_stakes_that_exploring_makes_likely() -> None:
    """Always won: most of it on the largest stake. Against what came true, the mixture is at most log(1/its share) behind the best."""
    always, often, hardly = np.exp(starting_wealth(hypotheses(3), np.array([[60.0, 8.0, 8.0], [60.0, 16.0, 40.0], [60.0, 0.0, 40.0]])))
    grid = betting_grid(two_sided=True)
    assert grid[always.argmax()] == grid.max()
    assert grid[often.argmax()] == pytest.approx(0.35)
    assert grid[hardly.argmax()] == pytest.approx(0.05)
    many = np.exp(starting_wealth(hypotheses(2), np.array([[60_000.0, 30_000.0, 30_000.0], [60_000.0, 3_000.0, 50_000.0]])))
    assert [grid[wealth.argmax()] for wealth in many] == [grid.max(), pytest.approx(0.05)]
    for wealth in (always, often, hardly, *many):
        assert wealth[grid < 0].sum() == pytest.approx(0.15)
        assert wealth[grid > 0].min() >= 0.85 * 0.2 / 6


def test_stakes_are_alike_until_strata_are_seen_to_differ() -> None:
    even = np.tile(np.array([10.0, 3.0, 5.0]), (1, 20, 1))
    np.testing.assert_allclose(local_stakes(even), 1.0)
    np.testing.assert_allclose(local_stakes(np.zeros((2, 20, 3))), 1.0)
    assert local_stakes(np.zeros((0, 20, 3))).shape == (0, 20)
    narrow = np.tile(np.array([20.0, 0.0, 4.0]), (2, 20, 1))
    narrow[0, 3], narrow[1, 3] = [20.0, 12.0, 14.0], [20.0, -12.0, 14.0]
    stakes = local_stakes(narrow)
    for row in stakes:
        assert row.argmax() == 3
        assert row[3] == 1
        assert np.delete(row, 3).max() < 0.2
    new_word = np.zeros((1, 20, 3))
    new_word[..., 0], new_word[0, 3] = 20.0, [20.0, 8.0, 8.0]
    np.testing.assert_allclose(local_stakes(new_word), 1.0)  # what the base never writes costs nothing where nobody writes it


def test_what_was_won_in_one_stratum_is_not_lost_in_all_others() -> None:
    """A rise of 0.6 in one stratum of 20, a base rate of 0.15: 300 pairs where nothing differs follow. Beside it, the same bets by a
    sentence of which exploring could not say where it holds."""
    lost: list[list[float]] = []
    for number in range(20):
        world = World(generator("test-focus", "kept", number), (0.6,), 0.15, STRATA[:1])
        narrow = np.tile(np.array([12.0, 0.0, 3.0]), (1, 20, 1))
        narrow[0, 0] = [12.0, 7.0, 8.0]
        anywhere = np.tile(narrow.sum(axis=1) / 20, (20, 1))[None]
        inside = world.round([Request(prompt, 0, 3) for prompt in bank(200, STRATA) if prompt.stratum == STRATA[0]])
        outside = world.round([Request(prompt, 0, 2) for prompt in bank(200, STRATA) if prompt.stratum != STRATA[0]][:150])
        states = [confirm_round(ConfirmState.start(hypotheses(1), 200, POOL, seen), *inside) for seen in (narrow, anywhere)]
        later = [confirm_round(replace(state, seen=seen), *outside) for state, seen in zip(states, (states[0].seen, anywhere), strict=True)]
        lost.append([float(before.log_e[0] - after.log_e[0]) for before, after in zip(states, later, strict=True)])
    knowing, not_knowing = np.mean(lost, axis=0)
    assert knowing < 1 < 3 < not_knowing


def test_no_focus_where_it_would_not_pay() -> None:
    even = np.tile(np.array([20.0, 4.0, 5.0]), (2, 10, 1))
    sizes, needed, shares = np.full(10, 5.0), np.array([6.0, 6.0]), np.array([0.5, 0.5])
    assert focus_of(even, sizes, needed, shares, 500) is None
    narrow = even.copy()
    narrow[:, 1:] = [20.0, 0.0, 0.4]
    focus = focus_of(narrow, sizes, needed, shares, 500)
    assert focus is not None
    assert focus[0] > 0.2  # of ten
    assert focus.sum() == pytest.approx(1.0)
    assert focus_of(narrow, sizes, np.zeros(2), shares, 500) is None, "all decided"
    assert focus_of(narrow, sizes, np.full(2, 1e9), shares, 500) is None, "out of reach"


def test_a_sentence_that_is_small_on_average_goes_on_where_it_holds() -> None:
    """A rise of 0.4 in one stratum of 20 is 2 points on average, below the smallest effect of 5; the budget allows what it needs."""
    settings = config({"smallest_effect": 0.05}, per_round=200, max_texts=6000)
    spent: dict[float, list[int]] = {}
    found: dict[float, int] = {}
    for rise in (0.4, 0.0):
        spent[rise], found[rise] = [], 0
        for number in range(8):
            world = World(generator("test-focus", "reach", rise > 0, number), (rise, *(0.0,) * 4), 0.15, STRATA[:1])
            plan = plan_confirmation(bank(200, STRATA), 0, 5, config({"smallest_effect": 0.2}))
            state = ConfirmState.start(hypotheses(5), len(plan.backbone), POOL, _explored(world, 5))
            plan = replace(plan, pairs=3000)
            while (round := next_round(plan, state, explored(), settings)).requests:
                left = plan.pairs - len(state.pairs)
                if why_stop_confirming(state, explored(), settings, left=left):
                    break
                state = confirm_round(state, *world.round(round.requests), round.backbone_pairs)
            spent[rise].append(len(state.pairs))
            found[rise] += bool(validated(state, explored(), ALPHA)[0])
    assert found[0.4] >= 6
    assert found[0.0] == 0
    assert np.mean(spent[0.0]) < 1.2 * np.mean(spent[0.4])


def test_what_is_within_reach() -> None:
    """Rows: 0.5 in one stratum, four times; 2 points everywhere."""
    seen = np.tile(np.array([100.0, 0.0, 1.0]), (5, 20, 1))
    seen[:4, 3] = [100.0, 50.0, 52.0]
    seen[4] = [1000.0, 20.0, 40.0]
    sentences = [replace(one, evidence=nats) for one, nats in zip(hypotheses(5), (9.0, 3.0, 3.0, 9.0, 9.0), strict=True)]
    sentences[3] = replace(sentences[3], check=None)
    log_e = np.array([2.0, 1.0, 6.0, 6.0, 6.0])
    sizes, needed = np.full(20, 10.0), np.full(5, 5.0)
    within = reach_in_places(sentences, log_e, seen, sizes, needed, 500, 0.05)
    assert within.tolist() == [True, False, True, False, False], "believed; not; believed since; a reader's; small where it holds"
    assert not reach_in_places(sentences, log_e, seen, sizes, needed, 5, 0.05).any(), "out of reach"
    assert not reach_in_places(sentences, log_e, seen, sizes, np.zeros(5), 500, 0.05).any(), "validated"
    assert reach_in_places([], np.zeros(0), np.zeros((0, 20, 3)), sizes, np.zeros(0), 500, 0.05).shape == (0,)
