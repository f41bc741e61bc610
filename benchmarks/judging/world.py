"""Worlds in which it is known which sentence fits which text, and so how far two models differ on each sentence.

Texts are stories of the demo's grammar, three in a row. Which sentences fit a text is drawn, not read: every text opens with a number, and
judges look up what is true of it. Sentences fit at each prompt's own rate (beta around the sentence's rate), and half of the time they go
by what the text is like, which all sentences share: they are dependent, as sentences about texts are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_interventions.fingerprint import generator
from auto_interventions.planting.corpus import prompt_bank, stories
from auto_interventions.records import ROLES, BoolArray, FloatArray, Generation, Hypothesis, Pair, Prompt
from auto_interventions.subjects.base import Request

PROMPTS = 1_000
STORIES = 3  # of a text: about 120 tokens
_OWN = 4.0  # of the beta distribution of prompts: a rate of 25% is between 2% and 65% for nine of ten prompts
_SHARED = 0.5
_MOST_SAMPLES = 1_000  # of a prompt
_NUMBER = re.compile(r"^Story (\d+)\.")
_QUOTED = re.compile(r"“feature (\d+)”")


@dataclass(frozen=True, slots=True)
class Plant:
    """How often a sentence fits the base's texts, how much more often the intervention's, and whether at half of the strata only."""

    rate: float
    rise: float = 0.0
    half: bool = False


TRUE = (Plant(0.02, 0.1), Plant(0.1, 0.2, half=True), Plant(0.2, 0.3), Plant(0.5, -0.4), Plant(0.1, 0.5), Plant(0.05, 0.6))


def plants(nulls: int, true: Sequence[Plant] = TRUE) -> tuple[Plant, ...]:
    """The true ones, then sentences that fit both models' texts equally often, in 2% to 50%."""
    return (*true, *(Plant(rate) for rate in np.geomspace(0.02, 0.5, nulls).tolist()))


class World:
    """Two models, answering from a table. The same seed gives the same prompts, texts and truths, in whatever order they are asked for."""

    def __init__(self, planted: Sequence[Plant], seed: int) -> None:
        """`planted`: of the H sentences."""
        self.seed = seed
        bank = prompt_bank(2 * PROMPTS, seed)
        self.explore = [Prompt(one.text, one.stratum, "explore") for one in bank[:PROMPTS]]
        self.confirm = [Prompt(one.text, one.stratum, "confirm") for one in bank[PROMPTS:]]
        self.strata = Counter(sorted(one.stratum for one in self.confirm))
        self._number = {one.id: place for place, one in enumerate([*self.explore, *self.confirm])}
        self._rates = _rates(planted, bank, tuple(self.strata), seed)
        self.true_difference: FloatArray = (self._rates[1] - self._rates[0])[:, PROMPTS:].mean(axis=1)
        self._fits: dict[int, BoolArray] = {}
        self._drawn: dict[tuple[str, int], Pair] = {}
        self._stories = [story.text for story in stories(3_000, seed)]
        self.hypotheses = tuple(
            Hypothesis(f"mentions “feature {place}”", None, "intervention", "labeller", 1) for place in range(len(planted))
        )

    def pairs(self, requests: Sequence[Request]) -> list[Pair]:
        """The pairs that are asked for."""
        asked = ((one.prompt, sample) for one in requests for sample in range(one.first_sample, one.first_sample + one.samples))
        return [self._drawn.get((prompt.id, sample)) or self._draw(prompt, sample) for prompt, sample in asked]

    def fits(self, sentence: str, text: str) -> bool:
        """Whether it does."""
        number, feature = _NUMBER.match(text), _QUOTED.search(sentence)
        assert number is not None
        assert feature is not None
        return bool(self._fits[int(number[1])][int(feature[1])])

    def _draw(self, prompt: Prompt, sample: int) -> Pair:
        random = generator("judging world", self.seed, prompt.id, sample)
        place = self._number[prompt.id]
        sides: list[Generation] = []
        for side, role in enumerate(ROLES):
            rates = self._rates[side][:, place]
            luck = np.where(random.random(len(rates)) < _SHARED, random.random(), random.random(len(rates)))
            told = " ".join(self._stories[at] for at in random.integers(len(self._stories), size=STORIES).tolist())
            number = (place * _MOST_SAMPLES + sample) * 2 + side
            sides.append(Generation(role, prompt, sample, f"Story {number}. {told}", 120, True))
            self._fits[number] = luck < rates
        self._drawn[prompt.id, sample] = Pair(prompt, sides[0], sides[1], 0)
        return self._drawn[prompt.id, sample]


def _rates(planted: Sequence[Plant], bank: Sequence[Prompt], strata: Sequence[str], seed: int) -> tuple[FloatArray, FloatArray]:
    """(H, prompts) rates under base and intervention; null sentences have the same at every prompt."""
    random = generator("judging rates", seed)
    chosen = np.isin([one.stratum for one in bank], list(strata[::2]))
    base = np.stack([random.beta(_OWN * one.rate, _OWN * (1 - one.rate), len(bank)) for one in planted])
    intervention = base.copy()
    for row, one in enumerate(planted):
        where = chosen if one.half else np.ones(len(bank), dtype=np.bool_)
        rise = one.rise / where.mean()
        lifted = base[row] + rise / (1 - one.rate) * (1 - base[row]) if rise >= 0 else base[row] * (1 + rise / one.rate)
        intervention[row] = np.where(where, lifted, base[row])
    return base, intervention
