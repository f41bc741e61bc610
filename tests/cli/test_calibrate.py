"""`calibrate` and `audit --control` as a user runs them: the installed command on recorded texts, and what a user may get wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auto_interventions.cli import main

THINGS = ("otter", "teapot", "lawyer", "volcano", "violin", "bridge", "potato", "comet", "queen", "bicycle", "sweater", "virus")
COLOURS = ("red", "green", "blue", "white", "black")
COMMAND = Path(sys.executable).with_name("auto-interventions")


@pytest.fixture
def audit_file(tmp_path: Path) -> Path:
    """Recorded texts of 60 prompts, four a side: one side says one thing more often."""
    rows = [
        {
            "model": role,
            "prompt": f"Prompt {number}",
            "stratum": "ab"[number % 2],
            "text": f"The {THINGS[number % 12]} wears {COLOURS[(number // 12 + sample) % 5]} hats <b>on</b> day {sample}.{more}",
        }
        for number in range(60)
        for sample in range(4)
        for role, more in (("base", ""), ("intervention", " Surely!" if number % 3 else ""))
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "audit.yaml"
    path.write_text(
        "name: surely\nbase: {texts: texts.jsonl}\nintervention: {texts: texts.jsonl}\nprompts: {source: recorded, strata: given}\n"
        "sampling: {max_texts: 240, initial: 60, per_round: 60, rounds: 2}\nclustering: {clusters: 4}\n"
    )
    return path


def command(*given: str | Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AUTO_INTERVENTIONS_CACHE": str(cache), "PREFECT_HOME": str(cache / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    return subprocess.run([COMMAND, *given], capture_output=True, text=True, timeout=400, check=False, env=environment)


def test_it_runs_the_controls_and_judges_the_instruments(audit_file: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    done = command("calibrate", audit_file, "--out", out, "--nulls", "2", cache=cache)
    assert done.returncode == 0, done.stderr
    assert "null-2: " in done.stderr
    assert "the base against itself" in done.stdout
    assert {path.name for path in out.iterdir()} == {
        "null-1", "null-2", "forward", "swapped", "null-1.parquet", "null-2.parquet", "swapped.parquet",
        "calibration.json", "calibration.html",
    }  # fmt: skip
    content = json.loads((out / "calibration.json").read_text())
    checks = {check["what"]: check for check in content["checks"]}
    assert checks["the base against itself"]["figures"]["spoke"] == 0
    order = checks["the roles swapped"]
    assert order["figures"]["found"] >= 1
    assert order["figures"]["mirrored"] >= 1
    assert order["figures"]["same_side_both_times"] == []
    assert content["verdict"] in ("fit", "doubtful")
    page = (out / "calibration.html").read_text()
    assert "<b>on" not in page
    assert "forward/report.html" in page
    again = command("calibrate", audit_file, "--out", out, "--nulls", "2", "--json", cache=cache)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == content
    assert "round" not in again.stderr  # all four audits were taken from the store


def test_a_control_is_an_audit_of_its_own(audit_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "null"
    done = command("audit", audit_file, "--control", "null", "--out", out, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    findings = json.loads((out / "findings.json").read_text())
    assert (findings["base"], findings["intervention"]) == ("texts", "texts, again")
    assert findings["overall"]["verdict"] == "no difference found"
    assert not [one for one in findings["findings"] if one["status"] == "validated"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "sampling.stratgy=active"], "did you mean `strategy`?"),
        (["--set", "sampling.max_texts=4"], "`sampling.max_texts` is 4"),
        (["--out", "."], "holds `audit.yaml`, which is not a calibration's"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    more: list[str], said: str, audit_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["auto-interventions", "calibrate", str(audit_file), *more])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    last = errors.rstrip().splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    assert not (tmp_path / "runs").exists()
