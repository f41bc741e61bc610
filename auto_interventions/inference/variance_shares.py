"""Whose doing is it that measured differences differ: the run's, the stratum's, the sentence's, or chance? Shares of variance.

Formula.  y over k crossed factors (runs × strata × sentences, say), one value a cell, nothing missing; levels of every factor are taken for
a sample of those that could have been. With an effect of each factor and of each combination of factors, all independent with mean 0,

    y_rsh = μ + R_r + S_s + H_h + (RS)_rs + (RH)_rh + (SH)_sh + ε_rsh,      V = Σ_T σ_T²  over all nonempty sets T of factors.

The mean squares of the balanced analysis of variance are independent, with (n_i levels of factor i)

    E MS_T = Σ_{C ⊇ T} (Π_{i ∉ C} n_i) σ_C²,      so      σ̂_T² = Σ_{C ⊇ T} (−1)^{|C|−|T|} MS_C / Π_{i ∉ T} n_i,

which is unbiased whatever the effects' distributions. The last set, all factors together, is the residual: what no factor explains, the
chance of few texts in a cell among it. Shares are told by *source*: a combination counts with the first of its factors in the order given,
so that "run" is all that another run would have made different. A source whose estimate is negative counts as 0.

Intervals.  df_T · MS_T / E MS_T follows a χ² law with df_T degrees of freedom for normal effects; replacing each E MS_T by df_T · MS_T / χ²
draws, and solving for the variances as above, gives generalised pivotal quantities of the shares, whose quantiles are the interval. Two or
three runs say next to nothing of the variance between runs, and the interval shows it. Effects with heavy tails (a few sentences that
change everything) make a mean square vary more than the law says: its degrees of freedom are divided by 1 + κ/2 · df_T/(df_T + 1), κ the
excess kurtosis of its effects, where that is above 0 and there are levels enough to see it.

What it says: of the variation in this table, how much goes with what. What it does not: that a run's or a sentence's effect is other than 0
(no test), nor a cause; the sentences are those that somebody found, not all that could be said.

Edge cases.  A factor with one level: refused. All values equal: no share is known (None), variance 0.

Sources: Searle, Casella & McCulloch 1992, Variance Components, chapter 4; Cronbach, Gleser, Nanda & Rajaratnam 1972, The Dependability of
Behavioral Measurements, and Brennan 2001, Generalizability Theory (the shares); Weerahandi 1993, JASA 88:899–905, and Hannig, Iyer &
Patterson 2006, JASA 101:254–269 (generalised intervals); Shoemaker 2003, The American Statistician 57:80–85 (degrees of freedom under heavy
tails)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatArray

RESIDUAL = "residual"
_DRAWS = 4_000
_SEEN_FROM = 8  # levels below which a kurtosis is not looked at
_NOTHING = 1e-24  # a variance of rounding errors
_Set = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the variance: its `variance` (an unbiased estimate, which may be negative), `share` of the whole, and its interval."""

    variance: float
    share: float | None
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class VarianceShares:
    """Of a table's variance.

    Attributes:
        sources: by factor in the order given, then "residual"; the shares add up to 1.
        components: every factor and combination alone, named as "run × stratum"; the one of all factors is the residual.
        variance: of a cell, all sources together.
        shape: levels of each factor.
    """

    sources: dict[str, Share]
    components: dict[str, Share]
    variance: float
    shape: tuple[int, ...]


def variance_shares(values: FloatArray, factors: Sequence[str], alpha: float = 0.05, seed: int = 0) -> VarianceShares:
    """From a table with one value in every cell.

    Args:
        values: one axis a factor, at least two levels each.
        factors: names of the axes; a combination counts with the first of its factors.
        alpha: 1 − coverage of each interval.

    Raises:
        ValueError: fewer than two factors or levels, a missing value, names that do not fit, or alpha outside (0, 1).

    >>> table = np.add.outer(np.array([0.0, 0.0, 0.001]), np.array([0.1, 0.5, -0.2, 0.3, 0.0]))
    >>> shares = variance_shares(table, ["run", "sentence"]).sources
    >>> {name: round(one.share, 3) for name, one in shares.items()}
    {'run': 0.0, 'sentence': 1.0, 'residual': 0.0}
    """
    _check(values, factors, alpha)
    sets = [chosen for size in range(1, values.ndim + 1) for chosen in combinations(range(values.ndim), size)]
    squares, freedom = np.array([_mean_square(values, chosen) for chosen in sets]).T
    solve = _solution(sets, values.shape)
    estimates = solve @ squares
    random = generator("variance shares", seed, list(values.shape))
    drawn = solve @ (squares[:, None] * freedom[:, None] / random.chisquare(freedom[:, None] * np.ones(_DRAWS)))
    components = _shares([" × ".join(factors[axis] for axis in chosen) for chosen in sets], estimates, drawn, alpha)
    sums = np.zeros((values.ndim + 1, len(sets)))
    sums[-1, -1] = 1
    for row, chosen in enumerate(sets[:-1]):
        sums[chosen[0], row] = 1
    sources = _shares([*factors, RESIDUAL], sums @ estimates, sums @ drawn, alpha)
    return VarianceShares(sources, components, float(np.maximum(sums @ estimates, 0).sum()), values.shape)


def _check(values: FloatArray, factors: Sequence[str], alpha: float) -> None:
    if values.ndim < 2 or min(values.shape) < 2:
        raise ValueError(f"variance shares need two factors of two levels each at least, not a table of shape {values.shape}")
    if len(factors) != values.ndim or len({*factors, RESIDUAL}) != values.ndim + 1:
        raise ValueError(f"factors must name each of the {values.ndim} axes differently, and none of them `{RESIDUAL}`: {list(factors)}")
    if not np.all(np.isfinite(values)):
        raise ValueError("every cell of the table needs a value: leave out levels that have none everywhere")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")


def _mean_square(values: FloatArray, chosen: _Set) -> tuple[float, float]:
    """MS of a set of factors, and its degrees of freedom, fewer where the effects' tails are heavy."""
    effects = values
    for axis in range(values.ndim):
        means = effects.mean(axis=axis, keepdims=True)
        effects = effects - means if axis in chosen else means
    freedom = float(np.prod([values.shape[axis] - 1 for axis in chosen]))
    each = values.size / effects.size  # values that every effect is a mean of
    square = float((effects**2).sum()) * each / freedom
    return square, freedom / _heaviness(effects.ravel(), freedom)


def _heaviness(effects: FloatArray, freedom: float) -> float:
    """How many times more a mean square of such effects varies than one of normal ones; 1 where that cannot be seen."""
    count, spread = len(effects), float((effects**2).mean())
    if count < _SEEN_FROM or spread <= 0:
        return 1.0
    biased = float((effects**4).mean()) / spread**2 - 3.0
    excess = (count - 1) / ((count - 2) * (count - 3)) * ((count + 1) * biased + 6)
    return 1.0 + max(0.0, excess) / 2 * freedom / (freedom + 1)


def _solution(sets: Sequence[_Set], shape: tuple[int, ...]) -> FloatArray:
    """(sets, sets): variances from mean squares."""
    solve = np.zeros((len(sets), len(sets)))
    for row, small in enumerate(sets):
        left = np.prod([shape[axis] for axis in range(len(shape)) if axis not in small])
        for column, large in enumerate(sets):
            if set(small) <= set(large):
                solve[row, column] = (-1) ** (len(large) - len(small)) / left
    return solve


def _shares(names: Sequence[str], estimates: FloatArray, drawn: FloatArray, alpha: float) -> dict[str, Share]:
    """Of the parts (P,) and their draws (P, draws), negative ones taken for 0."""
    parts, whole = np.maximum(drawn, 0), float(np.maximum(estimates, 0).sum())
    total = parts.sum(axis=0)
    if whole <= _NOTHING:
        return {name: Share(float(value), None, (0.0, 1.0)) for name, value in zip(names, estimates, strict=True)}
    drawn_shares = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
    told: dict[str, Share] = {}
    for row, name in enumerate(names):
        share = max(0.0, float(estimates[row])) / whole
        low, high = np.quantile(drawn_shares[row], (alpha / 2, 1 - alpha / 2))
        told[name] = Share(float(estimates[row]), share, (min(float(low), share), max(float(high), share)))
    return told
