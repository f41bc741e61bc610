"""Cheap audits for tests: real discriminator, bets and fold; features drawn directly, few dimensions, so that hundreds run in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.config import AuditConfig
from auto_interventions.exploring import RoundBatch
from auto_interventions.records import Generation, Pair, Prompt

STRATA = ("large", "middle", "small", "tiny")
SIZES = (60, 30, 12, 2)
DIMENSIONS = 6


def config(**sampling: object) -> AuditConfig:
    return AuditConfig.model_validate(
        {"name": "t", "base": {"model": "m"}, "intervention": {"model": "m"}, "prompts": {"path": "p"}, "sampling": sampling}
    )


def bank() -> list[Prompt]:
    return [Prompt(f"{stratum} {number}", stratum) for stratum, size in zip(STRATA, SIZES, strict=True) for number in range(size)]


def pair(prompt: Prompt, sample: int = 0, base: str = "", intervention: str = "", round: int = 0) -> Pair:
    return Pair(
        prompt, Generation("base", prompt, sample, base, 1, True), Generation("intervention", prompt, sample, intervention, 1, True), round
    )


@dataclass(frozen=True)
class World:
    """Texts as feature vectors: prompts differ in scatter, texts are skewed. `shift` moves the intervention in the strata `where`."""

    random: np.random.Generator
    shift: float = 0.0
    where: tuple[str, ...] = STRATA
    dimensions: int = DIMENSIONS

    def batch(self, prompts: list[Prompt], samples: int, first: int = 0) -> RoundBatch:
        pairs = [pair(prompt, sample) for prompt in prompts for sample in range(first, first + samples)]
        scatter = np.array([0.3 + (hash_of(one.prompt) % 7) / 3 for one in pairs])[:, None]
        sides = self.random.exponential(1, (2, len(pairs), self.dimensions)) * scatter
        moved = np.array([self.shift * (one.prompt.stratum in self.where) for one in pairs])
        sides[1, :, 0] += moved
        return RoundBatch(tuple(pairs), csr_matrix(sides[1] - sides[0]))


def hash_of(prompt: Prompt) -> int:
    return int(prompt.id[:8], 16)
