"""The default rule: mostly where the evidence grows, some of it where clusters meet, the rest everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.allocation import Allocation, Uniform
from auto_interventions.exploring.boundary import Boundary, near_borders
from auto_interventions.exploring.divergence import Divergence, expected_growth, focus
from auto_interventions.exploring.pool import PromptPool
from auto_interventions.exploring.state import RoundState
from auto_interventions.records import Prompt
from auto_interventions.subjects.base import Request

FOCUS = 0.6
BORDERS = 0.1


class Active:
    """A mixture: `FOCUS` of a round by divergence, `BORDERS` by boundary, what is left everywhere."""

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
        asked = focus(pool, state, expected_growth(state, config), int(pairs * FOCUS))
        if state.boundaries:
            asked += near_borders(pool, state, int(pairs * BORDERS))
        pool.spread(pairs - asked)
        return pool.requests()


def allocation_of(config: AuditConfig) -> Allocation:
    """The rule that `sampling.strategy` names."""
    strategy = config.sampling.strategy
    if strategy == "active":
        return Active()
    if strategy == "divergence":
        return Divergence()
    return Boundary() if strategy == "boundary" else Uniform()
