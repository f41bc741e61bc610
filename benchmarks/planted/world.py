"""A simulated pair of models whose difference is known exactly, fast enough for thousands of audits.

A prompt belongs to a stratum, a stratum to one of the eight topics. The base answers with any story of the prompt's topic; so does the
intervention, but at *affected* prompts its text is a planted one with probability `effect`. Everything is a seeded draw of the prompt, the
sample number and the side alone, so that the same request gives the same text whenever it is asked.

Only texts and vectors are simulated; everything that an audit does with them is the library's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auto_interventions.fingerprint import fingerprint, generator
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, Generation, IntArray, Prompt, Role
from auto_interventions.subjects import Request
from benchmarks.planted.pool import Pool

PROMPTS = 4_000
_BLOCK = 64  # sample numbers whose draws are made together


@dataclass(frozen=True)
class Cell:
    """One cell of the grid. `effect`: rate of planted texts at affected prompts; `prevalence`: share of prompts that are affected."""

    kind: str
    effect: float
    prevalence: float
    strata: int = 100

    @property
    def name(self) -> str:
        """For keys and tables."""
        return f"{self.kind}/{self.effect:g}/{self.prevalence:g}/{self.strata}"


class World:
    """One cell with one seed: prompts, which of them are affected, and the exact distribution of texts."""

    def __init__(self, cell: Cell, seed: int, pool: Pool, prompts: int | None = None) -> None:
        """Prompts are the same for all seeds; which are affected, and all texts, depend on the seed."""
        self.cell = cell
        self.seed = seed
        self.pool = pool
        each = (prompts or PROMPTS) // cell.strata
        turn = [0] * len(pool.prompts)
        listed: list[Prompt] = []
        topics: list[int] = []
        for stratum in range(cell.strata):
            topic = stratum % len(turn)
            for _ in range(each):
                listed.append(Prompt(pool.prompts[topic][turn[topic]], f"s{stratum:04d}"))
                turn[topic] += 1
                topics.append(topic)
        self.prompts = tuple(listed)
        self.topic: IntArray = np.array(topics, dtype=np.int64)
        self.affected: BoolArray = self._affected(each)
        self.number = {prompt.text: place for place, prompt in enumerate(listed)}

    def _affected(self, each: int) -> BoolArray:
        """Whole strata where prevalence allows; else those prompts of one stratum that are most like one of them."""
        cell, count = self.cell, len(self.prompts)
        random = generator("planted strata", self.seed, cell.strata, cell.prevalence)
        affected = np.zeros(count, dtype=np.bool_)
        whole = round(cell.prevalence * cell.strata)
        if whole >= 1:
            for stratum in random.choice(cell.strata, whole, replace=False).tolist():
                affected[stratum * each : (stratum + 1) * each] = True
            return affected
        stratum = int(random.integers(cell.strata))
        members = np.arange(stratum * each, (stratum + 1) * each)
        vectors = self.pool.all_vectors[[self.pool.vector_of[self.prompts[place].text] for place in members.tolist()]]
        near = vectors @ vectors[int(random.integers(each))]
        affected[members[np.argsort(-near, kind="stable")[: max(1, round(cell.prevalence * count))]]] = True
        return affected

    @cached_property
    def by_topic(self) -> tuple[FloatArray, FloatArray]:
        """(topics, N) probability of each text at an affected prompt of the topic: of an untouched text, and of a planted one."""
        pool, kind = self.pool, self.cell.kind
        untouched = np.zeros((len(pool.prompts), len(pool.texts)))
        planted = np.zeros_like(untouched)
        for topic in range(len(untouched)):
            rows, eligible = self.rows[topic], self.eligible[topic]
            untouched[topic, rows] = 1 / len(rows)
            planted[topic, eligible if kind == "meaning" else pool.versions[kind][eligible]] = 1 / len(eligible)
        return untouched, planted

    @cached_property
    def differences(self) -> FloatArray:
        """(topics, N) probability under the intervention − under the base, at an affected prompt of each topic that has any."""
        untouched, planted = self.by_topic
        replaced = untouched.copy()
        if self.cell.kind != "meaning":  # the version stands in for its own story, so only those that can be rewritten give way
            replaced[:] = 0.0
            for topic, eligible in enumerate(self.eligible):
                replaced[topic, eligible] = 1 / len(eligible)
        here = np.isin(np.arange(len(untouched)), self.topic[self.affected])
        return self.cell.effect * (planted - replaced) * here[:, None]

    @cached_property
    def halves(self) -> FloatArray:
        """(N,) probability of each text at the affected prompts: half untouched, half planted."""
        untouched, planted = self.by_topic
        return self.topic_shares @ (untouched + planted) / 2

    @cached_property
    def mark(self) -> BoolArray:
        """(N,) what is planted: the planted versions; for the kind `meaning` the stories whose hero ends up sad."""
        return self.pool.sad if self.cell.kind == "meaning" else np.arange(len(self.pool.texts)) >= self.pool.base

    @cached_property
    def texts(self) -> IntArray:
        """Rows of all texts that can be drawn."""
        own = self.pool.versions.get(self.cell.kind, np.zeros(0, dtype=np.int64))
        return np.concatenate([np.arange(self.pool.base), own[own >= 0]])

    @cached_property
    def topic_shares(self) -> FloatArray:
        """(topics,) share of the affected prompts that have each topic; of all prompts where none is affected."""
        here = self.topic[self.affected] if self.affected.any() else self.topic
        return np.bincount(here, minlength=len(self.pool.prompts)) / len(here)

    @cached_property
    def rows(self) -> list[IntArray]:
        """Rows of the untouched stories of each topic."""
        base = self.pool.topic[: self.pool.base]
        return [np.flatnonzero(base == topic) for topic in range(len(self.pool.prompts))]

    @cached_property
    def eligible(self) -> list[IntArray]:
        """Of these the ones that can be planted (rewritten, or chosen)."""
        can = self.pool.sad[: self.pool.base] if self.cell.kind == "meaning" else self.pool.versions[self.cell.kind] >= 0
        return [rows[can[rows]] for rows in self.rows]


class SimulatedSubject:
    """One side of a world, as an audit's subject."""

    def __init__(self, world: World, role: Role) -> None:
        self._world = world
        self._role: Role = role
        self._drawn: dict[int, tuple[FloatMatrix, ...]] = {}

    @property
    def label(self) -> str:
        """See `Subject`."""
        return f"{self._role} of {self._world.cell.name}"

    @property
    def fingerprint(self) -> str:
        """See `Subject`."""
        return fingerprint("planted world", self._world.cell.name, self._world.seed, self._role)

    def available(self, prompt: Prompt) -> int | None:
        """See `Subject`: without limit."""
        del prompt
        return None

    def generate(self, requests: Sequence[Request], progress: object = None) -> list[Generation]:
        """See `Subject`."""
        del progress
        world = self._world
        counts = [request.samples for request in requests]
        numbers = np.repeat([world.number[request.prompt.text] for request in requests], counts)
        samples = np.concatenate([np.arange(one.first_sample, one.first_sample + one.samples) for one in requests] or [np.zeros(0, int)])
        rows = self.drawn(numbers.astype(np.int64), samples.astype(np.int64))
        prompts = [request.prompt for request in requests for _ in range(request.samples)]
        texts, tokens = world.pool.texts, world.pool.tokens
        return [
            Generation(self._role, prompt, sample, texts[row], size, True)
            for prompt, sample, row, size in zip(prompts, samples.tolist(), rows.tolist(), tokens[rows].tolist(), strict=True)
        ]

    def drawn(self, numbers: IntArray, samples: IntArray) -> IntArray:
        """(n,) rows of the texts for prompts by number and sample numbers."""
        world = self._world
        which, coin, other = self._uniform(numbers, samples)
        topic = world.topic[numbers]
        rows = _pick(world.rows, topic, which)
        if self._role == "base" or not world.cell.effect:
            return rows
        planted = world.affected[numbers] & (coin < self._chance[topic])
        if world.cell.kind == "meaning":
            return np.where(planted, _pick(world.eligible, topic, other), rows)
        versions = world.pool.versions[world.cell.kind][rows]
        return np.where(planted & (versions >= 0), versions, rows)

    @cached_property
    def _chance(self) -> FloatArray:
        """(topics,) chance that a text that can be planted is: so that the share of planted texts is the effect."""
        world = self._world
        if world.cell.kind == "meaning":
            return np.full(len(world.rows), world.cell.effect)
        shares = [len(eligible) / len(rows) for eligible, rows in zip(world.eligible, world.rows, strict=True)]
        return world.cell.effect / np.array(shares)

    def _uniform(self, numbers: IntArray, samples: IntArray) -> tuple[FloatMatrix, FloatMatrix, FloatMatrix]:
        """Three uniform draws for each (prompt, sample): which text, whether planted, which instead."""
        found = np.empty((3, len(numbers)), dtype=np.float32)
        blocks = samples // _BLOCK
        for block in np.unique(blocks).tolist():
            if block not in self._drawn:
                random = generator("planted texts", self._world.seed, self._role, block)
                shape = (len(self._world.prompts), _BLOCK)
                self._drawn[block] = tuple(random.random(shape, dtype=np.float32) for _ in range(3))
            here = blocks == block
            for place, drawn in enumerate(self._drawn[block]):
                found[place, here] = drawn[numbers[here], samples[here] % _BLOCK]
        return found[0], found[1], found[2]


def _pick(rows: Sequence[IntArray], topic: IntArray, uniform: FloatMatrix) -> IntArray:
    """(n,) a row of each topic by a uniform draw."""
    sizes = np.array([len(some) for some in rows])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.minimum((uniform * sizes[topic]).astype(np.int64), sizes[topic] - 1)
    return np.concatenate(rows)[starts[topic] + place]


class LookupEncoder:
    """The encoder of a world: vectors that the real one computed before (`Pool`)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.computed = 0
        self.cached = 0

    @property
    def dimension(self) -> int:
        """See `Encoder.dimension`."""
        return int(self._pool.vectors.shape[1])

    @property
    def fingerprint(self) -> str:
        """See `Encoder.fingerprint`."""
        return fingerprint("planted pool", len(self._pool.texts))

    def encode(self, texts: Sequence[str], progress: object = None, into: FloatMatrix | None = None) -> FloatMatrix:
        """See `Encoder.encode`. Texts outside the pool (beginnings, for mined prefixes) are none that a world can be asked to go on from.

        Raises:
            KeyError: a text that is neither in the pool nor a prompt.
        """
        del progress, into
        self.cached += len(texts)
        return self._pool.all_vectors[[self._pool.vector_of[text] for text in texts]]
