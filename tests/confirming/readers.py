"""Language models that judge, as arrays: a noisy cheap one that favours what it reads first, a good strong one. No texts, no calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.confirming import ConfirmState, judge_round, next_round, plan_confirmation, why_stop_confirming
from auto_interventions.exploring import RoundState
from auto_interventions.inference import Wealth
from auto_interventions.inference.cascade import undecided
from auto_interventions.judging.judged import Judged
from auto_interventions.records import ROLES, BoolArray, FloatArray, FloatMatrix, Generation, Hypothesis, Pair
from auto_interventions.subjects.base import Request

from . import worlds

BORDERLINE = (0.4, 0.6)
STRATA = ("a", "b")


def settings(inference: dict[str, object] | None = None, **judge: object) -> AuditConfig:
    """An audit whose sentences language models judge."""
    plain = worlds.config(inference, max_texts=4000)
    return AuditConfig.model_validate({**plain.model_dump(), "judge": {"cheap": "openai:cheap", **judge}})


def sentences(count: int) -> list[Hypothesis]:
    """Sentences without a check."""
    return [replace(one, check=None, source="labeller") for one in worlds.hypotheses(count)]


@dataclass(frozen=True)
class Readers:
    """Sentence h fits a text of the base at each prompt's own rate (beta around `rate`), one of the intervention `rises[h]` more often.

    `accuracy`: of the cheap judge; what it gets wrong it guesses, `bias` of the guesses for the text that it reads first. The strong
    judge is right in 97%; `share` None: there is none. `failing`: share of calls of either that bring nothing.
    """

    random: np.random.Generator
    rises: tuple[float, ...]
    accuracy: float = 0.8
    bias: float = 0.5
    share: float | None = 0.2
    rate: float = 0.25
    failing: float = 0.02
    rates: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: {"cheap": 0, "strong": 0})

    def __call__(self, pairs: Sequence[Pair], cells: BoolArray, slices: FloatArray | None = None) -> Judged:
        shape = cells.shape
        for pair in pairs:
            if pair.prompt.id not in self.rates:
                self.rates[pair.prompt.id] = self.random.beta(4 * self.rate, 4 * (1 - self.rate))
        rate = np.array([self.rates[pair.prompt.id] for pair in pairs])
        raised = rate + np.array(self.rises)[:, None] * (1 - rate)
        luck = self.random.random((2, 1, len(pairs)))  # sentences share texts: half of them are as the text is
        mine = np.where(self.random.random((2, *shape)) < 0.5, luck, self.random.random((2, *shape)))
        fits = mine[0] < rate, mine[1] < raised
        base, intervention = (np.where(cells, one, np.nan) for one in self._read(fits, self.accuracy, self.bias))
        self.calls["cheap"] += int(cells.sum())
        nothing = np.full(shape, np.nan)
        strong, asked, chance = (nothing, nothing), np.zeros(shape, dtype=np.bool_), np.zeros(shape)
        if self.share is not None:
            unsure = undecided(base.ravel(), intervention.ravel(), BORDERLINE).reshape(shape)
            each = np.full((len(cells), 1), self.share) if slices is None else slices.reshape(len(cells), -1)
            doubtful = each[:, 1] if each.shape[1] > 1 else np.ones(len(cells))
            chance = np.where(cells, np.where(unsure, doubtful[:, None], each[:, :1]), 0.0)
            asked = self.random.random(shape) < chance
            strong = self._read(fits, 0.97, 0.5)
            self.calls["strong"] += int(asked.sum())
        second = [_narrow(np.where(asked, one, np.nan)) for one in strong]
        return Judged(_narrow(base), _narrow(intervention), second[0], second[1], asked, chance)

    def _read(self, fits: tuple[BoolArray, BoolArray], accuracy: float, bias: float) -> tuple[FloatArray, FloatArray]:
        """Scores of both texts, as pairwise verdicts give them: which fits, and how sure."""
        shape, random = fits[0].shape, self.random
        right = random.random(shape) < accuracy
        guess = random.random((2, *shape)) < 0.5
        first = random.random(shape) < 0.5  # whether the base's text was read first
        tilted = random.random(shape) < bias
        guess = np.where(tilted, first, guess[0]), np.where(tilted, ~first, guess[1])
        sure = np.where(right, random.uniform(0.3, 1, shape), random.uniform(0.0, 0.9, shape))
        answers = (np.where(right, truth, guessed) for truth, guessed in zip(fits, guess, strict=True))
        scores = [np.where(answer, (1 + sure) / 2, (1 - sure) / 2) for answer in answers]
        failed = random.random(shape) < self.failing
        return np.where(failed, np.nan, scores[0]), np.where(failed, np.nan, scores[1])


def _narrow(scores: FloatArray) -> FloatMatrix:
    return scores.astype(np.float32)


def certain() -> RoundState:
    """Exploring that left no doubt, so that the gate is open."""
    return replace(RoundState.start(STRATA), overall=Wealth(np.full((1, 6), 20.0)))


def pairs_of(requests: Sequence[Request]) -> list[Pair]:
    """Pairs without texts."""
    pairs: list[Pair] = []
    for request in requests:
        for sample in range(request.first_sample, request.first_sample + request.samples):
            base, intervention = (Generation(role, request.prompt, sample, "", 1, True) for role in ROLES)
            pairs.append(Pair(request.prompt, base, intervention, 0))
    return pairs


def confirm(
    readers: Callable[..., Judged],
    config: AuditConfig,
    hypotheses: Sequence[Hypothesis],
    explored: RoundState | None = None,
    prompts: int = 300,
    least_chance: float = 0.2,
    cost: FloatArray | None = None,
    sizing: bool = False,
) -> list[ConfirmState]:
    """The states after each block, until confirming stops by itself."""
    past = explored or RoundState.start(STRATA)
    bank = worlds.bank(prompts, STRATA)
    checks = sum(one.check is not None for one in hypotheses)
    plan = plan_confirmation(bank, 0, len(hypotheses), config, checks=checks)
    pool = {stratum: sum(prompt.stratum == stratum for prompt in bank) for stratum in STRATA}
    state = ConfirmState.start(hypotheses, len(plan.backbone), pool, least_chance=least_chance)
    states: list[ConfirmState] = []
    dollars = np.ones(len(hypotheses)) if cost is None else cost
    while True:
        round = next_round(plan, state, past, config)
        if why_stop_confirming(state, past, config, exhausted=not round.requests):
            return states or [state]
        pairs = pairs_of(round.requests)
        state = judge_round(state, past, config, pairs, round.backbone_pairs, dollars, readers, states.append, sizing)
