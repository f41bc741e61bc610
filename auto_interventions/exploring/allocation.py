"""Which prompts the next round asks. Validity never depends on the answer, only power does.

Issue 3 adds rules that go where the evidence grows; they take the same arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.state import RoundState
from auto_interventions.fingerprint import seed_of
from auto_interventions.records import Prompt
from auto_interventions.subjects.base import Request

_UNLIMITED: int = 1 << 40


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
        limits: Mapping[str, int] = capacity or {}
        order = _spread(prompts, config.sampling.seed)
        drawn = {prompt.id: state.drawn.get(prompt.id, 0) for prompt in order}
        taken = dict.fromkeys(drawn, 0)
        left = pairs
        while left > 0:
            open_prompts = [prompt for prompt in order if drawn[prompt.id] + taken[prompt.id] < limits.get(prompt.id, _UNLIMITED)]
            if not open_prompts:
                break
            fewest = min(drawn[prompt.id] + taken[prompt.id] for prompt in open_prompts)
            for prompt in open_prompts:
                have = drawn[prompt.id] + taken[prompt.id]
                if left > 0 and have == fewest:
                    more = min(config.sampling.samples_per_prompt, left, limits.get(prompt.id, _UNLIMITED) - have)
                    taken[prompt.id] += more
                    left -= more
        return [Request(prompt, drawn[prompt.id], taken[prompt.id]) for prompt in order if taken[prompt.id]]


def pairs_wanted(state: RoundState, config: AuditConfig) -> int:
    """Pairs of the next exploring round: `initial` or `per_round` texts, within exploring's share of `max_texts`; 0 when that is spent."""
    sampling = config.sampling
    budget = int(sampling.max_texts * (1 - sampling.confirm_share)) - state.texts
    return max(0, min(sampling.initial if state.round == 0 else sampling.per_round, budget)) // 2


def _spread(prompts: Sequence[Prompt], seed: int) -> list[Prompt]:
    """A seeded order in which every beginning holds the strata in proportion to their size."""
    by_stratum: dict[str, list[tuple[int, Prompt]]] = {}
    for prompt in prompts:
        by_stratum.setdefault(prompt.stratum, []).append((seed_of("allocation", seed, prompt.id), prompt))
    placed: list[tuple[float, int, Prompt]] = []
    for members in by_stratum.values():
        members.sort(key=lambda member: member[0])
        placed += [((rank + 0.5) / len(members), key, prompt) for rank, (key, prompt) in enumerate(members)]
    placed.sort(key=lambda entry: entry[:2])
    return [prompt for _, _, prompt in placed]
