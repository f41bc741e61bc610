"""e-BH: which of many hypotheses to reject, and the gatekeeper over all of them. All in logarithms, for e-values overflow.

Formula.  Sort the e-values downwards, e_(1) ≥ … ≥ e_(H). Reject the k̂ largest, where

    k̂ = max { k : e_(k) ≥ H / (α k) }.

The false discovery rate is at most α · H₀/H under *any* dependence between the e-values, and at any common stopping time when they come
from e-processes in one filtration (as ours do: each pair is symmetric given everything seen so far, in all strata and for all
hypotheses).

Gatekeeper.  FDR control alone lets an audit of two identical models report something now and then, and two families (strata, hypotheses)
would share the blame. So nothing is reported unless the *overall* e-value reaches 1/α. While exploring it is

    E_0 = ( W_global + mean_s W_s + 1 ) / 3,

the last third waiting for the hypotheses. Once exploring has ended, nothing is bet on the first two any more; with W = mean_h W_h,

    E = E_0 · W              if E_0 < 1/α: all that is left is put on the hypotheses,
    E = E_0 + (W − 1) / 3    else: the gate is open, and only their own third is at stake.

If the models are identical that is the capital of one bettor who starts with 1 and looks at the past only, a martingale, and by Ville
P(sup E ≥ 1/α) ≤ α: the chance that an audit of identical models ever says anything is at most α, peeking included. If they differ, the
gate only removes rejections, so e-BH's FDR bound stands. Averages keep this true under any dependence within a family.

Shares.  Hypotheses need not start equal: with shares p_h ≥ 0 of the error budget, Σ p_h ≤ 1, fixed before h's first bet, reject by

    k̂ = max { k : p_(k) e_(k) ≥ 1 / (α k) }        (p_h = 1/H is the plain rule)

and the family's capital is Σ p_h W_h + (1 − Σ p_h). FDR ≤ α Σ_{h null} p_h: E[1{h rejected}/k̂] ≤ α p_h E[e_h]. A share that nobody holds
yet waits with capital 1: so families may grow while they are tested (strata that are split).

What it does not say: a rejected stratum or sentence is one where the models differ *somewhere*; the size is `effects`' to say.

Edge cases.  No e-values: nothing rejected; log-mean of an empty family is 0 (capital that was never staked is still 1). NaN is an
error: a hypothesis without evidence has e-value 1, log 0. −inf (ruin) is allowed, +inf is rejected first.

Sources: Wang & Ramdas 2022, "False discovery rate control with e-values", JRSS-B, arXiv:2009.02824, section 3;
Ramdas, Grünwald, Vovk & Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference", arXiv:2210.01948 (Ville, averaging).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from auto_interventions.records import BoolArray, FloatArray


def e_bh(log_e: ArrayLike, alpha: float, shares: FloatArray | None = None) -> BoolArray:
    """Which hypotheses e-BH rejects at level `alpha`.

    Args:
        log_e: (H,) natural logs of the e-values of *all* hypotheses ever proposed.
        alpha: false discovery rate, in (0, 1).
        shares: (H,) of the error budget, positive, adding up to 1 at most; None gives each 1/H.

    Returns:
        (H,) booleans.

    Raises:
        ValueError: NaN, alpha outside (0, 1), or shares that are not.

    >>> e_bh(np.log([200.0, 90.0, 1.0, 0.1]), alpha=0.05)     # thresholds 80/1, 80/2, …
    array([ True,  True, False, False])
    """
    values = _checked(log_e)
    _check_alpha(alpha)
    if values.size == 0:
        return np.zeros(0, dtype=np.bool_)
    count = len(values)
    # H·p_h = 1 exactly where the shares are equal.
    values = values if shares is None else values + np.log(_checked_shares(shares, count) * count)
    thresholds = np.log(count / alpha) - np.log(np.arange(1, count + 1))
    passed = np.flatnonzero(np.sort(values)[::-1] >= thresholds)
    return values >= thresholds[passed[-1]] if passed.size else np.zeros(count, dtype=np.bool_)


def explored_log_e(log_global: float, log_strata: ArrayLike, shares: FloatArray | None = None) -> float:
    """Log of the e-value against "the models are identical" (the gatekeeper's) while exploring, E_0.

    Args:
        log_global: log of the wealth of all explored pairs.
        log_strata: (S,) logs of the strata's wealths.
        shares: (S,) as in `e_bh`; None gives each the same.

    Raises:
        ValueError: NaN, or shares that are not.

    >>> round(explored_log_e(0.0, [0.0, 0.0]), 12)
    0.0
    """
    return log_mean_exp([float(_checked([log_global])[0]), log_capital(log_strata, shares), 0.0])


def overall_log_e(log_explored: float, log_hypotheses: ArrayLike, alpha: float, shares: FloatArray | None = None) -> float:
    """Log of the gatekeeper's e-value once exploring has ended.

    Args:
        log_explored: what exploring left, `explored_log_e`.
        log_hypotheses: (H,) logs of the hypotheses' wealths; empty: `log_explored` as it is.
        alpha: level of the gate, in (0, 1).
        shares: (H,) as in `e_bh`.

    Raises:
        ValueError: NaN, alpha outside (0, 1), or shares that are not.

    >>> round(float(np.exp(overall_log_e(np.log(0.5), np.log([30.0, 50.0]), 0.05))), 6)
    20.0
    """
    explored, won = float(_checked([log_explored])[0]), log_capital(log_hypotheses, shares)
    if not gate_is_open(explored, alpha):
        return explored + won
    return float(np.logaddexp(explored + np.log1p(-np.exp(-explored) / 3), won - np.log(3)))


def gate_is_open(log_overall: float, alpha: float) -> bool:
    """Whether anything at all may be reported: overall e-value ≥ 1/alpha."""
    _check_alpha(alpha)
    return bool(log_overall >= -np.log(alpha))


def log_mean_exp(log_e: ArrayLike) -> float:
    """log of the mean of exp(log_e); 0 if there is none. The mean of e-values is an e-value, whatever their dependence."""
    values = _checked(log_e)
    return float(logsumexp(values) - np.log(len(values))) if values.size else 0.0


def log_capital(log_e: ArrayLike, shares: FloatArray | None = None) -> float:
    """log of a family's capital, Σ share × e-value; what is not shared out yet counts as it stands, 1 each.

    >>> round(float(np.exp(log_capital(np.log([9.0, 1.0]), np.array([0.25, 0.25])))), 6)
    3.0
    """
    values = _checked(log_e)
    if shares is None or not values.size:
        return log_mean_exp(values)
    held = _checked_shares(shares, values.size)
    left = max(0.0, 1.0 - float(held.sum()))
    return float(np.asarray(logsumexp(np.append(values, 0.0), b=np.append(held, left))))


def _checked_shares(shares: FloatArray, count: int) -> FloatArray:
    if shares.shape != (count,) or not np.all(shares > 0) or shares.sum() > 1 + 1e-9:
        raise ValueError(f"{count} hypotheses need {count} positive shares of the error budget that add up to 1 at most")
    return shares


def _checked(log_e: ArrayLike) -> FloatArray:
    values = np.asarray(log_e, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("log e-values must not be NaN: a hypothesis without evidence has log e-value 0")
    return values


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
