"""Confirming exhaustively: one look at all pairs, fixed-n tests, Benjamini-Hochberg."""

from __future__ import annotations

import numpy as np

from auto_interventions.confirming import ConfirmState, conclude, confirm_round
from auto_interventions.fingerprint import generator
from auto_interventions.inference.fixed import benjamini_hochberg
from auto_interventions.subjects.base import Request

from .worlds import World, bank, config, explored, hypotheses

ALPHA = 0.05
EXHAUSTIVE = config(strategy="exhaustive")


def confirmed(simulation: object, rises: tuple[float, ...], prompts: int = 60, samples: int = 2) -> ConfirmState:
    world = World(generator("test-exhaustive", simulation), rises)
    requests = [Request(prompt, 0, samples) for prompt in bank(prompts)]
    state = ConfirmState.start(hypotheses(len(rises)), prompts, pool={"a": 20, "b": 20, "c": 20}, fixed=True)
    return confirm_round(state, *world.round(requests))


def test_identical_models_validate_nothing() -> None:
    """20 dependent sentences: any validated in ≤ α of 300 audits + 3 standard errors; then the verdict is "no difference found"."""
    hits = 0
    for simulation in range(300):
        state = confirmed(simulation, (0.0,) * 20)
        if benjamini_hochberg(state.p_values, ALPHA).any():
            hits += 1
            assert _found(state)
    assert hits / 300 <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 300)


def _found(state: ConfirmState) -> list[str]:
    end = conclude(state, explored(), EXHAUSTIVE)
    held = [finding.id for finding in end.findings if finding.status == "validated"]
    assert (end.overall["verdict"] == "different") == bool(held)
    return held


def test_planted_sentences_are_validated_by_their_p_values() -> None:
    state = confirmed("planted", (0.4, 0.0, -0.9, 0.0, 0.0), prompts=300)
    end = conclude(state, explored(), EXHAUSTIVE)
    held = {finding.statement: finding for finding in end.findings if finding.status == "validated"}
    assert set(held) == {"sentence 0", "sentence 2"}
    for finding in end.findings:
        assert finding.p_value is not None
        assert (finding.p_value < 0.01) == (finding.statement in held)
    assert held["sentence 2"].more_in == "base"


def test_nothing_to_test_is_an_answer() -> None:
    end = conclude(ConfirmState.start((), 0, fixed=True), explored(), EXHAUSTIVE)
    assert end.findings == ()
    assert end.overall["verdict"] == "no difference found"
    untested = conclude(ConfirmState.start(hypotheses(3), 0, fixed=True), explored(), EXHAUSTIVE)
    assert [finding.p_value for finding in untested.findings] == [1.0, 1.0, 1.0]
