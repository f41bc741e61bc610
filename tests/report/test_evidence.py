"""The pairs that the page's script shows: who shows what is right, marks lie where they should, and nothing in them can leave the JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_interventions.hypotheses import parse_predicate
from auto_interventions.report import build_report, page, wording
from auto_interventions.report.evidence import BASE, BOTH, INTERVENTION, NEITHER, NOT_JUDGED, evidence, joined, places
from auto_interventions.report.plain import pieces
from auto_interventions.runs import Run, load_run
from tests.report.making import HOSTILE, make_run

ROOM = 1_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(make_run(tmp_path_factory.mktemp("run") / "run", prompts_per_stratum=60, hostile=True))


def content(run: Run, most_bytes: int = ROOM) -> dict[str, Any]:
    found = evidence(run, run.texts, wording.validated(run.findings), most_bytes)
    assert found
    told: dict[str, Any] = json.loads(found.content)
    assert len(told["pairs"]) == found.shown
    return told


def words(told: Any) -> str:
    return told if isinstance(told, str) else "".join(part if isinstance(part, str) else part[0] for part in told)


def test_every_pair_is_there_once_with_who_shows_it(run: Run) -> None:
    told = content(run)
    assert len(told["pairs"]) == 240
    texts = run.texts[run.texts["pool"] == "confirm"]
    for finding in wording.validated(run.findings):
        check = parse_predicate(finding["check"])
        rates = {role: sum(check.holds(text) for text in own["text"]) for role, own in texts.groupby("model")}
        shows = told["findings"][finding["id"]]["shows"]
        assert shows.count(BASE) + shows.count(BOTH) == rates["base"]
        assert shows.count(INTERVENTION) + shows.count(BOTH) == rates["intervention"]
        assert len(shows) == 240


def test_marks_hold_what_the_sentence_is_about(run: Run) -> None:
    told = content(run)
    moral = next(finding for finding in wording.validated(run.findings) if "moral" in finding["statement"])
    marked: set[str] = set()
    for number, marks in told["findings"][moral["id"]]["marks"].items():
        for text, own in zip(told["pairs"][int(number)][2:4], marks, strict=True):
            units = words(text).encode("utf-16-le")
            marked |= {units[2 * start : 2 * end].decode("utf-16-le") for start, end in zip(own[::2], own[1::2], strict=True)}
    assert {mark.lower() for mark in marked} == {"moral"}


@given(st.text(st.characters(), max_size=200), st.data())
def test_marks_count_as_scripts_do(text: str, data: st.DataObject) -> None:
    left = data.draw(st.integers(0, len(text)))
    right = data.draw(st.integers(left, len(text)))
    parts = pieces(text, [(left, right)])
    marks = places(parts, [(left, right)], len(text))
    units = words(joined(parts)).encode("utf-16-le")
    marked = "".join(units[2 * start : 2 * end].decode("utf-16-le") for start, end in zip(marks[::2], marks[1::2], strict=True))
    assert marked == "".join(part.text for part in parts if part.marked)


def test_nothing_leaves_the_json(run: Run) -> None:
    found = evidence(run, run.texts, wording.validated(run.findings), ROOM)
    assert found
    assert not re.search(r"[<>&\u2028\u2029\u202e\u200b\x00-\x1f]", found.content)
    everything = "\n".join(words(text) for pair in json.loads(found.content)["pairs"] for text in pair[1:4])
    assert HOSTILE[0].partition(" and the")[0] in everything
    assert "</script><!--<script>alert(1)//]]></template>" in everything
    assert "U+2028" in everything


def test_of_many_pairs_a_random_sample_that_fits(run: Run) -> None:
    held = wording.validated(run.findings)
    found, again = (evidence(run, run.texts, held, 20_000) for _ in range(2))
    assert found
    assert found == again
    assert 10 < found.shown < found.of == 240
    assert len(found.content.encode()) < 22_000
    assert evidence(run, run.texts, held, 0) is None
    assert evidence(run, run.texts, [], ROOM) is None
    assert evidence(run, run.texts.iloc[:0], held, ROOM) is None


def test_what_judges_said_is_told_the_strong_one_first(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", prompts_per_stratum=10)
    findings = json.loads((folder / "findings.json").read_text())
    first = findings["findings"][0]
    first |= {"check": None, "statement": "teaches a lesson"}
    (folder / "findings.json").write_text(json.dumps(findings))
    texts = load_run(folder).texts
    asked = texts[(texts["pool"] == "confirm") & (texts["model"] == "base")].reset_index(drop=True)
    count = len(asked)
    verdicts = pd.DataFrame({"hypothesis": first["id"], "prompt_id": asked["prompt_id"], "sample": asked["sample"]})
    verdicts["cheap_base"], verdicts["cheap_intervention"] = 0.0, 1.0
    verdicts["strong_base"], verdicts["strong_intervention"] = np.nan, np.nan
    verdicts.loc[0, ["strong_base", "strong_intervention"]] = [1.0, 0.0]
    verdicts.loc[1, "cheap_base"] = np.nan
    verdicts.loc[2, "cheap_intervention"] = 0.0
    verdicts.to_parquet(folder / "verdicts.parquet", index=False)
    shows = content(load_run(folder))["findings"][first["id"]]["shows"]
    assert {letter: shows.count(letter) for letter in set(shows)} == {INTERVENTION: count - 3, BASE: 1, NOT_JUDGED: 1, NEITHER: 1}
    html = build_report(folder).read_text(encoding="utf-8")
    card = html[html.index(f'id="finding-{first["id"]}"') :].partition("</article>")[0]
    assert "shows it</span>" in card
    assert "does not</span>" in card


def test_the_file_is_kept_small(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build_report(run.path).stat().st_size
    assert whole < page.MOST_BYTES
    monkeypatch.setattr(page, "MOST_BYTES", whole - 1)
    monkeypatch.setattr(page, "_PLANS", ((5, ROOM), (1, 30_000), (0, 0)))
    smaller = build_report(run.path)
    assert smaller.stat().st_size < whole - 30_000
    html = smaller.read_text(encoding="utf-8")
    assert re.search(r"Go through a random \d+ of 240 pairs", html)
    assert html.count('class="pair"') == 4 + 1
