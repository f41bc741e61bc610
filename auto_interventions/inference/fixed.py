"""Fixed-n tests for an exhaustive audit: a paired sign-flip test over prompts, and Benjamini & Hochberg over the sentences.

Formula.  d_i ∈ [−1, 1] is one sentence's mean difference at prompt i (intervention − base), T = Σ d_i. If both models show the sentence
equally often at every prompt, swapping the two texts of a pair changes nothing: given |d_1| … |d_n| all 2ⁿ signs are equally likely, and

    p = P( |Σ s_i |d_i|| ≥ |T| ),      s_i = ±1 with probability ½ each,

is a p-value at every n: P(p ≤ u) ≤ u. Where all |d_i| > 0 are equal (one pair a prompt, yes/no scores) this is the exact sign test over
the prompts that differ, 2·P(Bin(k, ½) ≥ larger side). Else the law of the sum is computed on a lattice: the |d_i| become multiples of
1/G (exactly, for the smallest G ≤ 360 that fits them all; else rounded to sixtieths, which keeps the symmetry and so the level), and
the characteristic function Π cos(a_i t) is inverted by FFT. What the window of ±10 standard deviations cuts off, and rounding errors, are
added to p; Hoeffding's bound 2·exp(−T²/2Σd_i²), which always holds, replaces it where it is smaller.

    Benjamini & Hochberg: reject the k̂ smallest, k̂ = max { k : p_(k) ≤ α k / H }.

What it says: with all texts drawn *before the first is looked at*, at most α of the rejected sentences are false on average, if the
p-values are independent or positively dependent (PRDS). If the models are identical, nothing is rejected with probability ≥ 1 − α under
the same condition (rejecting any is then Simes' test). What it does not: anything when sampling stopped because of what was seen, or was
aimed by it; that is what `betting` and `ebh` are for. False means: equally often at *every* prompt.

Edge cases.  NaN = a prompt that was not judged: left out. No prompts, or no difference at any: p = 1. One prompt: p = 1; n prompts can
never give less than 2¹⁻ⁿ.

Sources: Fisher 1935, The Design of Experiments, section 21; Benjamini & Hochberg 1995, JRSS-B 57:289–300; Benjamini & Yekutieli 2001,
Annals of Statistics 29:1165–1188 (positive dependence); Simes 1986, Biometrika 73:751–754; Hoeffding 1963, JASA 58:13–30, theorem 2."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc

from auto_interventions.records import BoolArray, FloatArray, IntArray

SMALLEST = 1e-300  # p-values are never 0, nor so small that JSON readers lose them
_FINEST = 360  # means of up to 360 yes/no scores lie on these lattices
_ROUGH = 60  # what lies on none is rounded to this one
_FIRST = 100  # differences that are tried before all are
_ON_LATTICE = 1e-6  # scores come as float32
_WINDOW = 10.0  # standard deviations on either side; beyond lie 2·exp(−50) = 4e-22


def paired_p_values(differences: FloatArray) -> FloatArray:
    """Two-sided p-values of H sentences.

    Args:
        differences: (H, n) mean difference of each sentence at each prompt, in [−1, 1]; NaN = not judged.

    Returns:
        (H,) in [1e-300, 1].

    Raises:
        ValueError: not two-dimensional, or a difference outside [−1, 1].

    >>> paired_p_values(np.array([[1.0, 1.0, 1.0, 0.0], [1.0, -1.0, 0.0, 0.0], [np.nan, 0.5, 1.0, 0.5]]))
    array([0.25, 1.  , 0.25])
    """
    if not len(differences):  # no sentences: of whatever shape
        return np.zeros(0)
    if differences.ndim != 2:
        raise ValueError(f"differences must have shape (hypotheses, prompts), not {differences.shape}")
    if np.any(np.abs(differences) > 1 + _ON_LATTICE):  # NaN compares false
        raise ValueError("differences must lie in [-1, 1] (NaN = not judged)")
    return np.array([max(_p_value(row[~np.isnan(row)]), SMALLEST) for row in differences], dtype=np.float64)


def benjamini_hochberg(p_values: ArrayLike, alpha: float) -> BoolArray:
    """Which hypotheses Benjamini & Hochberg reject at level `alpha`.

    Args:
        p_values: (H,) of *all* hypotheses ever proposed.
        alpha: false discovery rate, in (0, 1).

    Raises:
        ValueError: a p-value outside [0, 1] or NaN, or alpha outside (0, 1).

    >>> benjamini_hochberg([0.01, 0.03, 0.04, 0.6], alpha=0.05)     # thresholds 0.0125, 0.025, 0.0375, 0.05
    array([ True, False, False, False])
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("p-values must lie in [0, 1]: a hypothesis that was never tested has p-value 1")
    count = values.size
    if not count:
        return np.zeros(0, dtype=np.bool_)
    thresholds = alpha * np.arange(1, count + 1) / count
    passed = np.flatnonzero(np.sort(values) <= thresholds)
    return values <= thresholds[passed[-1]] if passed.size else np.zeros(count, dtype=np.bool_)


def _p_value(differences: FloatArray) -> float:
    steps = _on_lattice(differences)
    sizes, counts = np.unique(np.abs(steps[steps != 0]), return_counts=True)
    total = abs(int(steps.sum()))
    if not total:
        return 1.0
    if len(sizes) == 1:
        flips = int(counts[0])
        larger = (flips + total // int(sizes[0])) // 2
        return min(1.0, 2.0 * float(bdtrc(larger - 1, flips, 0.5)))
    return _convolved(sizes.astype(np.int64), counts.astype(np.int64), total)


def _on_lattice(differences: FloatArray) -> IntArray:
    """`differences` as whole steps of 1/G."""
    for parts in range(1, _FINEST + 1):
        if _fits(differences[:_FIRST] * parts, parts) and _fits(differences * parts, parts):
            return np.rint(differences * parts).astype(np.int64)
    return np.rint(differences * _ROUGH).astype(np.int64)


def _fits(scaled: FloatArray, parts: int) -> bool:
    return bool(np.all(np.abs(scaled - np.rint(scaled)) <= _ON_LATTICE * parts))


def _convolved(sizes: IntArray, counts: IntArray, total: int) -> float:
    """P(|Σ ± steps| ≥ total), `counts[j]` steps of `sizes[j]` each, from above."""
    variance = float((counts * sizes**2).sum())
    bound = 2.0 * math.exp(-(total**2) / (2.0 * variance))
    reach = min(int((counts * sizes).sum()), math.ceil(_WINDOW * math.sqrt(variance)))
    if total > reach:
        return bound
    length = 1 << (2 * reach + 1).bit_length()
    angles = 2.0 * np.pi * np.arange(length // 2 + 1) / length
    transform = np.ones(len(angles))
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        transform *= np.cos(size * angles) ** count
    chances = np.fft.irfft(transform, length)
    values = np.abs(np.fft.fftfreq(length, 1.0 / length))
    error = 1e-12 + 1e-15 * float(counts.sum()) + 2.0 * math.exp(-(reach**2) / (2.0 * variance)) * (reach < (counts * sizes).sum())
    return float(min(1.0, bound, max(0.0, chances[values > total - 0.5].sum()) + error))
