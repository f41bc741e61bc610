"""`auto-interventions matrix` on run directories, as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from auto_interventions.runs import Run, RunDirectory
from auto_interventions.runs.directory import RUN_SCHEMA
from tests.diffing.runs import made_run

PROMPTS = [f"p{number}" for number in range(100)]
STRATA = {prompt: f"kind {number % 2}" for number, prompt in enumerate(PROMPTS)}
RATES = {"sun": (0.1, 0.6), "moon": (0.1, 0.4)}
WATCH = (
    "import sys; from auto_interventions.cli.app import app\n"
    "try:\n    app()\nexcept SystemExit as left:\n    code = left.code\n"
    "print([name for name in ('torch', 'transformers', 'prefect', 'dask') if name in sys.modules], code, file=sys.stderr)"
)


def on_disk(run: Run, folder: Path) -> Path:
    directory = RunDirectory(folder)
    directory.write_json("run.json", {"schema": RUN_SCHEMA, **run.run})
    directory.write_json("findings.json", run.findings)
    directory.write_json("ledger.json", {})
    run.texts.to_parquet(folder / "texts.parquet", index=False)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    made = [made_run(f"run {seed}", RATES, seed, PROMPTS, list(RATES), intervention="moral", strata=STRATA) for seed in range(2)]
    return [str(on_disk(run, tmp_path / f"run-{number}")) for number, run in enumerate(made)]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WATCH, "matrix", *arguments], capture_output=True, text=True, timeout=180, check=False, encoding="utf-8"
    )


def test_it_prints_the_table_writes_the_page_and_imports_no_model_library(runs: list[str], tmp_path: Path) -> None:
    done = command(*runs, "--out", str(tmp_path / "made" / "matrix"))
    assert "found in 2 of 2" in done.stdout
    assert "which sentence" in done.stdout
    assert str(tmp_path / "made" / "matrix" / "matrix.html") in done.stdout
    assert done.stderr.splitlines()[-1] == "[] 0"
    assert (tmp_path / "made" / "matrix" / "matrix.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_json_is_all_of_stdout_and_the_file(runs: list[str], tmp_path: Path) -> None:
    told = json.loads(command(*runs, "--out", str(tmp_path / "matrix"), "--json").stdout)
    assert told == json.loads((tmp_path / "matrix" / "matrix.json").read_text(encoding="utf-8"))
    assert [one["seed"] for one in told["runs"]] == ["run-0", "run-1"]


def test_what_is_no_run_is_told_in_a_sentence(runs: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("auto-interventions"), "matrix", runs[0], str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 2
    assert "no such file; give the folder of an audit" in " ".join(done.stderr.split())
