"""Sentences wait for those that promise more, but not for one whose validity is settled already."""

from __future__ import annotations

import numpy as np

from auto_interventions.confirming import ConfirmState, confirm_round, next_block, standing
from auto_interventions.fingerprint import generator
from auto_interventions.judging.judged import Judged
from auto_interventions.subjects.base import Request

from . import worlds
from .readers import STRATA, certain, pairs_of, sentences, settings

CONFIG = settings()


def test_a_validated_sentence_that_is_only_being_sized_makes_nobody_wait() -> None:
    """Where texts are recorded the pairs that a true sentence waits through are gone."""
    pairs = pairs_of([Request(prompt, 0, 3) for prompt in worlds.bank(12, STRATA)])
    paid = np.ones((2, len(pairs)), dtype=np.float32)
    paid[1] = generator("test-waiting").permutation([1.0] * 11 + [-1.0] * 5 + [0.0] * 20)
    start = ConfirmState.start(sentences(2), 40, dict.fromkeys(STRATA, 20))
    said = Judged.of_scores(np.maximum(-paid, 0), np.maximum(paid, 0))
    state = confirm_round(start, pairs, judged=said, cells=np.ones(paid.shape, dtype=np.bool_))
    assert state.tried.min() > 20, "beyond the pairs that each sentence is judged on whatever they show"
    assert state.log_e[0] > 10 > 2 > state.log_e[1]
    assert standing(state, certain(), CONFIG) == ("open", "open"), "the first has too few prompts for an interval"
    waiting = pairs_of([Request(prompt, 0, 3) for prompt in worlds.bank(24, STRATA)])[36:]
    block = next_block(state, certain(), CONFIG, np.ones(2), waiting, len(waiting))
    assert block.cells.any(axis=1).tolist() == [True, True]


def test_nobody_waits_while_the_last_pairs_go_by() -> None:
    """Two open sentences, one that promises ten times as much: the other waits only if there are pairs enough afterwards."""
    pairs = pairs_of([Request(prompt, 0, 1) for prompt in worlds.bank(30, STRATA)])
    paid = np.zeros((2, len(pairs)), dtype=np.float32)
    paid[0, ::4] = 1.0
    paid[1, :4] = [1.0, -1.0, 1.0, 0.0]
    start = ConfirmState.start(sentences(2), 400, dict.fromkeys(STRATA, 200))
    said = Judged.of_scores(np.maximum(-paid, 0), np.maximum(paid, 0))
    state = confirm_round(start, pairs, judged=said, cells=np.ones(paid.shape, dtype=np.bool_))
    assert standing(state, certain(), CONFIG) == ("open", "open")
    waiting = pairs_of([Request(prompt, 0, 1) for prompt in worlds.bank(60, STRATA)])[30:]
    judged = [
        next_block(state, certain(), CONFIG, np.ones(2), waiting, len(waiting), later).cells.any(axis=1).tolist()
        for later in (float("inf"), 40.0)
    ]
    assert judged == [[True, False], [True, True]]
