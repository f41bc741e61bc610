"""Clumps: pairs won in a few strata only, set against how unevenly a check is spread over strata anyhow.

Coin flips (`places.evidence_of_places`) look at decided pairs alone. A word that came up six times in two strata, always on one side, has
six flips to show, as has one that came up six times all over the place, or one that came up six times at once and never in the two hundred
pairs that were asked there since. Rates tell them apart. In stratum s a check is lost at a rate r_s that varies between strata as a Gamma
variable does, so counts of lost pairs are negative binomial; how much they vary is learnt from all checks that are about as rare
(empirical Bayes, moments), as topical words vary more than most. Were there no change, pairs would be won at the same rates; where there
is one, at r_s + a rise. The nats are those of a mixture over the rise and over the share of affected strata.

What these nats are worth nobody knows beforehand: rates vary as no Gamma variable does, those of rare words more than those of common
ones. But were there no change the two models could be swapped, so what the checks show with the sides swapped is what chance shows (the
idea of knockoffs: Barber & Candès 2015, Annals of Statistics 43(5)). So a check is set against those about as rare, with their sides
swapped: how many stand out as far (`with_clumps`)?

No error rate hangs on it: it decides where to look."""

from __future__ import annotations

import numpy as np

from auto_interventions.inference.places import SHARES, decided, evidence_of_places
from auto_interventions.records import FloatArray, IntArray

_RISES = np.array([0.02, 0.05, 0.1, 0.2, 0.4])
_HALF_A_PAIR = 0.5  # lost beforehand, so that no rate is 0
_LEAST_SPREAD = 0.005  # squared coefficient of variation of a check's rates
_USUAL_SPREAD = 0.01  # at least that of a whole group of checks, before the check's own counts
_CERTAIN = 500.0  # nats: more overflows
_AS_RARE, _STEP = 200, 50  # checks that one is compared with, those about as rare, anew for so many
_FEWEST = 50  # checks that say what chance shows
_HIGHEST = 5  # one in so many
_SHAPE = 0.3  # of the generalized Pareto tail: what is left of the Gamma variable's faults
_LEAST_EXCESS = 1.0  # nats: what stands out further by a nat is not rarer than e times


def with_clumps(seen: FloatArray, forward: FloatArray) -> FloatArray:
    """(C,) nats for "it holds in some strata": of coin flips or, if more, −log of the chance by which a check about as rare clumps as much.

    Too few checks to say how high chance goes: of coin flips alone.

    Args:
        seen: (C, S, 3) number, sum and sum of squares of each check's payoffs −1, 0, 1 in each stratum; the same number for all checks.
        forward: (C,) +1 or −1: the direction in which each check leans.
    """
    pairs = seen[0, :, 0] if len(seen) else np.zeros(seen.shape[1])
    _, up, down = decided(seen, np.ones(len(seen)))
    flips = np.stack([evidence_of_places(up, down), evidence_of_places(down, up)])
    lead = (forward < 0).astype(np.int64)
    found = flips[lead, np.arange(len(seen))]
    if len(seen) < _FEWEST:
        return found
    clumps = np.stack([evidence_of_clumps(pairs, up, down), evidence_of_clumps(pairs, down, up)])
    by_rarity = np.argsort((up + down).sum(axis=1), kind="stable")
    for first in range(0, len(seen), _STEP):
        here = by_rarity[first : first + _STEP]
        start = max(0, min(first + _STEP // 2 - _AS_RARE // 2, len(seen) - _AS_RARE))
        like = by_rarity[start : start + _AS_RARE]
        for side in (0, 1):
            own = here[lead[here] == side]
            found[own] = np.maximum(found[own], _rarity(clumps[side, own], clumps[1 - side, like]))
    return found


def _rarity(nats: FloatArray, by_chance: FloatArray) -> FloatArray:
    """−log of the share of `by_chance` that reaches each of `nats`.

    Among the highest fifth, and beyond it, the share thins out as a generalized Pareto variable's does (Pickands 1975), its scale by the
    mean of what they exceed its level.
    """
    chance = np.sort(by_chance)
    highest = len(chance) // _HIGHEST
    level, top = chance[-highest - 1], chance[-highest:]
    excess = max(float(np.mean(top - level)), _LEAST_EXCESS)
    reached = len(chance) - np.searchsorted(chance, nats, side="left")
    within = np.log((len(chance) + 1) / (reached + 1))
    beyond = np.log(len(chance) / highest) + np.log1p(_SHAPE * np.maximum(nats - level, 0.0) / excess) / _SHAPE
    return np.where(nats > level, beyond, within)


def evidence_of_clumps(pairs: FloatArray, won: FloatArray, lost: FloatArray) -> FloatArray:
    """(C,) nats by which a rise in some strata explains the won pairs better than rates that vary between strata anyhow.

    Args:
        pairs: (S,) pairs of each stratum.
        won, lost: (C, S) pairs that each check won and lost there.

    >>> won = np.zeros((3, 50))
    >>> won[0, :2], won[1, :6], won[2, 0] = 3, 1, 6  # in two strata, scattered, in one
    >>> evidence_of_clumps(np.full(50, 20.0), won, np.zeros((3, 50))).round()
    array([18.,  6., 24.])
    """
    check, stratum = np.nonzero(won + lost)
    sizes, size = np.unique(pairs, return_inverse=True)
    lost_of_cell, won_of_cell, of_cell = lost[check, stratum], won[check, stratum], pairs[stratum]
    rate = (lost.sum(axis=1) + _HALF_A_PAIR) / (pairs.sum() + 1)
    shape = 1 / _spread(pairs, check, lost_of_cell, of_cell, rate)
    # Strata in which a check decided nothing differ by their pairs only: counted, not looped over.
    decided = np.bincount(check * len(sizes) + size[stratum], minlength=len(won) * len(sizes)).reshape(len(won), len(sizes))
    quiet = np.bincount(size, minlength=len(sizes)) - decided
    own: list[FloatArray] = []
    for rise in _RISES.tolist():
        cells = _gain(of_cell, won_of_cell, lost_of_cell, shape[check], rate[check], rise)
        others = _gain(sizes[None], 0.0, 0.0, shape[:, None], rate[:, None], rise)
        for share in SHARES.tolist():
            paid = np.bincount(check, np.log1p(share * cells), len(won))
            own.append(np.asarray(paid + (quiet * np.log1p(share * others)).sum(axis=1), dtype=np.float64))
    return np.asarray(np.logaddexp.reduce(own, axis=0) - np.log(len(own)))


def _gain(
    pairs: FloatArray, won: FloatArray | float, lost: FloatArray | float, shape: FloatArray, rate: FloatArray, rise: float
) -> FloatArray:
    """Likelihood ratio less 1 of a rise in a stratum: negative binomial counts of won pairs, given the lost ones."""
    mass = shape + lost
    before = mass * pairs / (shape / rate + pairs)
    after = before + rise * pairs
    ratio = won * np.log(np.maximum(after, 1e-300) / np.maximum(before, 1e-300)) - (won + mass) * np.log((mass + after) / (mass + before))
    return np.asarray(np.expm1(np.minimum(ratio, _CERTAIN)), dtype=np.float64)


def _spread(pairs: FloatArray, check: IntArray, lost: FloatArray, of_cell: FloatArray, rate: FloatArray) -> FloatArray:
    """(C,) squared coefficient of variation of each check's rates: by moments of its lost pairs, shrunk to that of all about as rare."""

    def by_check(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(check, values, len(rate)), dtype=np.float64)

    total, scale = by_check(lost), rate**2 * (pairs**2).sum()
    excess = by_check(lost**2) - 2 * rate * by_check(lost * of_cell) + scale - rate * pairs.sum()
    rarity = np.maximum(np.floor(np.log2(total + 1)), 1).astype(np.int64)  # of what was lost once or never nothing can be learnt
    group = np.bincount(rarity, scale)
    usual = np.maximum(np.bincount(rarity, excess) / np.maximum(group, 1e-300), _USUAL_SPREAD)[rarity]
    weight = (group / np.maximum(np.bincount(rarity), 1))[rarity]
    return np.maximum((excess + weight * usual) / np.maximum(scale + weight, 1e-300), _LEAST_SPREAD)
