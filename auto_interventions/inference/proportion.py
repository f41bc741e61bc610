"""Wilson's interval for a proportion: the shares that a normal approximation *at that share* would not reject.

Formula.  With p̂ the observed share of n and z the normal quantile, the ends are (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n).

What it says: a fixed sample's share; looked at once. Edge cases: n ≤ 0 gives [0, 1]; shares of 0 and 1 give intervals of positive width.

Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, 209–212."""

from __future__ import annotations

import numpy as np

from auto_interventions.records import FloatArray

_Z = 1.959964  # 95%


def wilson_interval(shares: FloatArray, count: float, z: float) -> tuple[FloatArray, FloatArray]:
    """Ends (n,) of the intervals of `shares` (n,), each of `count` observations (means by cluster: not necessarily whole)."""
    if count <= 0:
        return np.zeros(len(shares)), np.ones(len(shares))
    shrunk = 1 + z**2 / count
    middle = (shares + z**2 / (2 * count)) / shrunk
    half = z * np.sqrt(shares * (1 - shares) / count + z**2 / (4 * count**2)) / shrunk
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def proportion_interval(successes: float, count: float) -> tuple[float, float]:
    """The 95% interval of one proportion; (0, 1) where nothing was counted.

    >>> lo, hi = proportion_interval(8, 10)
    >>> print(f"{lo:.2f} {hi:.2f}")
    0.49 0.94
    """
    low, high = wilson_interval(np.array([successes / count if count > 0 else 0.0]), count, _Z)
    return float(low[0]), float(high[0])
