"""Which sentences are compared, and which become one."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.config import EmbeddingConfig
from auto_interventions.embedding import open_encoder
from auto_interventions.labelling.duplicates import groups_of, near_pairs


def unit(*angles: float) -> np.ndarray:
    turned = np.deg2rad(np.array(angles))
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def test_the_nearest_are_compared_first_and_far_ones_not_at_all() -> None:
    vectors = unit(0, 10, 90, 95, 200)
    assert near_pairs(vectors, known=0) == [(2, 3), (0, 1)]
    assert near_pairs(vectors, known=1) == [(2, 3), (0, 1)]
    assert near_pairs(vectors, known=2) == [(2, 3)], "two known sentences are not compared"
    assert near_pairs(vectors, known=5) == []
    assert near_pairs(unit(0), known=0) == []


def test_questions_grow_with_the_sentences() -> None:
    pairs = near_pairs(unit(*np.linspace(0, 5, 60)), known=0)
    assert len(pairs) <= 60 * 4
    assert {index for pair in pairs for index in pair} == set(range(60))


@pytest.mark.parametrize(
    ("same", "groups"),
    [
        ({}, [[0], [1], [2], [3]]),
        ({(0, 1): True}, [[0, 1], [2], [3]]),
        ({(0, 1): True, (1, 2): True, (2, 3): True}, [[0, 1, 2, 3]]),
        ({(0, 1): False, (2, 3): True}, [[0], [1], [2, 3]]),
    ],
)
def test_chains(same: dict[tuple[int, int], bool], groups: list[list[int]]) -> None:
    asked = [(0, 1), (1, 2), (2, 3)]
    assert groups_of(4, 0, asked, same) == groups


def test_a_chain_does_not_join_what_was_found_to_differ() -> None:
    same = {(0, 1): True, (1, 2): True, (0, 2): False}
    assert groups_of(3, 0, [(0, 1), (1, 2), (0, 2)], same) == [[0, 1], [2]]
    assert groups_of(3, 0, [(1, 2), (0, 1), (0, 2)], same) == [[0], [1, 2]], "the nearer pair joins"


def test_known_sentences_never_join_each_other() -> None:
    assert groups_of(4, 2, [(0, 2), (1, 2), (1, 3)], {(0, 2): True, (1, 2): True, (1, 3): True}) == [[0, 2], [1, 3]]


def test_the_real_encoder_brings_paraphrases_together() -> None:
    paraphrases = [
        ("ends with an explicit moral", "concludes by stating a lesson"),
        ("mentions a lighthouse", "contains the word lighthouse"),
        ("is told in the first person", "uses a first-person narrator"),
        ("refuses to answer the question", "declines the request"),
        ("contains dialogue", "includes direct speech between characters"),
        ("has a sad ending", "ends unhappily"),
        ("uses a bulleted list", "formats its answer as bullet points"),
    ]
    statements = [sentence for both in paraphrases for sentence in both]
    asked = near_pairs(open_encoder(EmbeddingConfig(dtype="fp32")).encode(statements), known=0)
    assert {(2 * place, 2 * place + 1) for place in range(len(paraphrases))} <= set(asked)
    assert len(asked) <= 30, "a third of all 91 pairs"
