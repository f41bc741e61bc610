"""What a sentence pays on each pair: what is bet on, and what sizes are estimated from. With one judge both are the plain difference.

With two judges they part (`inference.cascade`). Bets take the strong judge's payoff where it was asked, else the cheap one's as far as it
has earned trust: bounded by 1, and symmetric around 0 where the models agree. Sizes take the rectified payoff y, which has the mean of the
strong judge's, whatever the cheap one is worth. Rates do the same with the sum of a pair's two scores: with z the rectified sum − 1,

    base = (1 + z − y) / 2,     intervention = (1 + z + y) / 2,

unbiased for each text's score, and their difference is y. They can leave [0, 1]; |y| and |z| are at most `cascade.largest`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.inference.cascade import cascade_payoffs, rectified
from auto_interventions.judging.judged import Judged
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix


def bets_of(judged: Judged, row: int) -> FloatArray:
    """(N,) payoffs in [−1, 1] of sentence number `row` to bet on, in the order of the pairs; NaN = no bet."""
    payoffs = judged.cheap_intervention[row].astype(np.float64) - judged.cheap_base[row].astype(np.float64)
    twice = _twice(judged, row)
    if twice.any():
        cheap, strong = payoffs[twice], _strong(judged, row, twice, -1.0)
        payoffs[twice] = cascade_payoffs(cheap, strong, judged.asked[row, twice], judged.chance[row, twice])
    return payoffs


def fresh_bets(whole: Judged, fresh: Judged) -> FloatArray:
    """(H, n) payoffs to bet on of the last n pairs of `whole`, which are `fresh`; trust in a cheap judge comes from all pairs before."""
    payoffs = fresh.cheap_intervention.astype(np.float64) - fresh.cheap_base.astype(np.float64)
    if not fresh.alone:
        for row in np.flatnonzero(fresh.chance.any(axis=1)).tolist():
            payoffs[row] = bets_of(whole, row)[whole.shape[1] - fresh.shape[1] :]
    return payoffs


def unbiased_scores(judged: Judged, row: int) -> tuple[FloatArray | FloatMatrix, FloatArray | FloatMatrix]:
    """(N,) scores of the base's and of the intervention's texts of sentence number `row` that sizes are estimated from; NaN = left out.

    Where some pairs had a second judge, those alone: which they are was fixed by the pairs before.
    """
    base, intervention = judged.cheap_base[row], judged.cheap_intervention[row]
    twice = _twice(judged, row)
    if not twice.any():
        return base, intervention
    # Pairs that were the cheap judge's alone, before the sentence was promising, do not say what the strong one would have seen there.
    base, intervention = (np.where(twice, scores, np.nan).astype(np.float64) for scores in (base, intervention))
    asked, chance = judged.asked[row, twice], judged.chance[row, twice]
    payoff = rectified((intervention - base)[twice], _strong(judged, row, twice, -1.0), asked, chance)
    middle = rectified((intervention + base)[twice] - 1, _strong(judged, row, twice, 1.0) - 1, asked, chance)
    base[twice], intervention[twice] = (1 + middle - payoff) / 2, (1 + middle + payoff) / 2
    return base, intervention


def counted(judged: Judged, row: int) -> BoolArray:
    """(N,) the pairs that count for the size of sentence number `row`: judged, by the strong judge where it was asked."""
    answered, twice = ~np.isnan(judged.cheap_base[row] + judged.cheap_intervention[row]), _twice(judged, row)
    if twice.any():
        answered &= twice
    return np.where(judged.asked[row], ~np.isnan(judged.strong_base[row] + judged.strong_intervention[row]), answered)


def payoff_sums(payoffs: FloatArray | csr_matrix, strata: Sequence[str], names: Sequence[str]) -> FloatArray:
    """(H, S, 3) number, sum and sum of squares of payoffs (H, n) by stratum; NaN is left out, and so are strata not in `names`.

    A sparse matrix of payoffs, of which most are nothing, has no NaN.
    """
    number = {name: place for place, name in enumerate(names)}
    where = np.array([number.get(name, 0 if len(names) == 1 else -1) for name in strata], dtype=np.int64)
    known = np.flatnonzero(where >= 0)
    members = csr_matrix((np.ones(len(known)), (where[known], known)), shape=(len(names), len(strata)))
    if isinstance(payoffs, csr_matrix):
        of_stratum = csr_matrix(members.T)
        paid, squares = (csr_matrix(some @ of_stratum).toarray() for some in (payoffs, payoffs.multiply(payoffs)))
        pairs_of_stratum = np.asarray(members.sum(axis=1), dtype=np.float64).ravel()
        return np.stack([np.broadcast_to(pairs_of_stratum, paid.shape), paid, squares], axis=-1)
    paid = np.nan_to_num(payoffs, nan=0.0)
    moments = ((~np.isnan(payoffs)).astype(np.float64), paid, paid**2)
    return np.stack([np.asarray(members @ moment.T, dtype=np.float64).T for moment in moments], axis=-1)


def _twice(judged: Judged, row: int) -> BoolArray:
    """(N,) the pairs on which there is a second judge."""
    return judged.chance[row] > 0


def _strong(judged: Judged, row: int, where: BoolArray, sign: float) -> FloatArray:
    """The strong judge's score of the intervention's text, plus or minus that of the base's."""
    base, intervention = (scores[row, where].astype(np.float64) for scores in (judged.strong_base, judged.strong_intervention))
    return intervention + sign * base
