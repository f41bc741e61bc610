"""Whole audits in which language models name and judge: real SDKs, a real server, judges of known accuracy."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.llm.judges import fenced_judge
from tests.llm.labellers import word_labeller
from tests.llm.server import ChatServer, Fault

from .spoken import CHEAP, DEAR, NEVER, OWN, PROMPTS, SHARE, WORDS, World, audit, models, paid_twice, price_of, read, write_rows

KEY = "sk-proj-of-the-tests-0123456789"
CAPS = (0.0, 0.03, 0.12, 0.4, 0.95)
"""Shares of what the undisturbed audit cost: they end it while it names, tries, judges and examines."""


@pytest.fixture(autouse=True)
def _fresh(spoken: World, spoken_server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    spoken_server.reset()


def by_statement(folder: Path) -> dict[str, dict[str, Any]]:
    return {finding["statement"]: finding for finding in read(folder, "findings")["findings"]}


def findings(folder: Path) -> bytes:
    return (folder / "findings.json").read_bytes()


def test_what_is_planted_is_found_by_its_sentences(spoken: World) -> None:
    found = by_statement(spoken.run)
    own, never = found[OWN], found[NEVER]
    labelled = [one for one in found.values() if one["source"] == "labeller"]
    held = [one for one in labelled if one["status"] == "validated"]
    assert (own["status"], own["source"], own["more_in"]) == ("validated", "own", "intervention")
    assert never["status"] != "validated"
    assert held, "the labeller names what was planted"
    for one in (own, *held):
        assert one["judges"] == ["openai:cheap", "openai:strong"]
        assert one["more_in"] == "intervention"
        low, high = one["interval"]
        assert low < SHARE < high < 1.05, "the planted difference"
        assert one["evidence"]
    assert own["interval"][0] > 0
    assert any(word in one["statement"] for one in held for word in ("lighthouse", "blinked", "night"))
    noise = [one for one in labelled if any(f'"{word}"' in one["statement"] for word in WORDS)]
    assert not any(one["status"] == "validated" for one in noise)


def test_each_finding_is_looked_at_from_all_sides(spoken: World) -> None:
    told = read(spoken.run, "findings")
    held = {one["id"]: one for one in told["findings"] if one["status"] == "validated"}
    for one in held.values():
        wanted = {"published_tests", "generalisation", "bag_of_words", "intent"}
        if one["check"] is None:
            wanted |= {"reasons", "panel"}
            assert set(one["beside"]["reasons"]) <= set(one["evidence"]), "a reason for texts that are shown"
            assert one["beside"]["reasons"]
        assert wanted <= set(one["beside"]), one["statement"]
        assert "not_available" not in one["beside"]["intent"]
    verdicts = {one["statement"]: one["beside"]["intent"]["verdict"] for one in held.values()}
    assert verdicts[OWN] == "intended"
    assert sorted(identifier for theme in told["themes"] for identifier in theme["findings"]) == sorted(held)
    assert all("published_tests" in one["beside"] for one in told["findings"])


def test_run_json_tells_of_labeller_and_judges(spoken: World) -> None:
    run = read(spoken.run, "run")
    assert run["status"] == "done"
    assert "not_examined" not in run
    labelling, judging = run["labelling"], run["judging"]
    assert 1 < labelling["calls"] <= 3
    proposed = sum(one["source"] == "labeller" for one in by_statement(spoken.run).values())
    assert proposed == labelling["proposed"] > 0
    assert [judge["judge"] for judge in judging["judges"]] == ["openai:cheap", "openai:strong", "openai:other"]
    assert [known["judge"] for known in judging["known_items"]] == ["openai:cheap", "openai:strong"]
    assert judging["agreement"]["pairs"] > 0
    for judge in judging["judges"]:
        assert judge["asked"] == sum(judge[verdict] for verdict in ("first", "second", "both", "neither", "unclear"))
        assert not judge["failed"]


def test_the_ledger_adds_up(spoken: World) -> None:
    ledger = read(spoken.run, "ledger")
    stages, by_model, sentences, whole = ledger["stages"], ledger["models"], ledger["hypotheses"], ledger["all"]
    assert spoken.dollars > 0
    for told in (whole["dollars"], sum(stage["dollars"] for stage in stages.values()), sum(one["dollars"] for one in by_model.values())):
        assert told == pytest.approx(spoken.dollars, abs=1e-5)
    assert whole["calls"] == sum(one["calls"] for one in by_model.values()) == len(spoken.questions)
    assert (whole["calls_cached"], whole["calls_failed"]) == (0, 0)
    assert {"propose: label", "propose: try", "confirm: judge", "examine: ask"} == {name for name in stages if stages[name]["calls"]}
    assert set(by_model) == {"openai:label", "openai:cheap", "openai:strong", "openai:other"}
    plain = {finding["id"]: finding["statement"] for finding in by_statement(spoken.run).values() if finding["check"] is None}
    assert {name: one["statement"] for name, one in sentences.items()} == plain
    for one in sentences.values():
        assert one["dollars"] == pytest.approx(sum(judge["dollars"] for judge in one["by_judge"].values()), abs=1e-5)
    judged = stages["propose: try"]["dollars"] + stages["confirm: judge"]["dollars"] + by_model["openai:other"]["dollars"]
    assert sum(one["dollars"] for one in sentences.values()) == pytest.approx(judged, abs=1e-5)
    calls = sum(judge["calls"] for one in sentences.values() for name, judge in one["by_judge"].items() if name != "openai:other")
    assert calls == stages["propose: try"]["calls"] + stages["confirm: judge"]["calls"]


def test_the_same_audit_again_asks_nobody(spoken: World, spoken_server: ChatServer, tmp_path: Path) -> None:
    audit(spoken.whole, tmp_path / "again", reuse=False)
    assert not spoken_server.calls
    assert findings(tmp_path / "again") == findings(spoken.run)
    whole = read(tmp_path / "again", "ledger")["all"]
    assert (whole["calls"], whole["calls_cached"], whole["dollars"]) == (len(spoken.questions), len(spoken.questions), 0)
    assert read(tmp_path / "again", "run")["reused"]["judge_calls"] > 0


def test_the_same_audit_again_is_taken_whole(spoken: World, spoken_server: ChatServer, tmp_path: Path) -> None:
    audit(spoken.whole, tmp_path / "taken")
    assert not spoken_server.calls
    assert findings(tmp_path / "taken") == findings(spoken.run)
    assert read(tmp_path / "taken", "run")["reused"]["run"]


@pytest.mark.parametrize("labeller", ["lexical", "openai:label"])
def test_only_ones_own_sentences(spoken: World, spoken_server: ChatServer, tmp_path: Path, labeller: str) -> None:
    intent = None if labeller == "lexical" else spoken.whole["intent"]
    config = spoken.settings(tmp_path, spoken_server, hypotheses={"labeller": labeller, "discover": False}, intent=intent)
    audit(config, tmp_path / "run")
    found = by_statement(tmp_path / "run")
    assert set(found) == {OWN, NEVER}
    assert found[OWN]["status"] == "validated"
    assert found[NEVER]["status"] != "validated"
    assert "labelling" not in read(tmp_path / "run", "run")
    asked = {call.model for call in spoken_server.calls}
    assert ("label" in asked) == (labeller != "lexical"), "a labeller that proposes nothing still says what was intended"
    assert found[OWN]["log_e"] > 0


@pytest.mark.parametrize("share", CAPS)
def test_money_that_ends_leaves_what_was_found_and_more_goes_on(
    spoken: World, spoken_server: ChatServer, tmp_path: Path, share: float
) -> None:
    cap = share * spoken.dollars
    config = spoken.settings(tmp_path, spoken_server, budget={"dollars": cap})
    first = audit(config, tmp_path / "run")
    assert first.status == "stopped"
    spent = price_of(spoken_server)
    assert spent <= cap
    run, told = read(tmp_path / "run", "run"), read(tmp_path / "run", "findings")
    assert run["status"] == "stopped"
    assert "`budget.dollars`" in run["stopped_because"]
    assert "No language model was asked any more" in told["stopped_because"]
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    assert read(tmp_path / "run", "ledger")["all"]["dollars"] == pytest.approx(spent, abs=1e-5)
    assert NEVER not in {one["statement"] for one in told["findings"] if one["status"] == "validated"}
    again = audit({**config, "budget": {"dollars": 10 * spoken.dollars}}, tmp_path / "run")
    assert again.status == "done"
    assert not paid_twice(spoken_server)
    assert findings(tmp_path / "run") == findings(spoken.run)
    ledger = read(tmp_path / "run", "ledger")
    assert ledger["dollars_before"] + ledger["all"]["dollars"] == pytest.approx(price_of(spoken_server), abs=1e-5)
    assert price_of(spoken_server) == pytest.approx(spoken.dollars, rel=0.25), "what was left out at the end of the money is not much"


def test_the_cap_holds_for_all_attempts_together(spoken: World, spoken_server: ChatServer, tmp_path: Path) -> None:
    cap = 0.3 * spoken.dollars
    config = spoken.settings(tmp_path, spoken_server, budget={"dollars": cap})
    for _ in range(3):
        assert audit(config, tmp_path / "run").status == "stopped"
    assert price_of(spoken_server) <= cap
    assert not paid_twice(spoken_server)


def test_a_service_that_falters_changes_nothing(spoken: World, tmp_path: Path) -> None:
    # So far apart that no repair is malformed as well, as that would be a failure.
    script = [Fault(kind) if place == 19 else None for kind in ("malformed", "wrong_schema", "long", "chatty") for place in range(20)]
    rates = {"busy": 0.05, "cut": 0.03, "cut_body": 0.03}
    with ChatServer(models(), script=script, rates=rates, seed=1) as shaky:
        audit(spoken.settings(tmp_path, shaky), tmp_path / "run")
        assert set(shaky.summary()["faults"]) == {"malformed", "wrong_schema", "long", "chatty", *rates}
    failed = read(tmp_path / "run", "ledger")["all"]["calls_failed"]
    assert failed == 1, "a reply that runs into its limit is asked for in smaller parts, not again"
    assert findings(tmp_path / "run") == findings(spoken.run)


def test_it_does_not_matter_whose_protocol_is_spoken(
    spoken: World, spoken_server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    gemini, anthropic = (
        {"base_url": spoken_server.url("gemini"), "price": DEAR},
        {"base_url": spoken_server.url("anthropic"), "price": CHEAP},
    )
    judges = {"cheap": "anthropic:cheap", "chat": anthropic, "strong": "gemini:strong", "strong_chat": gemini, "panel": ["anthropic:other"]}
    config = spoken.settings(tmp_path, spoken_server, hypotheses={"labeller": "gemini:label", "chat": gemini}, judge=judges)
    audit(config, tmp_path / "run")
    assert {(call.provider, call.model) for call in spoken_server.calls} == {
        *(("gemini", "label"), ("anthropic", "cheap"), ("gemini", "strong"), ("anthropic", "other"))
    }
    then, now = by_statement(spoken.run), by_statement(tmp_path / "run")
    assert set(now) == set(then), "the labeller says the same"
    assert (now[OWN]["status"], now[NEVER]["status"] == "validated") == ("validated", False)
    assert any(one["status"] == "validated" for one in now.values() if one["source"] == "labeller")
    assert now[OWN]["judges"] == ["anthropic:cheap", "gemini:strong"]
    assert read(tmp_path / "run", "ledger")["all"]["calls_failed"] == 0


def test_an_exhaustive_audit_judges_the_first_pairs(spoken: World, spoken_server: ChatServer, tmp_path: Path) -> None:
    config = spoken.settings(tmp_path, spoken_server, sampling={"strategy": "exhaustive"}, judge={"max_pairs": 90, "panel": []})
    where = audit(config, tmp_path / "run")
    found = by_statement(tmp_path / "run")
    assert where.status == "done"
    assert (found[OWN]["status"], found[NEVER]["status"] == "validated") == ("validated", False)
    judged = {one["pairs"] for one in found.values() if one["check"] is None}
    assert max(judged) <= 90
    assert min(judged) > 60, "no sentence stops early"


def test_nothing_is_validated_where_chance_deals_the_texts(spoken: World, tmp_path: Path) -> None:
    """One pool of texts, dealt to the two sides by a coin; a judge that is wrong of every third pair and likes what it sees first."""
    rows = [row for row in spoken.texts.read_text(encoding="utf-8").splitlines() if row]
    judges = {f"cheap{seed}": fenced_judge(0.7, 0.3, seed=seed, doubt=0.3) for seed in range(10)}
    named = {**judges, "strong": fenced_judge(0.85, 0.1, seed=99), "label": word_labeller(0.1)}
    shutil.copytree(spoken.folder / "vectors", tmp_path / "store")
    asked = 0
    with ChatServer(named) as null:
        for seed in range(10):
            texts = write_rows(tmp_path / f"{seed}.jsonl", rows, random.Random(seed))
            config = spoken.settings(
                tmp_path, null, sampling={"seed": seed}, base={"texts": str(texts)}, intervention={"texts": str(texts)}
            )
            config = {**config, "intent": None, "judge": {**config["judge"], "cheap": f"openai:cheap{seed}", "panel": [], "known_pairs": 0}}
            where = audit(config, tmp_path / f"run{seed}", reuse=False)
            found = by_statement(tmp_path / f"run{seed}").values()
            asked += sum(one["check"] is None and one["pairs"] > 0 for one in found)
            assert not [one["statement"] for one in found if one["status"] == "validated"]
            assert not where.peeks["validated"], "at no moment"
    assert asked >= 10 * 4, "own sentences and the labeller's were judged"
    assert PROMPTS >= 60
