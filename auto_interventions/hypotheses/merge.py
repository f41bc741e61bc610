"""Many candidates say the same: near-duplicates become one hypothesis, and the hypotheses are put in an order of evidence and diversity.

Greedy: the candidate with the most evidence leads a group, takes in what says the same, and lowers the rank of what mostly happens
inside it; then the next. Two candidates say the same where, given the model, they hold for the same texts (|phi| ≥ 0.7 with the means of
each model taken out, since any two things that differ between the models coincide), or where they share words and the one's difference is
gone once the other's texts are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.hypotheses.evidence import Design, Evidence
from auto_interventions.hypotheses.measures import MEASURES
from auto_interventions.hypotheses.predicates import Ending, Language, MeasureBound, Opening, Phrase, Predicate, Refusal
from auto_interventions.hypotheses.text import FUNCTION_WORDS, fold, stem
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix

_SAME_PHI = 0.7
_SAME_TEXTS = 0.98  # Jaccard index from which supports are the same where phi is undefined (a model always does it)
_GONE = 0.25  # share of its evidence below which a difference counts as explained
_NOISE = 1.5  # evidence that is none
_AS_GOOD = 0.9  # a better sentence may cost this much of evidence and effect
_INSIDE = 0.6  # how much rank is lost by what happens only inside an earlier group


@dataclass(frozen=True, slots=True)
class Group:
    """Candidates (by index) that say the same: the one to be tested, and the others, best first."""

    chosen: int
    others: tuple[int, ...]


def merge(
    predicates: Sequence[Predicate],
    marks: csr_matrix,
    evidence: Evidence,
    nats: FloatArray,
    design: Design,
    limit: int,
    leaders: int = 0,
) -> list[Group]:
    """At most `limit` groups, best first; the first `leaders` candidates each lead a group as they are, whatever their evidence.

    Args:
        predicates: C candidates.
        marks: (2n, C), in the order of `design`.
        evidence: of the C candidates.
        nats: (C,) the evidence that ranks them.
    """
    work = _Work(predicates, marks, evidence, nats, design)
    groups: list[Group] = []
    for own in range(leaders):
        work.take(own)
    for own in range(leaders):
        groups.append(Group(own, work.members(own)))
    while len(groups) < limit and (leader := work.best()) is not None:
        work.take(leader)
        groups.append(work.group(leader))
    return groups


class _Work:
    """What greedy grouping keeps: who is free, and how much of each candidate's rank is left."""

    def __init__(self, predicates: Sequence[Predicate], marks: csr_matrix, evidence: Evidence, nats: FloatArray, design: Design) -> None:
        self._predicates = predicates
        self._nats = nats
        self._evidence = evidence
        self._design = design
        self._marks: FloatMatrix = np.ascontiguousarray(np.asarray(marks.todense(), dtype=np.float32).T)  # (C, 2n)
        self._counts = self._marks.sum(axis=1)
        pairs = design.pairs
        self._side_counts = np.stack([self._marks[:, :pairs].sum(axis=1), self._marks[:, pairs:].sum(axis=1)])
        # Sum of squares about the mean of each model.
        self._spread = (self._side_counts * (1 - self._side_counts / max(1, pairs))).sum(axis=0)
        self._words = [_words(predicate) for predicate in predicates]
        self._stems = [frozenset(stem(word) for word in words) for words in self._words]
        self._content = [frozenset(stem(word) for word in words if word not in FUNCTION_WORDS) for words in self._words]
        self._names = [predicate.statement() for predicate in predicates]
        self._left = np.ones(len(predicates))
        self._free = np.ones(len(predicates), dtype=np.bool_)
        self._taken: dict[int, list[int]] = {}

    def best(self) -> int | None:
        """The free candidate with the most evidence left; ties go to the shorter sentence, then by the alphabet."""
        free = np.flatnonzero(self._free)
        if not len(free):
            return None
        rank = (self._nats * self._left).round(6)
        top = free[rank[free] == rank[free].max()].tolist()
        return min(top, key=lambda index: (len(self._names[index]), self._names[index]))

    def take(self, leader: int) -> None:
        """Gives the leader all free candidates that say the same, and lowers the rank of what happens inside it."""
        self._free[leader] = False
        if any(leader in members for members in self._taken.values()):
            return
        together: FloatArray = np.stack([side @ self._marks[leader, place] for place, side in self._sides()]).astype(np.float64)  # (2, C)
        same = self._same_texts(leader, together) & self._free
        # Whatever words always come with the leader are the leader's: “moral” stands for “the moral of the story”.
        stems = self._stems[leader].union(*(self._stems[index] for index in np.flatnonzero(same).tolist()))
        same[self._explained(self._related(leader, stems, np.flatnonzero(self._free & ~same).tolist()), leader)] = True
        members = np.flatnonzero(same).tolist()
        self._free[members] = False
        self._taken[leader] = members
        self._left = np.minimum(self._left, 1 - _INSIDE * self._inside(leader, together))

    def members(self, leader: int) -> tuple[int, ...]:
        """What the leader took, best first."""
        nats = self._nats
        return tuple(sorted(self._taken.get(leader, []), key=lambda index: (-nats[index].round(6), self._plainness(index))))

    def group(self, leader: int) -> Group:
        """The leader's group with its best sentence chosen, which takes in its own near-duplicates too."""
        members = self.members(leader)
        difference, direction, nats = self._evidence.difference, self._evidence.direction, self._nats
        good = [
            index
            for index in (leader, *members)
            if nats[index] >= _AS_GOOD * nats[leader]
            and np.abs(difference[index]) >= _AS_GOOD * np.abs(difference[leader])
            and direction[index] == direction[leader]
        ]
        chosen = min(good, key=self._plainness)
        if chosen != leader:
            self._taken[leader] = []
            self.take(chosen)
            members = (*members, *self.members(chosen))
        return Group(chosen, tuple(index for index in (leader, *members) if index != chosen))

    def _plainness(self, index: int) -> tuple[float | str, ...]:
        """Small for sentences that say most in fewest words: the kind, words with content, no loose ends, shortness."""
        predicate = self._predicates[index]
        judged = not isinstance(predicate, Refusal | Language)
        kind = 0 if isinstance(predicate, Opening | Ending) else 1 if isinstance(predicate, Phrase) else 2
        words = self._words[index]
        loose = sum(word in FUNCTION_WORDS for word in words[-1:])
        size = len(words) if words else len(self._names[index])
        return judged, -len(self._content[index]), kind, loose, size, -float(self._nats[index].round(6)), self._names[index]

    def _sides(self) -> list[tuple[slice, FloatMatrix]]:
        pairs = self._design.pairs
        return [(slice(0, pairs), self._marks[:, :pairs]), (slice(pairs, None), self._marks[:, pairs:])]

    def _same_texts(self, leader: int, together: FloatArray) -> BoolArray:
        """(C,) whether a candidate holds for the leader's texts and differs the same way, or for the others and differs the other way."""
        expected = (self._side_counts * self._side_counts[:, [leader]]).sum(axis=0) / max(1, self._design.pairs)
        scale = np.sqrt(np.maximum(self._spread * self._spread[leader], 1e-9))
        phi = np.where((self._spread > 0) & (self._spread[leader] > 0), (together.sum(axis=0) - expected) / scale, 0.0)
        either = self._counts + self._counts[leader] - together.sum(axis=0)
        jaccard = together.sum(axis=0) / np.maximum(either, 1)
        alike = self._evidence.direction == self._evidence.direction[leader]
        return (alike & ((phi >= _SAME_PHI) | (jaccard >= _SAME_TEXTS))) | (~alike & (phi <= -_SAME_PHI))

    def _inside(self, leader: int, together: FloatArray) -> FloatArray:
        """(C,) how much more often than by chance a candidate's texts, on the side that has more of them, are the leader's: 0 to 1."""
        side = (self._evidence.direction > 0).astype(np.int64)
        columns = np.arange(len(side))
        count = np.maximum(self._side_counts[side, columns], 1)
        chance = self._side_counts[side, leader] / max(1, self._design.pairs)
        return np.clip((together[side, columns] / count - chance) / np.maximum(1 - chance, 1e-3), 0.0, 1.0)

    def _related(self, leader: int, stems: frozenset[str], others: Sequence[int]) -> list[int]:
        """Those whose words are the leader's, or that hold all its words where it says something; and measures of the same theme."""
        theme = _theme(self._predicates[leader])
        direction = self._evidence.direction
        related: list[int] = []
        for index in others:
            if theme is not None:
                fits = _theme(self._predicates[index]) == theme
            else:
                own = self._stems[index]
                fits = own <= stems or (bool(self._content[leader]) and self._stems[leader] <= own)
                fits = fits and bool(own) and direction[index] == direction[leader]
            if fits:
                related.append(index)
        return related

    def _explained(self, others: list[int], leader: int) -> list[int]:
        """Those whose difference is gone once the leader's texts are left out."""
        if not others:
            return []
        rest = self._marks[others] * (1 - self._marks[leader])
        evidence = self._design.evidence(csr_matrix(rest.T.astype(np.float64)))
        before = self._evidence.growth[others]
        after = np.where(evidence.direction == self._evidence.direction[others], evidence.growth, 0.0)
        gone = after < np.minimum(0.5 * before, np.maximum(_NOISE, _GONE * before))
        return [index for index, is_gone in zip(others, gone.tolist(), strict=True) if is_gone]


def _theme(predicate: Predicate) -> str | None:
    """Of a measure whose theme is about one thing; punctuation marks are each their own."""
    if not isinstance(predicate, MeasureBound):
        return None
    theme = MEASURES[predicate.feature].theme
    return None if theme == "Punctuation" else theme


def _words(predicate: Predicate) -> list[str]:
    if isinstance(predicate, Phrase):
        return fold(predicate.phrases[0]).split()
    if isinstance(predicate, Opening | Ending):
        return fold(predicate.phrase).split() if any(character.isalnum() for character in predicate.phrase) else []
    return []
