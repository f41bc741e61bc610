"""Which prompts the next round asks: the contract of a rule, and the plainest one. Validity never depends on the answer, only power
does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.pool import PromptPool
from auto_interventions.exploring.state import RoundState
from auto_interventions.records import Prompt
from auto_interventions.subjects.base import Request


class Allocation(Protocol):
    """A rule that chooses the next prompts."""

    def allocate(
        self,
        state: RoundState,
        prompts: Sequence[Prompt],
        pairs: int,
        config: AuditConfig,
        capacity: Mapping[str, int] | None = None,
    ) -> list[Request]:
        """Requests for at most `pairs` pairs from the explore pool `prompts`.

        Args:
            capacity: samples that each prompt id can give in all (recorded texts); a missing id, or None, is unlimited.

        Returns:
            One request a prompt, continuing its sample numbers; empty when nothing is left to ask.
        """
        ...


class Uniform:
    """Every stratum in proportion to its prompts; prompts without replacement until all were asked, then their next samples."""

    def allocate(
        self,
        state: RoundState,
        prompts: Sequence[Prompt],
        pairs: int,
        config: AuditConfig,
        capacity: Mapping[str, int] | None = None,
    ) -> list[Request]:
        """See `Allocation.allocate`. The order of `prompts` does not matter."""
        pool = PromptPool(state, sorted(prompts, key=lambda prompt: (prompt.text, prompt.prefix)), config, capacity)
        pool.in_turn(pairs)
        return pool.requests()


def pairs_wanted(state: RoundState, config: AuditConfig) -> int:
    """Pairs of the next exploring round: `initial` or `per_round` texts, within exploring's share of `max_texts`; 0 when that is spent.

    Exhaustive: all of that share in the first round.
    """
    sampling = config.sampling
    wanted = sampling.initial if state.round == 0 else sampling.per_round
    left = exploring_pairs_left(state, config)
    if sampling.strategy == "exhaustive":
        return 0 if state.round else left
    return min(wanted // 2, left)


def exploring_pairs_left(state: RoundState, config: AuditConfig) -> int:
    """Pairs that exploring's share of `max_texts` still allows."""
    return max(0, int(config.sampling.max_texts * (1 - config.sampling.confirm_share)) - state.texts) // 2
