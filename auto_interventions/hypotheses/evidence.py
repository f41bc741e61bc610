"""How much a check that holds for some explored texts and not for others speaks for a difference of rates.

The evidence of a check is the logarithm of what a bettor would have made on the payoffs x = (holds for the intervention's text) − (holds
for the base's), pair by pair, who had known the best stake: max over λ ≤ 1 of λ·|Σx| − λ²·Σx²/2, a second-order bound of
Σ log(1 + λ·x). That is how confirming will decide, so the proposals that rank first here are those that can be confirmed there. It is no
e-value (the stake has seen the data); fresh prompts give that.

That is asked of all strata alike and, if that is more, of some strata (`places.evidence_of_places`); what rates say beside it is
`inference/clumps.py`'s.

A prompt that was asked fifty times says much about itself and little about others, on which confirming bets. So the evidence is at most
two coin flips' worth, 2·log 2, for each prompt in whose pairs the check leans its way more than the other way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.inference.places import evidence_of_places
from auto_interventions.records import FloatArray, numbers_of

_A_PROMPT = 2 * math.log(2)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of C checks, each (C,).

    `base`, `intervention`: rates, means over prompts. `growth`: the evidence, the larger of overall and in some strata.
    `direction`: +1 where the intervention has more, −1 where the base has, there where the evidence lies. `local`: the evidence in the best
    stratum alone, nothing taken off for having chosen it: no ground to propose a check, but one to look there.
    """

    base: FloatArray
    intervention: FloatArray
    growth: FloatArray
    direction: FloatArray
    local: FloatArray

    @property
    def difference(self) -> FloatArray:
        """Intervention − base."""
        return self.intervention - self.base


class Design:
    """Which text belongs to which side, prompt and stratum. Texts are the n base texts, then the n intervention texts."""

    def __init__(self, prompts: Sequence[str], strata: Sequence[str]) -> None:
        """`prompts`, `strata`: (n,) of the n pairs.

        Raises:
            ValueError: not as many strata as prompts.
        """
        if len(prompts) != len(strata):
            raise ValueError(f"{len(prompts)} pairs need {len(prompts)} strata, not {len(strata)}")
        pairs = len(prompts)
        codes = numbers_of(prompts)
        self.pairs = pairs
        self.prompts = int(codes.max()) + 1 if pairs else 0
        samples = np.bincount(codes, minlength=self.prompts)
        self.samples = float(1 / np.mean(1 / samples)) if pairs else 1.0  # harmonic mean of the samples a prompt
        stratum_of_pair = numbers_of(strata)
        self.strata = int(stratum_of_pair.max()) + 1 if pairs else 0
        stratum_of_prompt = np.zeros(self.prompts, dtype=np.int64)
        stratum_of_prompt[codes] = stratum_of_pair
        self.stratum_of_prompt = stratum_of_prompt
        rows = np.tile(codes, 2)
        weights = 1 / samples[codes]
        # (prompts, 2n): what turns marks of texts into differences of prompts.
        self.differences = csr_matrix((np.concatenate([-weights, weights]), (rows, np.arange(2 * pairs))), shape=(self.prompts, 2 * pairs))
        # (prompts, n): sums over a prompt's pairs.
        self.pairs_of_prompt = csr_matrix((np.ones(pairs), (codes, np.arange(pairs))), shape=(self.prompts, pairs))
        self.members = csr_matrix((np.ones(self.prompts), (stratum_of_prompt, np.arange(self.prompts))), shape=(self.strata, self.prompts))

    def evidence(self, marks: csr_matrix) -> Evidence:
        """Of checks, given (2n, C) marks: 1 where the check holds for the text."""
        base, intervention = (_sums(side) for side in self.means(marks))
        rows = marks.tocsr()
        payoffs = csr_matrix(rows[self.pairs :] - rows[: self.pairs])
        squares = csr_matrix(payoffs.multiply(payoffs))
        leaning = csr_matrix(self.pairs_of_prompt @ payoffs)
        leaning.data = np.sign(leaning.data)
        overall, overall_sum = _growth(_sums(payoffs), _sums(squares), _sums(leaning))
        growth, direction, alone = overall, np.sign(overall_sum), overall
        if self.strata > 1:
            some, leans, alone = self._by_stratum(payoffs, squares, leaning)
            growth, direction = np.maximum(growth, some), np.where(some > growth, leans, direction)
        prompts = max(1, self.prompts)
        return Evidence(base / prompts, intervention / prompts, growth, np.where(direction == 0, 1.0, direction), alone)

    def _by_stratum(self, payoffs: csr_matrix, squares: csr_matrix, leaning: csr_matrix) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(C,) evidence of holding in one stratum or some, its direction, and that of the best stratum, nothing taken off for the choice.

        `payoffs`, `squares`: (n, C). `leaning`: (prompts, C) signs.
        """
        pairs = csr_matrix(self.members @ self.pairs_of_prompt)
        total, paid, lean = dense(pairs, payoffs), dense(pairs, squares), dense(self.members, leaning)  # (S, C)
        local, _ = _growth(total, paid, lean)
        best, columns = local.argmax(axis=0), np.arange(local.shape[1])
        alone = np.asarray(local[best, columns])
        some: list[FloatArray] = []
        for side in (1.0, -1.0):
            won, lost, most = (paid + side * total) / 2, (paid - side * total) / 2, _A_PROMPT * np.maximum(side * lean, 0.0)
            some.append(evidence_of_places(won.T, lost.T, most.T).round(9))
        growth = np.stack([alone - np.log(self.strata), *some])
        direction = np.stack([np.sign(total[best, columns]), np.ones(len(columns)), -np.ones(len(columns))])
        highest = growth.argmax(axis=0)
        return growth[highest, columns], direction[highest, columns], alone

    def payoffs_by_stratum(self, marks: csr_matrix) -> FloatArray:
        """(C, S, 3) number, sum and sum of squares of the payoffs of checks in each stratum, given (2n, C) marks."""
        rows = marks.tocsr()
        payoffs = csr_matrix(rows[self.pairs :] - rows[: self.pairs])
        members = csr_matrix(self.members @ self.pairs_of_prompt)
        paid, squares = (dense(members, some).T for some in (payoffs, csr_matrix(payoffs.multiply(payoffs))))
        pairs = np.asarray(members.sum(axis=1), dtype=np.float64).ravel()
        return np.stack([np.broadcast_to(pairs, paid.shape), paid, squares], axis=-1)

    def most_nats(self, marks: csr_matrix, direction: FloatArray) -> FloatArray:
        """(C,) what clumps may say at most: twice `_A_PROMPT` for each prompt that leans to `direction` (C,).

        One prompt says little of others.
        """
        rows = marks.tocsr()
        leaning = csr_matrix(self.pairs_of_prompt @ csr_matrix(rows[self.pairs :] - rows[: self.pairs])).tocoo()
        its_way = leaning.data * direction[leaning.col] > 0
        return 2 * _A_PROMPT * np.bincount(leaning.col[its_way], minlength=len(direction)).astype(np.float64)

    def means(self, marks: csr_matrix) -> tuple[csr_matrix, csr_matrix]:
        """(prompts, C) share of a prompt's texts that hold, of the base and of the intervention."""
        weights = abs(self.differences).tocsc()
        rows = marks.tocsr()
        return csr_matrix(weights[:, : self.pairs] @ rows[: self.pairs]), csr_matrix(weights[:, self.pairs :] @ rows[self.pairs :])


def _growth(total: FloatArray, squares: FloatArray, leaning: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Evidence, and the sum whose sign is its direction.

    `leaning`: prompts that lean to the intervention less those that lean to the base.
    """
    # One pair's worth of doubt in the stake, so that three lucky texts are not taken for a law.
    stake = np.minimum(1.0, np.abs(total) / (squares + 1))
    won, lost = (squares + np.abs(total)) / 2, (squares - np.abs(total)) / 2  # marks are 0 or 1, payoffs −1, 0 or 1
    # Rounded: vectorised logarithms differ in the last bit by where in the array a number stands, and equal evidence has to tie.
    growth = np.round(won * np.log1p(stake) + lost * np.log1p(-stake), 9)
    return np.minimum(growth, _A_PROMPT * np.maximum(np.sign(total) * leaning, 0.0)), total


def dense(left: csr_matrix, right: csr_matrix) -> FloatArray:
    """The product of two sparse matrices as an array."""
    return np.asarray(csr_matrix(left @ right).todense(), dtype=np.float64)


def _sums(matrix: csr_matrix) -> FloatArray:
    return np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()
