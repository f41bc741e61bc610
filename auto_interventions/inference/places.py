"""Where a difference lies: the strata in which a check pays, out of payoffs −1, 0 and 1 by stratum.

Three questions, three functions. All take a change to hold in some strata and in no others, in a share of them that nobody knows.

*Is there anything?* (`evidence_of_places`.)  In one stratum a bettor who stakes the part λ of the capital on each payoff makes W_s. If
a share π of the strata is affected, all of them about alike, Π_s (1 − π + π W_s) is a test martingale, as one pair changes one factor,
and so is its average over a grid of π and λ (Vovk & Wang 2021). It sees ten strata of a hundred with two nats each, which neither the
best stratum nor all together show. Nothing is assumed of base rates, which may differ from stratum to stratum.

*Where?* (`locate`.)  That is asked of checks that are taken to be real, so more may be assumed: in an affected stratum pairs are won at
rate a and lost at rate b, elsewhere both at rate b, alike in all strata. Won and lost pairs are Poisson; a and b by expectation and
maximisation (Dempster, Laird & Rubin 1977) for each of six shares of affected strata, weighed by their likelihood. So a word that the base
never writes is located by its first text, while of a word that one text in twelve has anyway it takes a hundred. What it would pay there is
another matter: the words of a topic are won often in the topic's strata, and lost as often. So the expected payoff goes by what was lost
in those strata, not by b.

*Does it go on?* (`recurrence`.)  Fresh pairs of where it was found show it again at the rate a, or hardly ever. Coin flips do not see the
second: a phrase that came up by chance and never again has lost no flip.

No error rate hangs on any of them: they decide where to look, what to propose, and how much of a stake to bet where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from auto_interventions.inference.betting import approximate_growth, best_growth
from auto_interventions.records import BoolArray, FloatArray, IntArray

_CERTAIN = 500.0  # nats: more wealth than this overflows
_STAKES = np.array([0.2, 0.4, 0.6, 0.8, 0.95])
_FINE_STAKES = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.4])  # of the strata, affected
_EVERYWHERE = np.append(SHARES, 1.0)
_STEPS = 11  # of expectation and maximisation: more hardly move the posterior
_LEAST_RISE = 0.02  # of the rate, at the start
_HALF_A_PAIR = 0.5  # won and lost beforehand, so that no rate is 0
_APART = 1.001  # a / b at least
SELECTED = 0.5  # an explored pair counts for half a pair: what was chosen for how it looked looks better than it is


@dataclass(frozen=True, slots=True)
class Places:
    """What is believed of H checks in S strata, each (H, S).

    `growth`: nats a pair that a bettor would earn who learns whether the stratum is affected. `mean`, `second`: expected payoff in the
    direction that was asked for, and its expected square.
    """

    growth: FloatArray
    mean: FloatArray
    second: FloatArray


def evidence_of_places(won: FloatArray, lost: FloatArray, most: FloatArray | None = None) -> FloatArray:
    """(C,) log e-values against "each pair that one side wins is a coin flip, in every stratum".

    Args:
        won: (C, S) pairs won in each stratum, in the direction that is asked for.
        lost: (C, S) pairs lost.
        most: (C, S) what log W_s may be at most; None: unbounded.

    >>> won = np.zeros((3, 100))
    >>> won[0, :10], won[1, 0], won[2, :] = 4, 4, 4
    >>> evidence_of_places(won, np.stack([np.zeros(100), np.zeros(100), np.full(100, 4)])).round(1)
    array([15.4,  0.7, -2.3])
    """
    row, stratum = np.nonzero(won + lost)  # where nobody wins W is 1, and its factor too
    limit = None if most is None else most[row, stratum]
    return evidence_of_cells(row, won[row, stratum], lost[row, stratum], len(won), limit)


def evidence_of_cells(check: IntArray, won: FloatArray, lost: FloatArray, checks: int, most: FloatArray | None = None) -> FloatArray:
    """(checks,) the same of the n strata in which something was won or lost; all others (n,): which check, and what of it."""
    limit = _CERTAIN if most is None else np.minimum(most, _CERTAIN)
    own: list[FloatArray] = []
    for stake in _STAKES.tolist():
        profit = np.expm1(np.minimum(won * np.log1p(stake) + lost * np.log1p(-stake), limit))
        own += [np.asarray(np.bincount(check, np.log1p(share * profit), checks), dtype=np.float64) for share in SHARES.tolist()]
    return np.asarray(np.logaddexp.reduce(own, axis=0) - np.log(len(own)))


def evidence_everywhere(won: FloatArray, lost: FloatArray) -> FloatArray:
    """(C,) the same for one bettor in all strata alike; `won`, `lost`: (C,) pairs."""
    capital = won[:, None] * np.log1p(_FINE_STAKES) + lost[:, None] * np.log1p(-_FINE_STAKES)
    return np.asarray(np.logaddexp.reduce(capital, axis=-1) - np.log(len(_FINE_STAKES)))


def locate(seen: FloatArray, direction: FloatArray, graded: BoolArray | None = None) -> Places:
    """Where H checks that are taken to be real hold.

    Args:
        seen: (H, S, 3) number, sum and sum of squares of the payoffs of each stratum.
        direction: (H,) +1 or −1: more in the intervention, or in the base.
        graded: (H,) whose payoffs lie anywhere in [−1, 1], as language models judge; None: none.
    """
    count, won, lost = decided(seen, direction)
    affected, likelihood, higher, lower = _mixture(count, won, lost)
    chance = likelihood[..., None] * affected
    inside_lost, inside = (np.einsum("hps,hs->hp", affected, values) for values in (lost, count))
    usual = np.minimum((1 + inside_lost) / (1 / lower + inside), higher / _APART)  # b, until more was lost there than that
    rise, paid = higher - usual, higher + usual
    growth = best_growth(rise, paid)
    if graded is not None:
        growth = np.where(graded[:, None], approximate_growth(rise, paid), growth)
    paid_anyway = (2 * likelihood * lower).sum(axis=1)[:, None]
    return Places(_mean(chance, growth), _mean(chance, rise), paid_anyway + _mean(chance, paid - 2 * lower))


def recurrence(before: FloatArray, since: FloatArray, direction: FloatArray) -> FloatArray:
    """(H,) nats by which fresh pairs fit "it goes on where it was found" better than "there it is as rare as elsewhere".

    The rate a where it was found is not known but believed, as a Gamma variable with half of the pairs that it was found by (`SELECTED`):
    where three pairs of thirty showed it, thirty fresh ones that do not are 2 nats against it.

    Args:
        before: (H, S, 3) number, sum and sum of squares of the payoffs −1, 0, 1 of each stratum, by which the check was found.
        since: (H, S, 3) the same of fresh pairs.
        direction: (H,) +1 or −1: more in the intervention, or in the base.
    """
    (count, won, lost), (fresh, fresh_won, _) = (decided(sums, direction) for sums in (before, since))
    affected, likelihood, _, lower = _mixture(count, won, lost)
    inside_won, inside, again, asked = (np.einsum("hps,hs->hp", affected, values) for values in (won, count, fresh_won, fresh))
    shape, rate = SELECTED * inside_won + _HALF_A_PAIR, SELECTED * inside + 1.0
    found = gammaln(shape + again) - gammaln(shape) + shape * np.log(rate) - (shape + again) * np.log(rate + asked)
    nats = found - (again * np.log(lower) - lower * asked)
    return np.asarray(logsumexp(nats, axis=1, b=likelihood), dtype=np.float64)


def decided(sums: FloatArray, direction: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(H, S) pairs, won and lost ones, of (H, S, 3) payoffs in the directions (H,); graded ones may sum to more than their squares."""
    forward = direction[:, None] * sums[..., 1]
    won, lost = (np.maximum(sums[..., 2] + side * forward, 0.0) / 2 for side in (1.0, -1.0))
    return sums[..., 0], won, lost


def _mean(chance: FloatArray, value: FloatArray) -> FloatArray:
    """(H, S) of (H, P, S) chances and (H, P) values."""
    return np.asarray(np.einsum("hps,hp->hs", chance, value))


def _mixture(count: FloatArray, won: FloatArray, lost: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(H, P, S) chance that a stratum is affected for each of P shares, (H, P) how likely the shares are, and (H, P) rates a and b."""
    pairs, wins, losses = (sums.sum(axis=1)[:, None] for sums in (count, won, lost))
    lower = np.repeat((losses + _HALF_A_PAIR) / (pairs + 1), len(_EVERYWHERE), axis=1)
    rise = np.maximum((wins - losses) / np.maximum(pairs, 1.0), _LEAST_RISE)
    higher = np.minimum(lower + rise / _EVERYWHERE, 1.0)
    affected, fit = _expected(count, won, higher, lower)
    for _ in range(_STEPS):
        inside_won, inside = np.einsum("hps,hs->hp", affected, won), np.einsum("hps,hs->hp", affected, count)
        lower = np.minimum((losses + wins - inside_won + _HALF_A_PAIR) / (2 * pairs - inside + 1), 1 / _APART)
        higher = np.clip((inside_won + _HALF_A_PAIR) / (inside + 1), lower * _APART, 1.0)
        affected, fit = _expected(count, won, higher, lower)
    likely = (wins + losses) * np.log(lower) - 2 * pairs * lower + fit
    likely = np.exp(likely - likely.max(axis=1, keepdims=True))
    return affected, likely / likely.sum(axis=1, keepdims=True), higher, lower


def _expected(count: FloatArray, won: FloatArray, higher: FloatArray, lower: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(H, P, S) chance that a stratum is affected, and (H, P) log-likelihood against "no stratum is"."""
    yes, no = np.log(_EVERYWHERE)[:, None], np.log(np.maximum(1 - _EVERYWHERE, 1e-12))[:, None]
    ratio = won[:, None] * np.log(higher / lower)[..., None]
    ratio -= count[:, None] * (higher - lower)[..., None]
    odds = np.exp(np.minimum(ratio + (yes - no), _CERTAIN))
    return odds / (1 + odds), np.asarray(np.log1p(odds).sum(axis=-1) + no[:, 0] * count.shape[1])
