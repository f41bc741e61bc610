"""The main job as a user runs it: the installed command, in a process of its own, with Prefect's own server, on the demo's real models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from auto_interventions.planting import score
from auto_interventions.runs import load_run

COMMAND = Path(sys.executable).with_name("auto-interventions")


@dataclass(frozen=True)
class Ran:
    """An audit that ended: its folder and what it printed."""

    folder: Path
    stdout: str
    stderr: str


def environment_of(home: Path) -> dict[str, str]:
    """A cache and a Prefect of their own, and no server configured."""
    environment = {**os.environ, "AUTO_INTERVENTIONS_CACHE": str(home / "cache"), "PREFECT_HOME": str(home / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    return environment


def run_audit(file: Path, folder: Path, home: Path, code: int = 0, *more: str) -> Ran:
    done = subprocess.run(
        [COMMAND, "audit", file, "--out", folder, *more],
        capture_output=True, text=True, timeout=570, check=False, env=environment_of(home),
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return Ran(folder, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def mixed(home: Path) -> Ran:
    demo = Path(__file__).resolve().parents[2] / "demo"
    return run_audit(demo / "audit.yaml", home / "mixed", home)


@pytest.fixture(scope="module")
def null(home: Path) -> Ran:
    demo = Path(__file__).resolve().parents[2] / "demo"
    return run_audit(demo / "null.yaml", home / "null", home)


def test_it_finds_what_was_planted(mixed: Ran, demo: Path) -> None:
    result = score(mixed.folder, demo / "truth.yaml")
    recovered = {behaviour.kind for behaviour in result.behaviours if behaviour.recovered}
    assert {"broad", "narrow", "format"} <= recovered
    assert result.false_discovery_rate <= 0.05


def test_its_intervals_cover_the_measured_rates(mixed: Ran, demo: Path) -> None:
    result = score(mixed.folder, demo / "truth.yaml")
    assert all(behaviour.covers for behaviour in result.behaviours if behaviour.recovered)


def test_the_null_finds_nothing(null: Ran) -> None:
    run = load_run(null.folder)
    assert run.findings["overall"]["verdict"] == "no difference found"
    assert not [finding for finding in run.findings["findings"] if finding["status"] == "validated"]
    assert 0 < run.findings["overall"]["smallest_detectable"] < 0.3
    assert "no difference" in null.stdout.lower()


def test_it_shows_where_it_is_and_how_it_ends(mixed: Ran) -> None:
    for words in ("explore round", "confirm round", "texts", "evidence ", " to 1"):
        assert words in mixed.stderr
    assert "Traceback" not in mixed.stderr
    assert str(mixed.folder / "report.html") in mixed.stdout
    assert "validated" in mixed.stdout


def test_the_run_directory_keeps_the_contract(mixed: Ran) -> None:
    run = load_run(mixed.folder)
    assert run.run["status"] == "done"
    assert run.findings["schema"] == "auto-interventions/findings@1"
    assert set(run.findings) >= {"alpha", "base", "intervention", "overall", "findings", "themes", "stopped_because"}
    assert set(run.findings["overall"]) >= {"verdict", "e_value", "auc", "smallest_detectable"}
    fields = {"id", "statement", "status", "more_in", "e_value", "base_rate", "intervention_rate", "difference", "interval"}
    ids = set(run.texts["id"])
    for finding in run.findings["findings"]:
        assert set(finding) >= fields | {"auc", "strata", "pairs", "judges", "evidence"}
        assert finding["status"] in ("validated", "not validated")
        assert finding["interval"][0] <= finding["difference"] <= finding["interval"][1]
        assert set(finding["evidence"]) <= ids
    assert run.texts["id"].is_unique
    counts = {"texts", "tokens", "seconds", "embeddings_computed", "embeddings_cached", "judge_calls", "judge_calls_cached", "dollars"}
    assert set(run.ledger["all"]) >= counts
    assert all(set(stage) >= counts for stage in run.ledger["stages"].values())
    assert run.ledger["all"]["texts"] == len(run.texts)


def test_no_prompt_is_in_both_pools_and_evidence_is_fresh(mixed: Ran) -> None:
    texts = load_run(mixed.folder).texts
    assert texts.groupby("prompt")["pool"].nunique().max() == 1
    evidence = {text for finding in load_run(mixed.folder).findings["findings"] for text in finding["evidence"]}
    assert set(texts.loc[texts["id"].isin(evidence), "pool"]) == {"confirm"}
    assert (texts.groupby(["model", "prompt", "sample"]).size() == 1).all()


def test_the_same_audit_again_says_the_same_and_makes_nothing_twice(mixed: Ran, home: Path, demo: Path) -> None:
    again = run_audit(demo / "audit.yaml", home / "again", home)
    assert (again.folder / "findings.json").read_bytes() == (mixed.folder / "findings.json").read_bytes()
    pd.testing.assert_frame_equal(load_run(again.folder).texts, load_run(mixed.folder).texts)
    ledger = json.loads((again.folder / "ledger.json").read_text())["all"]
    assert ledger["texts_reused"] == ledger["texts"]
    assert ledger["embeddings_computed"] == 0


def test_report_is_rebuilt(mixed: Ran, home: Path) -> None:
    (mixed.folder / "report.html").unlink()
    subprocess.run([COMMAND, "report", mixed.folder], check=True, capture_output=True, timeout=120)
    assert "<html" in (mixed.folder / "report.html").read_text(encoding="utf-8")


def test_a_killed_audit_resumes(home: Path, demo: Path) -> None:
    """SIGKILL in mid-round: started again it ends as if nothing had happened, and generates nothing twice but the batch at work."""
    settings = ["--set", "sampling.seed=11", "--set", "sampling.max_texts=1200"]
    folder = home / "killed"
    running = subprocess.Popen(
        [COMMAND, "audit", demo / "audit.yaml", "--out", folder, *settings],
        env=environment_of(home), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert running.stderr is not None
    for line in running.stderr:
        if "confirm round" in line and "evidence" in line:
            break
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert load_run(folder).run["status"] == "running"
    resumed = run_audit(demo / "audit.yaml", folder, home, 0, *settings)
    ledger = load_run(resumed.folder).ledger["all"]
    assert ledger["texts_reused"] > 0.3 * ledger["texts"]
    fresh = run_audit(demo / "audit.yaml", home / "undisturbed", home, 0, *settings, "--set", f"store={home / 'fresh-store'}")
    assert load_run(fresh.folder).ledger["all"]["texts_reused"] == 0
    assert (fresh.folder / "findings.json").read_bytes() == (resumed.folder / "findings.json").read_bytes()


def test_a_time_budget_ends_gracefully(home: Path, demo: Path) -> None:
    stopped = run_audit(demo / "null.yaml", home / "short", home, 3, "--set", "budget.minutes=0.0001", "--set", "sampling.seed=5")
    run = load_run(stopped.folder)
    assert run.run["status"] == "stopped"
    assert "time budget" in run.findings["stopped_because"]
    assert (stopped.folder / "report.html").is_file()
