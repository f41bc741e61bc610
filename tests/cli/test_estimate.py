"""`auto-interventions estimate`: before anything is spent, without a key; what it measures is not drawn twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from auto_interventions.cli import main
from auto_interventions.llm.secrets import KEY_VARIABLES
from tests.flows.faulty import settings as live_settings
from tests.llm.server import ChatServer
from tests.stages.spoken import World, audit, read

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs the command on an audit file, without any key: exit code and what it prints."""
    for name in (variable for variables in KEY_VARIABLES.values() for variable in variables):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "160")

    def say(config: dict[str, Any], *options: str) -> tuple[int, str]:
        (tmp_path / "audit.yaml").write_text(yaml.safe_dump(config))
        monkeypatch.setattr("sys.argv", ["auto-interventions", "estimate", str(tmp_path / "audit.yaml"), *options])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(ended.value.code or 0), said.out

    return say


def test_an_audit_of_recorded_texts_costs_what_was_said(spoken: World, spoken_server: ChatServer, estimate: Say) -> None:
    spoken_server.reset()
    code, said = estimate(spoken.whole, "--json")
    assert code == 0
    told = json.loads(said)
    assert not spoken_server.calls, "an estimate asks nobody"
    assert told["dollars_in_all"]["fewest"] < spoken.dollars < told["dollars_in_all"]["most"]
    assert told["calls"]["fewest"] < len(spoken.questions) < told["calls"]["most"]
    ledger = read(spoken.run, "ledger")
    assert told["texts"]["fewest"] <= ledger["all"]["texts"] <= told["texts"]["most"]
    assert told["tokens"] is None, "nobody writes them"
    for purpose, stage in {"naming differences": "propose: label", "trying them": "propose: try", "judging": "confirm: judge"}.items():
        low, high = told["dollars"][purpose]["fewest"], told["dollars"][purpose]["most"]
        assert low < ledger["stages"][stage]["dollars"] < high, purpose
    beside = ledger["stages"]["examine: ask"]["dollars"] - ledger["models"]["openai:other"]["dollars"]
    assert beside < told["dollars"]["looking at findings"]["most"]
    assert told["dollars"]["further judges"]["most"] > ledger["models"]["openai:other"]["dollars"]
    sums = {side: sum(one[side] for one in told["dollars"].values()) for side in ("fewest", "most")}
    assert told["dollars_in_all"] == pytest.approx(sums)


def test_its_table_tells_the_same(spoken: World, estimate: Say) -> None:
    code, said = estimate({**spoken.whole, "budget": {"dollars": 0.01}})
    assert code == 0
    _, told = estimate(spoken.whole, "--json")
    most = json.loads(told)["dollars_in_all"]["most"]
    (line,) = [line for line in said.splitlines() if line.strip().startswith("dollars")]
    assert line.split()[-1] == f"${most:,.2f}"
    for words in ("texts, both models", "calls of language models", "naming differences", "trying them", "judging", "further judges"):
        assert words in said
    assert "ends this one at $0.01" in " ".join(said.split())
    assert "at least" in said
    assert "at most" in said


def test_an_audit_without_language_models_costs_no_money(spoken: World, estimate: Say) -> None:
    config = {**spoken.whole, "hypotheses": {}, "judge": {}, "intent": None}
    code, said = estimate(config, "--json", "--no-measure")
    told = json.loads(said)
    assert (code, told["dollars"], told["calls"]) == (0, {}, {"fewest": 0, "most": 0})
    assert told["seconds"] is None, "nothing is embedded either"
    assert "$0.00" in estimate(config)[1]


def test_dearer_models_cost_more(spoken: World, estimate: Say) -> None:
    def most(**judge: Any) -> float:
        return json.loads(estimate({**spoken.whole, "judge": {**spoken.whole["judge"], **judge}}, "--json", "--no-measure")[1])[
            "dollars_in_all"
        ]["most"]

    usual = most()
    assert most(strong=None) < usual
    assert most(panel=[]) < usual
    assert most(max_pairs=60) < usual
    assert most(chat={**spoken.whole["judge"]["chat"], "price": {"input": 1, "output": 4}}) > usual
    assert most(chat={**spoken.whole["judge"]["chat"], "price": {"input": 0, "output": 0}}) < usual


def test_what_it_draws_of_live_models_the_audit_finds(tmp_path: Path, estimate: Say) -> None:
    config = live_settings(tmp_path / "store")
    config = {**config, "sampling": {**config["sampling"], "max_texts": 240}}
    code, said = estimate(config, "--json")
    told = json.loads(said)
    assert code == 0
    assert told["drawn"] > 20
    assert 0 < told["seconds"]["fewest"] <= told["seconds"]["most"]
    assert 0 < told["tokens"]["fewest"] <= told["tokens"]["most"] <= 240 * config["sampling"]["max_new_tokens"]
    code, said = estimate(config, "--json")
    assert json.loads(said)["drawn"] == 0, "they are in the store by now"
    audit(config, tmp_path / "run")
    spent = read(tmp_path / "run", "ledger")["all"]
    assert 0 < spent["texts_reused"] <= told["drawn"]
    assert spent["texts"] <= told["texts"]["most"]
    assert spent["tokens"] <= told["tokens"]["most"]


def test_it_draws_nothing_where_it_is_told_so(tmp_path: Path, estimate: Say) -> None:
    config = live_settings(tmp_path / "store")
    code, said = estimate(config, "--no-measure")
    assert code == 0
    assert "Time: not measured." in " ".join(said.split())
    told = json.loads(estimate(config, "--no-measure", "--json")[1])
    assert (told["drawn"], told["seconds"]) == (0, None)
    assert told["tokens"]["most"] == told["texts"]["most"] * config["sampling"]["max_new_tokens"]
