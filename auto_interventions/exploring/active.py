"""The default rule: mostly where the evidence grows, some of it where clusters meet, the rest everywhere.

Evidence grows for two sorts of bettors: discriminators (`divergence`) and sentences that the explored pairs suggest. With many strata
and a rare change the sentences see it first: three texts with a word that no other text has say more to them than to a classifier. Where
they would be decided soonest is their `suspicion`, which gets the larger part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.allocation import Allocation, Uniform
from auto_interventions.exploring.boundary import Boundary, near_borders
from auto_interventions.exploring.divergence import Divergence, expected_growth, focus
from auto_interventions.exploring.pool import PromptPool
from auto_interventions.exploring.state import RoundState
from auto_interventions.records import FloatArray, Prompt
from auto_interventions.subjects.base import Request

SUSPICION = 0.5
GROWTH = 0.1
BORDERS = 0.05


class Active:
    """A mixture: `SUSPICION` of a round by suspicion, `GROWTH` by divergence (both, where nothing is suspected), `BORDERS` by boundary, the
    rest everywhere.

    `suspicion`: (strata of the bank,) weights of where suggested sentences would gain most; None: nowhere in particular.
    """

    def __init__(self, suspicion: FloatArray | None = None) -> None:
        self._suspicion = suspicion

    def allocate(
        self,
        state: RoundState,
        prompts: Sequence[Prompt],
        pairs: int,
        config: AuditConfig,
        capacity: Mapping[str, int] | None = None,
    ) -> list[Request]:
        """See `Allocation.allocate`."""
        if not state.round:
            return Uniform().allocate(state, prompts, pairs, config, capacity)
        pool = PromptPool(state, prompts, config, capacity)
        suspected = 0
        if self._suspicion is not None:
            suspected = focus(pool, state, _by_part(pool, state, self._suspicion), int(pairs * SUSPICION), by_prompt=False)
        asked = suspected + focus(pool, state, expected_growth(state, config), int(pairs * (SUSPICION + GROWTH)) - suspected)
        if state.boundaries:
            asked += near_borders(pool, state, int(pairs * BORDERS))
        pool.spread(pairs - asked)
        return pool.requests()


def _by_part(pool: PromptPool, state: RoundState, weights: FloatArray) -> FloatArray:
    """(S,) weights of strata as weights of their smallest parts, in proportion to their prompts."""
    sizes = np.bincount(pool.leaf, minlength=len(state.tree)).astype(np.float64)
    root = np.arange(len(state.tree))
    while (state.tree.parents[root] >= 0).any():
        root = np.where(state.tree.parents[root] >= 0, state.tree.parents[root], root)
    whole = np.bincount(root, weights=sizes, minlength=len(state.tree))
    return weights[root] * sizes / np.maximum(whole[root], 1.0)


def allocation_of(config: AuditConfig, suspicion: FloatArray | None = None) -> Allocation:
    """The rule that `sampling.strategy` names. `suspicion`: see `Active`; the other rules do without."""
    strategy = config.sampling.strategy
    if strategy == "active":
        return Active(suspicion)
    if strategy == "divergence":
        return Divergence()
    return Boundary() if strategy == "boundary" else Uniform()
