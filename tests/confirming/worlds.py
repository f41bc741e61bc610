"""Small confirming stages for tests: prompts with their own rates, sentences scored without texts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.exploring import RoundState
from auto_interventions.records import FloatMatrix, Generation, Hypothesis, Pair, Prompt
from auto_interventions.subjects.base import Request

STRATA = ("a", "b", "c")


def config(inference: dict[str, object] | None = None, **sampling: object) -> AuditConfig:
    return AuditConfig.model_validate(
        {
            "name": "t",
            "base": {"model": "m"},
            "intervention": {"model": "m"},
            "prompts": {"path": "p"},
            "sampling": sampling,
            "inference": inference or {},
        }
    )


def bank(size: int, strata: tuple[str, ...] = STRATA) -> list[Prompt]:
    return [Prompt(f"prompt {number}", strata[number % len(strata)], "confirm") for number in range(size)]


def hypotheses(count: int) -> list[Hypothesis]:
    return [
        Hypothesis(f"sentence {number}", {"kind": "phrase", "phrases": [str(number)]}, "intervention", "lexical", 3)
        for number in range(count)
    ]


def explored() -> RoundState:
    return RoundState.start(STRATA)


@dataclass(frozen=True)
class World:
    """Sentence h shows in a text of a prompt at the prompt's own rate (beta-distributed around `base`), raised by `rises[h]` in the
    intervention (lowered if negative), at prompts of the strata `where`. Sentences share texts: they are dependent."""

    random: np.random.Generator
    rises: tuple[float, ...]
    base: float = 0.1
    where: tuple[str, ...] = STRATA
    rates: dict[str, float] = field(default_factory=dict)

    def round(self, requests: list[Request]) -> tuple[list[Pair], FloatMatrix, FloatMatrix]:
        pairs: list[Pair] = []
        for request in requests:
            for sample in range(request.first_sample, request.first_sample + request.samples):
                sides = [Generation(role, request.prompt, sample, "", 1, True) for role in ("base", "intervention")]
                pairs.append(Pair(request.prompt, sides[0], sides[1], 0))
        for request in requests:
            if request.prompt.id not in self.rates:
                self.rates[request.prompt.id] = self.random.beta(4 * self.base, 4 * (1 - self.base))
        rate = np.array([self.rates[pair.prompt.id] for pair in pairs])
        luck = self.random.random((2, 1, len(pairs)))  # shared by all sentences of a text
        mine = np.where(
            self.random.random((2, len(self.rises), len(pairs))) < 0.5, luck, self.random.random((2, len(self.rises), len(pairs)))
        )
        rise = np.array(self.rises)[:, None] * np.array([pair.prompt.stratum in self.where for pair in pairs])
        raised = np.where(rise >= 0, rate + rise * (1 - rate), rate * (1 + rise))
        return pairs, (mine[0] < rate).astype(np.float32), (mine[1] < raised).astype(np.float32)
