"""Prompts on offer for a round, and the requests made of them: what all rules of allocation share.

A rule says how many pairs each stratum gets, or which prompts come first; this page takes care that nothing is asked twice, that recorded
texts are not overdrawn, and that a stratum's own prompts take turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.state import RoundState
from auto_interventions.fingerprint import generator, seed_of
from auto_interventions.records import BoolArray, FloatArray, IntArray, Prompt
from auto_interventions.subjects.base import Request

_UNLIMITED: int = 1 << 40


class PromptPool:
    """The explore pool during the planning of one round. `leaf` (P,) is each prompt's smallest stratum."""

    def __init__(self, state: RoundState, prompts: Sequence[Prompt], config: AuditConfig, capacity: Mapping[str, int] | None) -> None:
        limits = capacity or {}
        self.prompts = prompts
        self.ids = [prompt.id for prompt in prompts]
        self.leaf: IntArray = state.tree.leaf_of(prompts)
        self.drawn: IntArray = np.array([state.drawn.get(one, 0) for one in self.ids], dtype=np.int64)
        self._limit: IntArray = np.array([limits.get(one, _UNLIMITED) for one in self.ids], dtype=np.int64)
        self._taken: IntArray = np.zeros(len(prompts), dtype=np.int64)
        self._block = config.sampling.samples_per_prompt
        # The order in which a stratum's prompts take turns: seeded, so that it does not depend on the bank's order.
        keys = np.array([seed_of("allocation", config.sampling.seed, one) for one in self.ids], dtype=np.float64)
        self._turn: IntArray = np.argsort(np.argsort(keys, kind="stable"), kind="stable").astype(np.int64)
        order = np.argsort(self.leaf, kind="stable")
        bounds = np.searchsorted(self.leaf[order], np.arange(len(state.tree) + 1))
        self._members = [order[start:end] for start, end in pairwise(bounds.tolist())]
        self._sizes: IntArray = np.diff(bounds)
        rank = np.empty(len(prompts))
        for members in self._members:
            rank[members[np.argsort(self._turn[members], kind="stable")]] = (np.arange(len(members)) + 0.5) / max(1, len(members))
        # An order of which every beginning holds the strata in proportion to their size.
        self._even: IntArray = np.argsort(np.lexsort((self._turn, rank)), kind="stable").astype(np.int64)
        self._random = generator("spread", state.seed, state.round)

    @property
    def open(self) -> BoolArray:
        """(P,) which prompts can still be asked."""
        return self.drawn + self._taken < self._limit

    def spread(self, pairs: int) -> int:
        """Asks `pairs` pairs of all strata in proportion to their prompts; returns how many could not be had.

        Systematic sampling: each stratum gets its share rounded up or down, at random.
        """
        while pairs > 0 and (room := self.open).any():
            sizes = np.bincount(self.leaf[room], minlength=len(self._sizes))
            edges = np.concatenate([[0.0], np.cumsum(sizes) / sizes.sum() * pairs])
            steps = np.floor(edges + self._random.random()).astype(np.int64)
            steps[-1] = max(int(steps[-1]), pairs)
            quotas = np.minimum(np.diff(steps), pairs)
            left = self.fill(quotas)
            missing = pairs - int(quotas.sum()) + left
            if missing == pairs:
                return self.in_turn(pairs)
            pairs = missing
        return pairs

    def in_turn(self, pairs: int) -> int:
        """Asks the least asked prompts, of all strata alike, before any other; returns how many pairs could not be had."""
        return self._fill(np.arange(len(self.prompts)), pairs, None)

    def fill(self, quotas: IntArray, scores: FloatArray | None = None) -> int:
        """Asks `quotas` (S,) pairs of each stratum: its least asked prompts first, or those with the highest `scores` (P,).

        Returns:
            How many pairs could not be had.
        """
        left = 0
        for stratum in np.flatnonzero(quotas):
            left += self._fill(self._members[stratum], int(quotas[stratum]), scores)
        return left

    def best(self, pairs: int, scores: FloatArray) -> int:
        """Asks the prompts with the highest `scores` (P,), wherever they are; returns how many pairs could not be had."""
        return self._fill(np.arange(len(self.prompts)), pairs, scores)

    def requests(self) -> list[Request]:
        """One request a prompt, continuing its sample numbers."""
        return [
            Request(self.prompts[place], int(self.drawn[place]), int(self._taken[place])) for place in np.flatnonzero(self._taken).tolist()
        ]

    def _fill(self, members: IntArray, pairs: int, scores: FloatArray | None) -> int:
        while pairs > 0:
            free = members[self.open[members]]
            if not len(free):
                return pairs
            have = (self.drawn + self._taken)[free]
            if scores is None:
                free = free[have == have.min()]
                order = np.argsort(self._even[free], kind="stable")
            else:
                order = np.lexsort((self._turn[free], -scores[free]))
            for place in free[order].tolist():
                if pairs <= 0:
                    break
                more = min(self._block, pairs, int(self._limit[place] - self.drawn[place] - self._taken[place]))
                self._taken[place] += more
                pairs -= more
        return 0


def apportion(weights: FloatArray, total: int) -> IntArray:
    """`total` split in proportion to `weights`, in whole numbers (largest remainders)."""
    exact = weights / weights.sum() * total
    shares = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - shares), kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares
