"""Two judges: unbiased whatever the cheap one is worth, intervals that cover, no evidence from nothing, and cheaper than the strong one."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.fingerprint import generator
from auto_interventions.inference import confidence_sequence
from auto_interventions.inference.betting import bet_many, log_e_values, start_log_wealth
from auto_interventions.inference.cascade import cascade_payoffs, largest, rectified, strong_chance, trust, undecided
from auto_interventions.records import BoolArray, FloatArray

BORDERLINE = (0.4, 0.6)
Judged = tuple[FloatArray, FloatArray, BoolArray, FloatArray]


def judged(truth: FloatArray, random: np.random.Generator, accuracy: float = 0.8, tilt: float = 0.0, share: float = 0.1) -> Judged:
    """Verdicts on true payoffs −1, 0, 1: a cheap judge of known accuracy, in doubt about a tenth of the texts, with a tilt to the
    intervention's; and a strong one that is right."""
    says = np.where(random.random(len(truth)) < accuracy, truth, random.choice([-1.0, 0.0, 1.0], len(truth)))
    scores = [np.where(says == side, 0.9, 0.1) for side in (-1.0, 1.0)]
    scores = [np.where(random.random(len(truth)) < 0.1, random.uniform(0.4, 0.6, len(truth)), one) for one in scores]
    scores[1] = np.clip(scores[1] + tilt * (random.random(len(truth)) < 0.5), 0, 1)
    chance = strong_chance(undecided(scores[0], scores[1], BORDERLINE), share)
    asked = random.random(len(truth)) < chance
    return scores[1] - scores[0], np.where(asked, truth, np.nan), asked, chance


def drawn(random: np.random.Generator, difference: float, pairs: int) -> FloatArray:
    """True payoffs: one side fits in 40%, evenly but for `difference`."""
    up, down = 0.2 + difference / 2, 0.2 - difference / 2
    return random.choice([1.0, -1.0, 0.0], pairs, p=[up, down, 1 - up - down])


@pytest.mark.parametrize(("accuracy", "tilt"), [(0.8, 0.0), (0.8, 0.2), (0.0, 0.0), (1.0, 0.0), (0.5, 0.2)])
def test_the_estimate_has_the_mean_of_the_strong_judge(accuracy: float, tilt: float) -> None:
    random = generator("cascade mean", accuracy, tilt)
    found, plain = [], []
    for _ in range(300):
        truth = drawn(random, 0.1, 200)
        verdicts = judged(truth, random, accuracy, tilt)
        found.append(rectified(*verdicts).mean() - truth.mean())
        plain.append(verdicts[0].mean() - truth.mean())
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    if tilt:
        assert abs(np.mean(plain)) > 3 * error  # the cheap judge alone would be wrong


def test_intervals_cover_and_are_about_as_wide_as_as_many_strong_verdicts_alone() -> None:
    random = generator("cascade intervals")
    missed, widths, alone, share = 0, [], [], []
    for _ in range(200):
        cheap, strong, asked, chance = judged(drawn(random, 0.1, 400), random, accuracy=0.97, tilt=0.1, share=0.2)
        bound = largest(chance)
        lo, hi = confidence_sequence(rectified(cheap, strong, asked, chance), -bound, bound, 0.05, planned=400)
        missed += not lo <= 0.1 <= hi
        widths.append(hi - lo)
        # The same budget on a uniform slice of the strong judge.
        few = int(asked.sum())
        share.append(few / 400)
        lo, hi = confidence_sequence(drawn(random, 0.1, few), -1, 1, 0.05, planned=few)
        alone.append(hi - lo)
    assert missed / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(share) < 0.6
    assert np.mean(widths) < 1.3 * np.mean(alone)


@pytest.mark.parametrize(("accuracy", "noise"), [(0.8, 0.0), (0.0, 0.5)])
def test_judges_of_equal_models_give_no_evidence_however_biased_by_position(accuracy: float, noise: float) -> None:
    """The null with peeking: texts are exchangeable, the cheap judge favours what it reads first, the order is random."""
    random = generator("cascade null", accuracy)
    pairs, audits = 300, 400
    ever = 0
    for _ in range(audits):
        truth = drawn(random, 0.0, pairs)
        first = random.choice([-1.0, 1.0], pairs)  # which side was read first
        fits = [0.1 + 0.8 * (truth == side) * (random.random(pairs) < accuracy) + 0.25 * (first == side) for side in (-1.0, 1.0)]
        fits = [np.clip(one + noise * random.standard_normal(pairs), 0, 1) for one in fits]
        cheap = fits[1] - fits[0]
        chance = strong_chance(undecided(fits[0], fits[1], BORDERLINE), 0.1)
        asked = random.random(pairs) < chance
        strong = np.where(random.random(pairs) < 0.97, truth, first)
        payoffs = cascade_payoffs(cheap, np.where(asked, strong, np.nan), asked, chance)
        wealth = start_log_wealth(1, two_sided=True)
        peeks: list[float] = []
        for begin in range(0, pairs, 30):
            wealth = bet_many(wealth, payoffs[None, begin : begin + 30])
            peeks.append(float(log_e_values(wealth)[0]))
        ever += max(peeks) >= np.log(20)
    assert ever / audits <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / audits)


def test_a_true_difference_is_found_with_part_of_the_strong_calls() -> None:
    random = generator("cascade power")
    found, calls = 0, []
    for _ in range(100):
        cheap, strong, asked, chance = judged(drawn(random, 0.2, 400), random)
        wealth = bet_many(start_log_wealth(1, two_sided=True), cascade_payoffs(cheap, strong, asked, chance)[None])
        found += float(log_e_values(wealth)[0]) >= np.log(20)
        calls.append(float(asked.mean()))
    assert found >= 90
    assert np.mean(calls) < 0.6


def test_a_useless_cheap_judge_loses_its_trust_and_a_good_one_gains_it() -> None:
    random = generator("cascade trust")
    truth = drawn(random, 0.1, 4_000)
    useless, good = (trust(*judged(truth, random, accuracy=accuracy))[-1] for accuracy in (0.0, 1.0))
    assert useless < 0.15
    assert good > 0.8


def test_trust_looks_at_the_past_alone() -> None:
    random = generator("cascade past")
    cheap, strong, asked, chance = judged(drawn(random, 0.1, 50), random)
    whole, part = trust(cheap, strong, asked, chance), trust(cheap[:20], strong[:20], asked[:20], chance[:20])
    assert (whole[:20] == part).all()


def test_failures_are_left_out_or_asked_again() -> None:
    base, intervention = np.array([np.nan, 0.0, 0.0]), np.array([1.0, 0.9, 0.9])
    cheap, strong = intervention - base, np.array([1.0, np.nan, np.nan])
    chance = strong_chance(undecided(base, intervention, BORDERLINE), 0.2)
    assert chance.tolist() == [1.0, 0.2, 0.2]
    values = rectified(cheap, strong, np.array([True, True, False]), chance)
    assert values[0] == 1.0
    assert np.isnan(values[1])
    assert 0 < values[2] < 0.9


def test_nothing_judged_is_nothing() -> None:
    empty = np.zeros(0)
    assert len(rectified(empty, empty, empty.astype(bool), empty)) == 0
    assert len(cascade_payoffs(empty, empty, empty.astype(bool), empty)) == 0
    assert largest(empty) == 1.0


@pytest.mark.parametrize(
    ("cheap", "strong", "asked", "chance"),
    [([2.0], [0.0], [True], [1.0]), ([0.0], [-2.0], [True], [1.0]), ([0.0], [0.0], [False], [0.0]), ([0.0], [0.0], [False], [1.0])],
)
def test_what_cannot_be_is_refused(cheap: list[float], strong: list[float], asked: list[bool], chance: list[float]) -> None:
    with pytest.raises(ValueError, match=r"payoffs|chance"):
        rectified(np.array(cheap), np.array(strong), np.array(asked), np.array(chance))


@pytest.mark.parametrize("borderline", [(0.6, 0.4), (-0.1, 0.5), (0.5, 1.1)])
def test_a_borderline_lies_among_the_scores(borderline: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="borderline"):
        undecided(np.array([0.0]), np.array([0.0]), borderline)


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_a_slice_holds_something(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        strong_chance(np.array([False]), share)
