"""Tables as Parquet, JSON Lines and CSV: nothing is lost, and a spreadsheet computes nothing."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auto_interventions.errors import ConfigError, RunDirectoryError
from auto_interventions.exports import FORMATS, AuditRun
from auto_interventions.exports.frames import holdable, tables
from tests.report.judged import judge_run
from tests.report.making import make_run
from tests.report.weighed import weigh_run


def test_parquet_holds_every_table(evil: AuditRun, out: Path) -> None:
    evil.export("parquet", out)
    held = tables(evil.run)
    assert {path.stem for path in out.iterdir()} == set(held) >= {"findings", "findings_by_stratum", "texts", "pairs", "rounds", "ledger"}
    for name, table in held.items():
        read = pd.read_parquet(out / f"{name}.parquet")
        assert list(read.columns) == list(table.columns)
        assert len(read) == len(table)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "texts.parquet"), pd.DataFrame(evil.texts))
    # Half of a surrogate pair, which Parquet cannot hold, becomes its escape.
    assert any("\\ud800" in statement for statement in pd.read_parquet(out / "findings.parquet")["statement"])


def test_json_lines_are_ascii_lines_of_json(evil: AuditRun, out: Path) -> None:
    evil.export("jsonl", out)
    for path in out.iterdir():
        data = path.read_bytes()
        assert data.isascii()
        for line in data.splitlines():
            json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8")  # half of a pair alone is refused by strict readers
        assert all(not 0 <= byte < 32 or byte == 10 for byte in data)
    findings = [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]
    content = json.loads((evil.path / "findings.json").read_text())["findings"]
    assert sorted(findings, key=lambda one: one["id"]) == sorted(holdable(content), key=lambda one: one["id"])
    texts = [json.loads(line)["text"] for line in (out / "texts.jsonl").read_text().splitlines()]
    assert texts == evil.texts["text"].tolist()
    unplaced = [json.loads(line) for line in (out / "texts.jsonl").read_text().splitlines() if json.loads(line)["cluster"] == -1]
    assert unplaced
    assert all(row["x"] is None for row in unplaced)


@pytest.mark.parametrize("formula", ["=HYPERLINK(1)", "@SUM(1)", "+1+cmd|' /C calc'!A0", "-2+3", "\t=1", "\r\n=1", "＝1"])
def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, out: Path, formula: str) -> None:
    folder = judge_run(make_run(tmp_path / "run", hostile=True, prompts_per_stratum=20))
    content = json.loads((folder / "findings.json").read_text())
    content["findings"][0]["statement"] = formula
    (folder / "findings.json").write_text(json.dumps(content))
    texts = pd.read_parquet(folder / "texts.parquet")
    texts.loc[:9, "text"] = formula + "; a" * 20_000
    texts.loc[:9, "stratum"] = formula
    texts.to_parquet(folder / "texts.parquet")
    AuditRun.at(folder).export("csv", out)
    for path in out.iterdir():
        data = path.read_bytes()
        assert data.startswith(b"\xef\xbb\xbf")
        assert b"\x00" not in data
        with path.open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        for cell in cells:
            number = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?|-inf", cell)
            assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")), cell[:80]
            assert len(cell) <= 32_767
    with (out / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        assert f"'{formula}" in [row["statement"] for row in csv.DictReader(file)]


def test_a_csv_reads_back(made: AuditRun, out: Path) -> None:
    made.export("csv", out)
    read = pd.read_csv(out / "findings.csv")
    assert read["difference"].tolist() == made.findings["difference"].tolist()
    assert (read["difference"] < 0).any()
    texts = pd.read_csv(out / "texts.csv", keep_default_na=False)["text"].tolist()
    assert texts == [("'" if re.match("[=+@\t\r\n-]", text) else "") + text for text in made.texts["text"]]


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv"])
def test_an_export_replaces_its_like_and_nothing_else(made: AuditRun, out: Path, to: str) -> None:
    out.mkdir()
    (out / f"verdicts.{to}").write_text("of another run")
    made.export(to, out)
    assert not (out / f"verdicts.{to}").exists()
    assert (out / f"findings.{to}").is_file()
    (out / "diary.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"diary\.txt"):
        made.export(to, out)
    assert (out / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize("to", [to for to in FORMATS if to not in ("wandb", "mlflow")])
def test_nothing_is_written_over_a_run(made: AuditRun, to: str) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in made.path.iterdir()}
    with pytest.raises(RunDirectoryError):
        made.export(to, made.path)
    with pytest.raises(RunDirectoryError):
        made.export(to, made.path / "findings.json")
    assert {path.name: path.stat().st_mtime_ns for path in made.path.iterdir()} == before


def test_a_format_that_is_none(made: AuditRun, out: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean `parquet`"):
        made.export("parqet", out)
    with pytest.raises(ConfigError, match="use one of parquet"):
        made.export("xyz", out)


def test_the_same_run_gives_the_same_bytes(made: AuditRun, tmp_path: Path) -> None:
    for to in FORMATS:
        if to in ("wandb", "mlflow"):
            continue
        first, second = (made.export(to, tmp_path / name / to) for name in ("one", "two"))
        files = sorted(path for path in (first.rglob("*") if first.is_dir() else [first]) if path.is_file())
        assert files
        for path in files:
            other = second / path.relative_to(first) if first.is_dir() else second
            assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv"])
def test_the_table_of_weights_has_lists_in_it(tmp_path: Path, out: Path, to: str) -> None:
    """As an audit writes it: `singular_values` are arrays."""
    folder = weigh_run(make_run(tmp_path / "run"))
    weights = pd.read_parquet(folder / "weights.parquet")
    weights["singular_values"] = [np.arange(row % 3, dtype=np.float64) for row in range(len(weights))]
    weights.to_parquet(folder / "weights.parquet")
    run = AuditRun.at(folder)
    run.export(to, out)
    if to == "jsonl":
        rows = [json.loads(line) for line in (out / "weights.jsonl").read_text().splitlines()]
        assert [row["singular_values"] for row in rows] == [values.tolist() for values in weights["singular_values"]]
    else:
        assert len((pd.read_parquet if to == "parquet" else pd.read_csv)(out / f"weights.{to}")) == len(run.run.weights)


def test_numbers_are_numbers(made: AuditRun, out: Path) -> None:
    made.export("parquet", out)
    read = pd.read_parquet(out / "findings.parquet")
    for column in ("base_rate", "intervention_rate", "difference", "lower", "upper", "log_e", "p_value", "auc"):
        assert read[column].dtype == np.float64, column
