"""The terminal shows models' words as words."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from auto_interventions.report import wording
from auto_interventions.report.console import findings_table, verdict_text
from auto_interventions.runs import load_run
from tests.report.making import make_run


def printed(thing: object, width: int = 140) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(thing)
    return stream.getvalue()


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return load_run(make_run(tmp_path_factory.mktemp("runs") / "full", prompts_per_stratum=60)).findings


def test_the_table_says_what_how_much_how_sure(findings: dict[str, Any]) -> None:
    text = printed(findings_table(findings))
    first = wording.validated(findings)[0]
    row = next(line for line in text.splitlines() if "mentions “moral”" in line)
    assert "more often" in row
    assert f"{wording.percent(first['base_rate'])} → {wording.percent(first['intervention_rate'])}" in row
    assert wording.odds(first["log_e"]) in row
    assert row.split()[-1] == "validated"
    assert text.index("mentions “moral”") < text.index("not validated")


def test_the_verdict_is_the_reports(findings: dict[str, Any]) -> None:
    assert wording.verdict(findings).headline in printed(verdict_text(findings), 1000)


def test_markup_and_escapes_stay_text(findings: dict[str, Any]) -> None:
    hostile = {
        **findings["findings"][0],
        "statement": "says “[bold red]x[/bold red] \x1b[31m \u202e [link=http://a]\ud800”",
        "difference": 0.99,
    }
    text = printed(findings_table({**findings, "findings": [hostile]})) + printed(verdict_text({**findings, "findings": [hostile]}))
    assert "[bold" in text
    assert "[link=http://a]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    text.encode("utf-8")


def test_many_that_did_not_hold_are_counted(findings: dict[str, Any]) -> None:
    lost = [{**findings["findings"][0], "id": str(number), "status": "not validated"} for number in range(30)]
    assert "25 more were tested" in printed(findings_table({**findings, "findings": lost}))


def test_nothing_there_yet() -> None:
    assert "No sentence was tested" in printed(findings_table({}))
    assert "not concluded" in printed(verdict_text({}))


def test_a_narrow_terminal_keeps_every_column(findings: dict[str, Any]) -> None:
    rows = printed(findings_table(findings), 80).partition("──")[2]
    assert "validated" in rows
    assert "…" not in rows
