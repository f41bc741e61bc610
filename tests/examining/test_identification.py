from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import BudgetSpent
from auto_interventions.examining import identify
from auto_interventions.examining.identification import identification_test
from auto_interventions.fingerprint import generator
from auto_interventions.records import Finding
from auto_interventions.subjects import Subject, open_subject
from tests.examining.conftest import Ask, Sides
from tests.examining.labellers import HOSTILE, answering, designs, fences, outside
from tests.examining.making import finding
from tests.examining.singers import PLACES, SUBJECTS, bank
from tests.llm.conftest import Serve
from tests.llm.protocols import Question
from tests.llm.server import Fault

ALPHA = 0.05
SINGS = finding('says that somebody "sang"')
SAD = finding('says that somebody was "sad"', more_in="base", number=1)
NEW = [f"{who} and {other} went to the {place}." for who in SUBJECTS for other in SUBJECTS for place in PLACES[:2]]
PLAYER = answering(designs(NEW))


def look(asker: Any, subjects: tuple[Subject, Subject], findings: list[Finding], trials: int = 30, seed: int = 0) -> dict[str, Any]:
    return cast(dict[str, Any], identify(asker, findings, bank(), *subjects, trials, seed, ALPHA))


@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_a_finding_that_holds_tells_the_models_apart(serve: Serve, ask: Ask, sides: Sides, provider: str) -> None:
    server = serve(models={"m": PLAYER})
    told = look(ask(server, provider), sides.open(), [SINGS, SAD, finding("not so", number=2, status="not validated")])
    assert list(told) == [SINGS.id, SAD.id]
    for one in told.values():
        assert (one["trials"], one["unanswered"], len(one["prompts"])) == (30, 0, 20)
        assert one["accuracy"] > 0.7
        assert one["interval"][0] > 0.5
        assert one["interval"][0] <= one["accuracy"] <= one["interval"][1] <= 1
        assert one["e_value"] == pytest.approx(np.exp(one["log_e"]))
        assert one["e_value"] > 20
    assert told[SINGS.id]["prompts"] == NEW[:20]
    json.dumps(told)
    calls = server.summary()["calls"]
    assert look(ask(server, provider), sides.open(), [SINGS, SAD]) == told
    assert server.summary()["calls"] == calls


def test_a_finding_in_the_wrong_direction_or_of_nothing_tells_nothing(serve: Serve, ask: Ask, sides: Sides) -> None:
    asker = ask(serve(models={"m": PLAYER}))
    wrong, idle = finding(SINGS.statement, more_in="base", number=3), finding('mentions "went"', number=4)
    told = look(asker, sides.open(), [wrong, idle])
    assert told[wrong.id]["accuracy"] < 0.3
    assert told[wrong.id]["e_value"] < 0.1
    assert told[idle.id]["e_value"] < 10
    assert told[idle.id]["interval"][0] < 0.5


def test_identical_models_cannot_be_told_apart(serve: Serve, ask: Ask, sides: Sides) -> None:
    """Twelve findings on two copies of one model: the mean of the e-values is about 1 at most, and none is large."""
    found = [finding(f'says that somebody "sang" {number}', number=number + 20) for number in range(12)]
    told = look(ask(serve(models={"m": PLAYER})), sides.open(intervention="base"), found, trials=20)
    e_values = [one["e_value"] for one in told.values()]
    assert max(e_values) < 20
    assert np.mean([one["accuracy"] for one in told.values()]) == pytest.approx(0.5, abs=0.1)


def test_no_guesser_beats_a_coin_too_often() -> None:
    """4,000 experiments on identical models with guessers of any confidence: P(e ≥ 1/α) ≤ α, and the mean e-value about 1 at most."""
    e_values = np.zeros(4000)
    for number in range(4000):
        random = generator("test-identification", number)
        coins, says = random.integers(2, size=40), random.random(40) < random.random()
        sure = random.beta(0.5 + number % 3, 0.5, 40)
        told = identification_test((coins == says).astype(float), sure, np.arange(40) % 20, 0.5)
        e_values[number] = told["e_value"]
    assert np.mean(e_values >= 1 / ALPHA) <= ALPHA + 3 * np.sqrt(ALPHA / 4000)
    assert e_values.mean() <= 1 + 3 * e_values.std() / np.sqrt(4000)


def test_intervals_cover_the_accuracy() -> None:
    covered = 0
    for number in range(300):
        right = (generator("test-identification", "interval", number).random(30) < 0.75).astype(float)
        lo, hi = cast(list[float], identification_test(right, np.ones(30), np.arange(30), ALPHA)["interval"])
        covered += lo <= 0.75 <= hi
    assert covered / 300 >= 0.95 - 3 * np.sqrt(0.05 / 300)


def test_missing_guesses_are_no_bets() -> None:
    right, sure = np.array([1.0, np.nan, 0.0, 1.0]), np.array([0.5, np.nan, 0.2, 0.9])
    told = identification_test(right, sure, np.arange(4), ALPHA)
    seen = ~np.isnan(right)
    assert told == identification_test(right[seen], sure[seen], np.array([0, 1, 2]), ALPHA)
    nothing = identification_test(np.array([np.nan]), np.array([np.nan]), np.zeros(1, dtype=np.int64), ALPHA)
    assert nothing == {"trials": 0, "accuracy": None, "interval": None, "e_value": 1.0, "log_e": 0.0}


def test_the_guesser_knows_neither_coin_nor_names(serve: Serve, ask: Ask, sides: Sides) -> None:
    seen: list[tuple[str, list[str]]] = []

    def noting(question: Question) -> dict[str, Any]:
        seen.append((outside(question).strip(), [name for name, _ in fences(question)]))
        assert "singers" not in question.text
        assert "intervention" not in question.text
        return designs(NEW)(question)

    found = [finding(f'"sang" {text}', number=number + 40) for number, text in enumerate(HOSTILE)]
    told = look(ask(serve(models={"m": answering(noting)})), sides.open(), found, trials=6)
    assert all(one["trials"] == 6 for one in told.values())
    assert {(text, tuple(names)) for text, names in seen} == {
        ("Write 6 prompts.", ("sentence", *["example"] * 5)),
        ("", ("sentence", "prompt", "answer")),
    }


def test_designs_are_bounded_and_what_cannot_be_answered_is_counted(serve: Serve, ask: Ask, sides: Sides) -> None:
    odd = ["One day", " One day\u200b ", "", "otter 🙂 " * 400, "she"]
    told = look(ask(serve(models={"m": answering(designs(odd))})), sides.open(), [SINGS], trials=9)[SINGS.id]
    assert told["prompts"][0] == "One day"
    assert len(told["prompts"]) == 3
    assert len(told["prompts"][1]) == 1000
    assert (told["trials"], told["unanswered"]) == (6, 3)  # the long prompt has no room in the models' context


def test_failures_are_values(serve: Serve, ask: Ask, sides: Sides, tmp_path: Path) -> None:
    blocked = look(ask(serve(models={"m": PLAYER}, script=[Fault("blocked")])), sides.open(), [SINGS])
    assert blocked[SINGS.id]["not_available"].startswith("blocked")
    nothing = look(ask(serve(models={"m": answering(designs([]))})), sides.open(), [SAD])
    assert nothing[SAD.id] == {"not_available": "the labeller designed no prompt"}
    some = finding('hears that one "sang"', number=60)
    server = serve(models={"m": PLAYER}, script=[None, Fault("refused"), None, Fault("blocked")])
    told = look(ask(server, concurrency=1), sides.open(), [some], trials=8)[some.id]
    assert (told["trials"], told["unanswered"]) == (6, 2)
    (tmp_path / "texts.jsonl").write_text('{"model": "base", "prompt": "p", "text": "t"}\n')
    recorded = open_subject(SubjectConfig(texts=str(tmp_path / "texts.jsonl")), "base", SamplingConfig(), None)
    calls = server.summary()["calls"]
    assert "live models" in look(ask(server), (recorded, sides.open()[1]), [SINGS])[SINGS.id]["not_available"]
    assert server.summary()["calls"] == calls
    with pytest.raises(BudgetSpent):
        look(ask(server, dollars=1e-7), sides.open(), [finding('"new"', number=61)])
