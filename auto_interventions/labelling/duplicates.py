"""Sentences that say the same in other words: found by embedding, decided by mutual entailment.

Two sentences are the same where each follows from the other (Padó et al. 2009; as hypotheses, "a text that fits the one fits the other").
Which pairs are worth asking for, the vectors say; what the model answers, binds. What it does not know: who is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auto_interventions.records import FloatMatrix

NEAR = 0.3
"""Cosine below which two sentences are not asked for: paraphrases measured 0.37 and more with all-MiniLM-L6-v2, but for a few that share
no word; "a cat" and "a dog" reach 0.8, so that the cosine alone decides nothing."""
NEIGHBOURS = 4
"""Nearest sentences of each that are asked for: the number of questions grows with the sentences, not with their square."""

Place = tuple[int, int]


def near_pairs(vectors: FloatMatrix, known: int, near: float = NEAR, neighbours: int = NEIGHBOURS) -> list[Place]:
    """Pairs (i, j), i < j, that may say the same, nearest first.

    Args:
        vectors: (n, d) unit vectors of the sentences.
        known: the first `known` sentences stand as they are: no pair holds two of them.
        near: cosine from which a pair counts.
        neighbours: of each sentence that is not known, at most so many.
    """
    count = len(vectors)
    cosines = np.asarray(vectors @ vectors.T, dtype=np.float64).round(6)  # rounded: a sum's last bits must not decide an order
    np.fill_diagonal(cosines, -np.inf)
    found: dict[Place, float] = {}
    for row in range(known, count):
        for other in np.argsort(-cosines[row], kind="stable")[:neighbours].tolist():
            if cosines[row, other] >= near:
                found[min(row, other), max(row, other)] = float(cosines[row, other])
    return sorted(found, key=lambda place: (-found[place], place))


def groups_of(count: int, known: int, asked: Sequence[Place], same: Mapping[Place, bool]) -> list[list[int]]:
    """Sentences in groups that say the same, each group in order of index, groups by their first.

    Chains join: 1 = 2 and 2 = 3 make one group of three. But not against a verdict: where 1 and 3 were found to differ, the nearer pair
    joins and the other stays apart, for to test one sentence twice costs less than to lose one. No group holds two known sentences.

    Args:
        count: sentences; the first `known` of them stand as they are.
        asked: pairs in the order in which they may join.
        same: verdict of each; pairs without one were not answered, and do not join.
    """
    group_of = list(range(count))
    members = {index: [index] for index in range(count)}
    differ = {place for place in asked if not same.get(place, False)}
    for first, second in asked:
        one, other = members[group_of[first]], members[group_of[second]]
        if one is other or not same.get((first, second), False):
            continue
        apart = any((min(left, right), max(left, right)) in differ for left in one for right in other)
        if apart or (min(one) < known and min(other) < known):
            continue
        name = min(group_of[first], group_of[second])
        joined = sorted(one + other)
        for index in joined:
            group_of[index] = name
        members[name] = joined
    return [members[name] for name in sorted(set(group_of))]
