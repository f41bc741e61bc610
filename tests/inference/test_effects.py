from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.fingerprint import generator
from auto_interventions.inference import estimate_effect
from auto_interventions.inference.effects import shrink


def prompts(random: np.random.Generator, count: int, base_rate: float, rise: float, samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Per-prompt mean scores; prompts differ strongly (beta-distributed rates), so samples of one prompt are far from independent."""
    rates = random.beta(base_rate, 1 - base_rate, count)
    raised = np.clip(rates + (random.random(count) < rise / (1 - base_rate)) * (1 - rates), 0, 1)
    return random.binomial(samples, rates) / samples, random.binomial(samples, raised) / samples


@pytest.mark.parametrize(("base_rate", "rise", "samples"), [(0.05, 0.3, 1), (0.4, 0.05, 8), (0.02, 0.0, 1)])
def test_interval_covers_with_prompts_as_the_unit(base_rate: float, rise: float, samples: int) -> None:
    random = generator("test-effects", base_rate, rise)
    simulations, missed = 300, 0
    for _ in range(simulations):
        base, intervention = prompts(random, 120, base_rate, rise, samples)
        effect = estimate_effect(base, intervention, np.zeros(120, dtype=np.int64), ["all"], 0.05, planned=120)
        missed += not effect.interval[0] <= rise <= effect.interval[1]
        assert effect.interval[0] <= effect.difference <= effect.interval[1]
    assert missed / simulations <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / simulations)


def test_parts_agree() -> None:
    random = generator("test-effects", "agree")
    base, intervention = prompts(random, 90, 0.1, 0.3)
    effect = estimate_effect(base, intervention, np.arange(90) % 3, ["a", "b", "c"], 0.05)
    assert effect.difference == pytest.approx(effect.intervention_rate - effect.base_rate)
    assert effect.auc == pytest.approx(0.5 + effect.difference / 2)  # yes/no scores
    assert [stratum.stratum for stratum in effect.strata] == ["a", "b", "c"]
    assert sum(stratum.prompts for stratum in effect.strata) == effect.prompts == 90
    swapped = estimate_effect(intervention, base, np.arange(90) % 3, ["a", "b", "c"], 0.05)
    assert swapped.difference == -effect.difference
    np.testing.assert_allclose(swapped.interval, (-effect.interval[1], -effect.interval[0]), atol=1e-5)


def test_ordering_within_prompts_is_not_the_ordering_of_means() -> None:
    """Eight samples a prompt, a small lean: the means are almost always ordered, single pairs hardly."""
    base, intervention = np.full(50, 0.4), np.full(50, 0.5)
    assert estimate_effect(base, intervention, np.zeros(50, dtype=np.int64), ["all"], 0.05).auc == 1
    assert estimate_effect(base, intervention, np.zeros(50, dtype=np.int64), ["all"], 0.05, ordering=np.full(50, 0.1)).auc == 0.55


def test_prompts_not_judged_are_left_out_on_both_sides() -> None:
    base = np.array([0.0, np.nan, 1.0, 0.0])
    intervention = np.array([1.0, 1.0, np.nan, 1.0])
    effect = estimate_effect(base, intervention, np.array([0, 1, 2, 0]), ["a", "b", "c"], 0.05)
    assert (effect.base_rate, effect.intervention_rate, effect.prompts) == (0, 1, 2)
    assert [stratum.stratum for stratum in effect.strata] == ["a"]


def test_nothing_judged() -> None:
    nothing = np.full(3, np.nan)
    effect = estimate_effect(nothing, nothing, np.zeros(3, dtype=np.int64), ["all"], 0.05)
    assert (effect.difference, effect.interval, effect.auc, effect.strata) == (0, (-1, 1), 0.5, ())
    assert estimate_effect(np.array([]), np.array([]), np.zeros(0, dtype=np.int64), [], 0.05).prompts == 0


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        estimate_effect(np.array([2.0]), np.array([0.0]), np.zeros(1, dtype=np.int64), ["all"], 0.05)
    with pytest.raises(ValueError, match="one entry a prompt"):
        estimate_effect(np.zeros(2), np.zeros(3), np.zeros(2, dtype=np.int64), ["all"], 0.05)


def test_a_narrow_behaviour_is_placed_in_its_stratum() -> None:
    random = generator("test-effects", "narrow")
    strata = np.arange(400) % 8
    base = (random.random(400) < 0.02) * 1.0
    intervention = (random.random(400) < np.where(strata == 3, 0.8, 0.02)) * 1.0
    effect = estimate_effect(base, intervention, strata, [f"s{number}" for number in range(8)], 0.05, planned=400)
    assert effect.strata[3].difference > 0.65
    assert effect.strata[3].interval[0] > 0.4
    assert all(abs(stratum.difference) < 0.1 for number, stratum in enumerate(effect.strata) if number != 3)
    assert all(stratum.interval[0] <= stratum.difference <= stratum.interval[1] for stratum in effect.strata)


def test_of_very_many_strata_those_that_stand_out_are_listed_and_all_are_counted() -> None:
    strata = np.arange(300) % 75
    intervention = (strata >= 10) * 1.0
    effect = estimate_effect(np.zeros(300), intervention, strata, [f"s{number:02d}" for number in range(75)], 0.05, planned=300)
    assert effect.strata_judged == 75
    assert len(effect.strata) == 60
    assert all(stratum.stratum >= "s10" for stratum in effect.strata)


def test_strata_of_one_prompt_say_almost_nothing() -> None:
    effect = estimate_effect(np.zeros(30), np.ones(30), np.arange(30), [str(number) for number in range(30)], 0.05, planned=30)
    assert all(stratum.interval[1] - stratum.interval[0] > 1 for stratum in effect.strata)
    mixed = estimate_effect(np.zeros(31), np.array([0.0] * 30 + [1.0]), np.array([0] * 30 + [1]), ["many", "one"], 0.05)
    assert mixed.strata[1].difference < 0.9  # one lucky prompt is pulled towards the rest


def test_shrinkage_is_nearer_to_the_truth_than_raw_means() -> None:
    random = generator("test-effects", "shrink")
    raw, shrunk = 0.0, 0.0
    for _ in range(200):
        truth = random.normal(0.1, 0.05, 12)
        variances = random.uniform(0.002, 0.02, 12)
        means = random.normal(truth, np.sqrt(variances))
        raw += float(((means - truth) ** 2).sum())
        shrunk += float(((shrink(means, variances, float(means.mean())) - truth) ** 2).sum())
    assert shrunk < 0.6 * raw
    np.testing.assert_array_equal(shrink(np.array([0.3]), np.array([0.1]), 0.0), [0.3])
    np.testing.assert_array_equal(shrink(np.array([0.3, 0.1]), np.zeros(2), 0.0), [0.3, 0.1])


def test_stratum_intervals_keep_their_coverage() -> None:
    random = generator("test-effects", "strata")
    simulations, missed = 300, 0
    for _ in range(simulations):
        strata = random.permutation(np.repeat([0, 1], [100, 25]))
        base = (random.random(125) < 0.1) * 1.0
        intervention = (random.random(125) < np.where(strata == 1, 0.5, 0.1)) * 1.0
        effect = estimate_effect(base, intervention, strata, ["large", "small"], 0.05, planned=125)
        missed += not effect.strata[1].interval[0] <= 0.4 <= effect.strata[1].interval[1]
    assert missed / simulations <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / simulations)
