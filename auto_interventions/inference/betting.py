"""Testing by betting: an e-value against "swapping the two texts of a pair changes nothing".

Formula.  A bettor starts with capital 1 and sees payoffs x_1, x_2, … ∈ [−1, 1]. Before each it stakes a fraction λ:

    W_t = W_{t−1} · (1 + λ_t x_t),   λ_t chosen from x_1 … x_{t−1} only.

If every x_t is symmetric around 0 given the past (its conditional mean being 0 is enough), W is a nonnegative martingale that starts at
1. So E[W_τ] ≤ 1 at every stopping time τ, P(sup W ≥ 1/α) ≤ α (Ville), and 1/W is a p-value that may be looked at after every payoff.

Which λ?  No single one: a mixture over a grid, W_t = Σ_k π_k Π_i (1 + λ_k x_i), each grid point a martingale with capital π_k. The
mixture is itself a predictable bettor, λ_t = Σ_k w_k λ_k with w_k ∝ the capital of grid point k before t: money moves to the fractions
that won, and in the end the mixture is at most log(1/π_k) behind the best of them. `one-sided` grids bet on x > 0 only; `two-sided` put
half the capital on each sign, so that a reversed difference is found too.

What it does not say: how large the difference is (`effects`), nor that it is the same everywhere.

Edge cases.  x = 0 changes nothing. NaN (a judge abstained, a discriminator had nothing to go by) is no bet. |x| > 1 is an error: it could
bring the capital below 0. Capital is kept in logarithms: e-values of thousands of pairs overflow float64.

Sources: Shekhar & Ramdas 2023, "Nonparametric two-sample testing by betting", IEEE Trans. Inf. Theory, arXiv:2112.09162, sections 2–3;
Podkopaev & Ramdas 2023, "Sequential predictive two-sample and independence testing", NeurIPS, arXiv:2305.00143, section 2;
Waudby-Smith & Ramdas 2023, "Estimating means of bounded random variables by betting", JRSS-B, arXiv:2010.09686, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import entr, logsumexp

from auto_interventions.records import FloatArray, IntArray

# Fractions of the capital, dense enough that the best of them is never far; below 1, so that no single payoff ruins a grid point.
FRACTIONS: FloatArray = np.array([0.05, 0.15, 0.35, 0.6, 0.82, 0.97])


def betting_grid(two_sided: bool) -> FloatArray:
    """The fractions λ_k, shape (K,): `FRACTIONS`, and their negatives first if two-sided."""
    return np.concatenate([-FRACTIONS[::-1], FRACTIONS]) if two_sided else FRACTIONS.copy()


def start_log_wealth(rows: int, two_sided: bool, prior: FloatArray | None = None) -> FloatArray:
    """Log-capital of `rows` processes before any bet, shape (rows, K): each row's capital is 1.

    Args:
        prior: (rows, K) share of the capital at each grid point, chosen before the first bet; None = even.

    Raises:
        ValueError: a prior of another shape, with a share that is not above 0, or whose rows do not sum to 1.
    """
    points = len(betting_grid(two_sided))
    if prior is None:
        return np.full((rows, points), -np.log(points))
    if prior.shape != (rows, points):
        raise ValueError(f"a prior over the fractions must have shape ({rows}, {points}), not {prior.shape}")
    if not np.all(prior > 0) or not np.allclose(prior.sum(axis=1), 1.0, rtol=0, atol=1e-9):
        raise ValueError("a prior over the fractions must be above 0 everywhere and sum to 1 in each row")
    return np.log(prior / prior.sum(axis=1, keepdims=True))


def log_growth(payoffs: FloatArray, two_sided: bool) -> FloatArray:
    """log(1 + λ_k x) of every payoff at every grid point, shape payoffs.shape + (K,); 0 where the payoff is NaN (no bet).

    Raises:
        ValueError: a payoff outside [−1, 1].
    """
    x = np.asarray(payoffs, dtype=np.float64)
    if np.any(np.abs(x) > 1):  # NaN compares false: an abstention passes
        raise ValueError("payoffs must lie in [-1, 1] (NaN = abstained); clip them before betting")
    return np.log1p(np.nan_to_num(x, nan=0.0)[..., None] * betting_grid(two_sided))


def best_growth(mean: FloatArray, second: FloatArray) -> FloatArray:
    """Nats a pair of the bettor who knows how payoffs −1, 0, 1 fall: second moment × (log 2 − entropy of who wins a decided pair).

    It is at most 0.69 × second moment: where nothing is ever paid there is nothing to win, however the mean is estimated (Kelly 1956).

    Args:
        mean: (…) ≥ 0; more than `second` counts as `second`.
        second: (…) ≥ 0.

    >>> best_growth(np.array([0.0, 0.3, 1.0, 0.3]), np.array([0.5, 0.5, 1.0, 0.1])).round(2)
    array([0.  , 0.1 , 0.69, 0.07])
    """
    won = (1 + np.minimum(mean / np.maximum(second, 1e-300), 1.0)) / 2
    return second * (np.log(2) - entr(won) - entr(1 - won))


def approximate_growth(mean: FloatArray, second: FloatArray) -> FloatArray:
    """Nats a pair of the best bettor on payoffs anywhere in [−1, 1]: λm − λ²v/2, λ = min(1, m/v), with mean m ≥ 0 and second moment v > 0
    (second-order Kelly growth; Shekhar & Ramdas 2023). Arrays of one shape.

    >>> approximate_growth(np.array([0.0, 0.3, 1.0]), np.array([0.5, 0.5, 1.0])).round(2)
    array([0.  , 0.09, 0.5 ])
    """
    stake = np.minimum(1.0, mean / second)
    return stake * mean - stake**2 * second / 2


def bet_many(log_wealth: FloatArray, payoffs: FloatArray) -> FloatArray:
    """Bets the payoffs of many processes at once.

    Args:
        log_wealth: (H, K) log-capital per process and grid point (`start_log_wealth`).
        payoffs: (H, n) in [−1, 1], in the order of betting; NaN = abstained.

    Returns:
        The new (H, K) log-capital.

    Raises:
        ValueError: a payoff outside [−1, 1], or shapes that do not fit.
    """
    two_sided = _is_two_sided(log_wealth.shape[-1])
    if payoffs.ndim != 2 or payoffs.shape[0] != log_wealth.shape[0]:
        raise ValueError(f"payoffs must have shape ({log_wealth.shape[0]}, n), not {payoffs.shape}")
    # One process after the other: (n, K) fits in the processor's cache, (H, n, K) in no memory.
    growth = [log_growth(row, two_sided).sum(axis=0) for row in payoffs]
    return log_wealth + np.stack(growth) if growth else log_wealth.copy()


def bet_grouped(log_wealth: FloatArray, payoffs: FloatArray, groups: IntArray) -> FloatArray:
    """Bets each payoff in the process that `groups` names: one wealth a stratum, fed by a batch that mixes them.

    Args:
        log_wealth: (G, …, K) log-capital.
        payoffs: (…, n), the middle dimensions as in `log_wealth`.
        groups: (n,) in 0 … G−1.

    Returns:
        The new (G, …, K) log-capital.
    """
    growth = np.moveaxis(log_growth(payoffs, _is_two_sided(log_wealth.shape[-1])), -2, 0)  # (n, …, K)
    grown = log_wealth.copy()
    np.add.at(grown, groups, growth)
    return grown


def log_e_values(log_wealth: FloatArray) -> FloatArray:
    """Natural log of the e-value of each process: log of its total capital over the grid; (H, K) → (H,)."""
    return np.asarray(logsumexp(log_wealth, axis=-1), dtype=np.float64)


def _is_two_sided(points: int) -> bool:
    if points not in (len(FRACTIONS), 2 * len(FRACTIONS)):
        raise ValueError(f"log-wealth has {points} grid points, not {len(FRACTIONS)} or {2 * len(FRACTIONS)}")
    return points == 2 * len(FRACTIONS)


@dataclass(frozen=True, slots=True)
class Wealth:
    """The capital of a few bettors on the same events, averaged: each starts with an equal share of 1.

    `log_wealth` has shape (bettors, K). One bettor is the usual case; two are a global and a local discriminator.

    >>> wealth = Wealth.start(two_sided=True)
    >>> wealth.log_e
    0.0
    >>> round(wealth.bet(np.ones(20)).log_e, 1)   # twenty times the same sign: e-value about 80,000
    11.3
    >>> wealth.bet(np.array([0.0, np.nan])).log_e    # a tie and an abstention change nothing
    0.0
    """

    log_wealth: FloatArray

    @staticmethod
    def start(two_sided: bool, bettors: int = 1) -> Wealth:
        """Capital 1, shared evenly by `bettors` and, within each, by the grid."""
        return Wealth(start_log_wealth(bettors, two_sided))

    def bet(self, payoffs: FloatArray) -> Wealth:
        """The wealth after betting `payoffs` in order.

        Args:
            payoffs: (n,) for one bettor, (bettors, n) for several; in [−1, 1], NaN = abstained.

        Raises:
            ValueError: a payoff outside [−1, 1], or a shape that does not fit.
        """
        return Wealth(bet_many(self.log_wealth, np.atleast_2d(payoffs)))

    @property
    def log_e(self) -> float:
        """Natural log of the e-value: the mean of the bettors' capital. A test martingale, so it may be read at any time."""
        return float(logsumexp(self.log_wealth) - np.log(len(self.log_wealth))) + 0.0  # + 0.0: no "-0.0"

    @property
    def fraction(self) -> float:
        """The predictable λ that the mixture stakes on the next payoff (with several bettors: their capital-weighted mean)."""
        weights = np.exp(self.log_wealth - np.asarray(logsumexp(self.log_wealth)))
        return float((weights @ betting_grid(_is_two_sided(self.log_wealth.shape[-1]))).sum())
