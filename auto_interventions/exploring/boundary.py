"""Boundary allocation: prompts whose texts lie between two clusters (the seeds' rule).

A text whose two nearest centroids are almost equally near says most about where the border between them runs (uncertainty sampling, Lewis
& Gale 1994); so the prompts that lead there are asked again. A prompt's score is the mean boundary score of its texts, shrunk towards its
stratum's, drawn from its approximate posterior so that unseen prompts have their chance. It makes clusters sharp; it looks at no model
difference, so it finds one only where clusters meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.allocation import Uniform
from auto_interventions.exploring.divergence import EXPLORATION, prompt_draws
from auto_interventions.exploring.pool import PromptPool
from auto_interventions.exploring.state import RoundState
from auto_interventions.records import Prompt
from auto_interventions.subjects.base import Request


class Boundary:
    """Prompts by their texts' nearness to a border between clusters; `EXPLORATION` of a round everywhere."""

    def allocate(
        self,
        state: RoundState,
        prompts: Sequence[Prompt],
        pairs: int,
        config: AuditConfig,
        capacity: Mapping[str, int] | None = None,
    ) -> list[Request]:
        """See `Allocation.allocate`."""
        if not state.boundaries:
            return Uniform().allocate(state, prompts, pairs, config, capacity)
        pool = PromptPool(state, prompts, config, capacity)
        near = near_borders(pool, state, int(pairs * (1 - EXPLORATION)))
        pool.spread(pairs - near)
        return pool.requests()


def near_borders(pool: PromptPool, state: RoundState, pairs: int) -> int:
    """Asks up to `pairs` pairs of the prompts that lead to the borders; returns how many it asked."""
    return pairs - pool.best(pairs, prompt_draws(pool, state.boundaries, state, "borders"))
