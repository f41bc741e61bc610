"""What Prefect is given to show: keys, addresses, tables, pictures; nothing of a model's words means anything there."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from auto_interventions.flows import showing
from auto_interventions.report import build_report
from auto_interventions.report.markdown import cell, escaped, unlinked
from auto_interventions.runs import load_run
from auto_interventions.stages.progress import RoundReport
from tests.report.judged import EVIL, judge_run
from tests.report.making import NOTHING, make_run

EVIL_LINE = "<img src=http://evil.example/a.png> ![b](http://evil.example/c.png) | `x` www.evil.example a@evil.example \u202e&lt;b"


def test_escaped_words_mean_nothing_and_lose_nothing() -> None:
    shown = escaped(EVIL_LINE)
    bare = shown.replace("\\", "").replace("\u2060", "")
    assert bare == EVIL_LINE.replace("\u202e", "[U+202E]")
    for meaning in ("<", "[", "]", "|", "`", "&"):
        assert shown.count(meaning) == shown.count("\\" + meaning)
    assert "://" not in shown.replace("\\", "")
    assert "www." not in shown.replace("\\", "")


def test_cells_keep_no_character_that_begins_markup() -> None:
    assert not set(cell(EVIL_LINE)) & set("<>[]`*|~")
    assert "&lt;" not in cell(EVIL_LINE)
    assert "://" not in cell(EVIL_LINE)
    assert "a@evil" not in unlinked(EVIL_LINE)


@pytest.mark.parametrize("name", ["Plain", "  ", "漢字 & co", "x" * 500, "<script>alert(1)</script>", "UPPER--case__"])
def test_keys_are_what_prefect_accepts(name: str) -> None:
    from prefect.client.schemas.actions import ArtifactCreate

    key = showing.key_of(name, "rounds")
    assert ArtifactCreate(key=key, type="table", data="[]").key == key


def test_a_row_a_round() -> None:
    reports = [
        (RoundReport("explore", 0, 400, 9.21034, 2, 8), None),
        (RoundReport("explore", 1, 600, float("-inf"), 3, 8), 0.934),
        (RoundReport("confirm", 0, 900, 23.02585, 4, 60), None),
    ]
    rows = json.loads(str(showing.rounds_table("a", reports).data))
    assert [row["round"] for row in rows] == ["explore 1", "explore 2", "confirm 1"]
    assert [row["evidence"] for row in rows] == ["10^4.0", "0", "10^10.0"]
    assert [row["stability"] for row in rows] == ["", "0.93", ""]
    assert rows[0]["strata differing"] == "2 of 8"
    assert rows[2]["sentences holding"] == "4 of 60"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = judge_run(make_run(tmp_path_factory.mktemp("shown") / "run", prompts_per_stratum=60, hostile=True), EVIL)
    build_report(run)
    return run


def test_the_summary_of_a_hostile_run_holds_no_markup_but_its_own(hostile: Path) -> None:
    run = load_run(hostile)
    effects = showing.effects_figure("a", run.findings)
    assert effects is not None
    page = showing.summary("a", run.findings, hostile, (effects, None))
    text = str(page.data)
    own = text.replace(str(effects.data), "DATA")
    assert own.count("![") == own.count("](DATA)") == 1
    assert "<" not in own.replace("\\<", "")
    table = [line for line in own.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(showing.listed(run.findings))
    assert {line.replace("\\|", "").count("|") for line in table} == {6}
    for row in json.loads(str(showing.findings_table("a", run.findings).data)):
        assert not any(set(value) & set("<>`[]|") for value in row.values())


def test_pictures_stand_alone(hostile: Path) -> None:
    run = load_run(hostile)
    strata = list(run.strata["stratum"].astype(str))
    evidence = showing.evidence_figure("a", run.run["rounds"], [f"<b>&{name}" for name in strata], 0.05)
    for picture in (evidence, showing.effects_figure("a", run.findings)):
        assert picture is not None
        head, data = str(picture.data).split(",", 1)
        assert head == "data:image/svg+xml;base64"
        svg = base64.b64decode(data).decode()
        assert "var(" not in svg
        root = ElementTree.fromstring(svg)
        assert float(root.attrib["width"]) > 300
        assert not [element for element in root.iter() if element.tag.endswith(("script", "image", "foreignObject"))]
        assert not [key for element in root.iter() for key in element.attrib if key.endswith("href")]


def test_many_strata_leave_those_with_most_evidence() -> None:
    many = 5_000
    rounds = [
        {"texts": 100 * number, "log_e_overall": float(number), "log_e_strata": [float(number * index) for index in range(many)]}
        for number in (1, 2, 3)
    ]
    picture = showing.evidence_figure("a", rounds, [f"stratum {index}" for index in range(many)], 0.05)
    assert picture is not None
    assert len(str(picture.data)) < 100_000
    svg = base64.b64decode(str(picture.data).split(",", 1)[1]).decode()
    assert "stratum 4999" in svg
    assert "stratum 1000" not in svg


def test_nothing_found_is_shown_too(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", prompts_per_stratum=60, behaviours=NOTHING))
    assert showing.effects_figure("a", run.findings) is None
    page = str(showing.summary("a", run.findings, tmp_path / "run", (None, None)).data)
    assert page.startswith("## ")
    assert "not validated" in page


def test_links_lead_to_where_the_runs_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "runs" / "a name" / "report.html"
    monkeypatch.delenv(showing.REPORTS_URL, raising=False)
    assert showing.address_of(page) is None
    assert "](" not in showing.place(page, "Report")
    monkeypatch.setenv(showing.REPORTS_URL, "http://reports.example:8080/r/")
    assert showing.place(page, "Report") == "**[Report](http://reports.example:8080/r/a%20name/report.html)**"
    assert showing.address_of(tmp_path / "elsewhere" / "x" / "report.html") == "http://reports.example:8080/r/x/report.html"
    monkeypatch.setenv(showing.REPORTS_URL, "javascript:alert(1)")
    assert showing.address_of(page) is None
