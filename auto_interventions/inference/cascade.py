"""Two judges, one estimate: a cheap judge on every pair, a strong one on some, chosen by what the cheap one said.

Formula.  Pair i gets the cheap payoff c_i ∈ [−1, 1]; the strong judge is asked with a known chance π_i > 0 (1 where the cheap one is
undecided, a small share elsewhere: the random slice), ξ_i ∈ {0, 1}, and says s_i. The rectified payoff

    y_i = λ_i c_i + (ξ_i / π_i) (s_i − λ_i c_i)

has the mean of s_i, whatever the cheap judge is worth: prediction-powered inference with active sampling. λ_i ∈ [0, 1] comes from
earlier pairs only and makes the variance (1/π − 1) (s − λc)² small: a cheap judge that says nothing is left out (λ → 0). |y| ≤ 2/π_min − 1,
so a confidence sequence for the mean of y is one for the strong judge's mean, at any time.

Evidence.  If the models do not differ at a prompt, swapping a pair's two texts changes nothing. Both judges are blind and see them in
random order, so c_i and s_i change sign together, and π_i, which treats both texts alike, stays: every odd function of (c_i, s_i) is
symmetric around 0 given the past and may be bet on. `cascade_payoffs` bets on s_i where it is known, else on λ_i c_i: no payoff is blown
up by 1/π. A biased, noisy or lazy judge costs power, never the error guarantee; it does bend what is claimed, which is why the size is
y's.

What it costs.  A clear pair's variance is (1/π − 1) (s − λc)², and the range that a confidence sequence must allow for is 2/π − 1. With a
cheap judge that is right 97% of the time and a slice of a fifth the interval is a fifth wider than that of as many strong verdicts on
random pairs; with 80% and a tenth twice as wide. So the cascade saves strong calls where it decides (evidence, borderline), and a plain
random slice of strong verdicts is as good for the size alone, unless the cheap judge is nearly as good as the strong one.

What it says: the rate difference as the strong judge sees it. What it does not: that the strong judge is right (sensitivity and
specificity on planted texts are another page).

Edge cases.  The strong judge was asked and failed or abstained (NaN): the pair is left out of both, so the estimate is of the pairs
that the strong judge can judge. The cheap judge failed (NaN): it counts as undecided, c = 0, and the strong one is asked. π = 0
anywhere is an error: what can never be checked cannot be corrected.

Sources: Angelopoulos, Bates, Fannjiang, Jordan & Zrnic 2023, "Prediction-powered inference", Science 382:669–674; Angelopoulos, Duchi &
Zrnic 2023, "PPI++", arXiv:2311.01453 (λ); Zrnic & Candès 2024, "Active statistical inference", arXiv:2403.03208 (π); Horvitz & Thompson
1952. Waudby-Smith & Ramdas 2023 (`intervals`)."""

from __future__ import annotations

import numpy as np

from auto_interventions.records import BoolArray, FloatArray

_PRIOR = 4.0  # pairs' worth of belief in
_AT_FIRST = 0.5  # this much of the cheap judge


def undecided(base: FloatArray, intervention: FloatArray, borderline: tuple[float, float]) -> BoolArray:
    """(n,) whether the cheap judge's score of either text, (n,) in [0, 1], lies in the borderline or is missing (NaN).

    Both texts are treated alike, as the chance of a strong verdict must not depend on which text is whose.

    Raises:
        ValueError: a borderline outside [0, 1].

    >>> undecided(np.array([0.1, 0.5, 0.0, np.nan]), np.array([0.9, 1.0, 0.0, 1.0]), (0.4, 0.6))
    array([False,  True, False,  True])
    """
    low, high = borderline
    if not 0 <= low <= high <= 1:
        raise ValueError(f"the borderline must be two scores in [0, 1], the lower first, not {borderline}")
    clear = [(scores < low) | (scores > high) for scores in (base, intervention)]  # NaN compares false
    return ~(clear[0] & clear[1])


def strong_chance(undecided_ones: BoolArray, slice_share: float, doubtful_share: float = 1.0) -> FloatArray:
    """(n,) the chance that the strong judge is asked: `doubtful_share` where the cheap one is undecided, `slice_share` elsewhere.

    Both are in (0, 1], or both 0: then there is no second judge on these pairs.

    Raises:
        ValueError: other shares.

    >>> strong_chance(np.array([False, True]), 0.05)
    array([0.05, 1.  ])
    """
    for share in (slice_share, doubtful_share):
        if not (0 < share <= 1 or slice_share == doubtful_share == 0):
            raise ValueError(f"the strong judge must see some share of the pairs, in (0, 1], not {share}")
    return np.where(undecided_ones, doubtful_share, slice_share)


def rectified(cheap: FloatArray, strong: FloatArray, asked: BoolArray, chance: FloatArray) -> FloatArray:
    """(n,) unbiased payoffs y; NaN where the strong judge was asked and gave nothing.

    Args:
        cheap, strong: (n,) payoffs in [−1, 1] in the order of the pairs; `strong` counts only where `asked`.
        asked: (n,) whether the strong judge was asked; chance: (n,) with what chance, > 0.

    Raises:
        ValueError: payoffs outside [−1, 1], a chance outside (0, 1], or a pair that was not asked though its chance was 1.

    >>> cheap, strong = np.array([0.8, -0.1, 0.6]), np.array([np.nan, 1.0, 1.0])
    >>> rectified(cheap, strong, np.array([False, True, True]), np.array([0.5, 1.0, 0.5])).round(2)
    array([0.4, 1. , 1.7])
    """
    _check(cheap, strong, asked, chance)
    guess = trust(cheap, strong, asked, chance) * np.nan_to_num(cheap)
    return np.where(asked, guess + (strong - guess) / chance, guess)


def cascade_payoffs(cheap: FloatArray, strong: FloatArray, asked: BoolArray, chance: FloatArray) -> FloatArray:
    """(n,) payoffs in [−1, 1] to bet on: the strong judge's where it was asked, else the cheap one's as far as it is trusted.

    Arguments and errors are those of `rectified`.
    """
    _check(cheap, strong, asked, chance)
    return np.where(asked, strong, trust(cheap, strong, asked, chance) * np.nan_to_num(cheap))


def trust(cheap: FloatArray, strong: FloatArray, asked: BoolArray, chance: FloatArray) -> FloatArray:
    """(n,) λ_i in [0, 1], each from earlier pairs only: the slope of s on c where the strong judge need not be asked."""
    known = asked & ~np.isnan(strong) & ~np.isnan(cheap)
    # Pairs that are always asked say nothing of those that are not: their λ does not matter.
    weight = np.where(known, (1 / chance) * (1 / chance - 1), 0.0)
    guess, truth = np.nan_to_num(cheap), np.nan_to_num(strong)
    scale = np.maximum(np.cumsum(weight) / np.maximum(np.cumsum(weight > 0), 1), 1e-12)
    above = np.cumsum(weight * guess * truth) / scale
    below = np.cumsum(weight * guess**2) / scale
    slope = np.clip((_PRIOR * _AT_FIRST + above) / (_PRIOR + below), 0.0, 1.0)
    return np.concatenate([[_AT_FIRST], slope[:-1]])[: len(cheap)]


def largest(chance: FloatArray) -> float:
    """The bound B ≥ |y| of `rectified` payoffs, which their confidence sequence needs: 2/π_min − 1.

    |y| = |s/π − (1/π − 1) λc| where the strong judge was asked, |λc| where not. Take π_min from the rule that asks, not from the pairs
    so far: a bound that changes with the data bounds nothing.

    >>> largest(np.array([0.5, 1.0]))
    3.0
    """
    return 2 / float(chance.min(initial=1.0)) - 1


def _check(cheap: FloatArray, strong: FloatArray, asked: BoolArray, chance: FloatArray) -> None:
    if np.any(np.abs(cheap) > 1) or np.any(np.abs(strong[asked]) > 1):  # NaN compares false
        raise ValueError("payoffs must lie in [−1, 1] (NaN = the judge failed)")
    if not np.all((chance > 0) & (chance <= 1)):
        raise ValueError("the strong judge must be asked with a chance in (0, 1]")
    if np.any(~asked & (chance == 1)):
        raise ValueError("a pair that was to be asked with chance 1 was not asked")
