"""`compare` as a user runs it: the installed command on recorded texts, and what a user may get wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auto_interventions.cli import main

COMMAND = Path(sys.executable).with_name("auto-interventions")


@pytest.fixture
def audit_file(tmp_path: Path) -> Path:
    """Recorded texts of 80 prompts: one side says one thing more often."""
    rows = [
        {
            "model": role,
            "prompt": f"Prompt {number}",
            "stratum": "ab"[number % 2],
            "text": f"Thing {number * 7 % 13} is here{sample}.{more}",
        }
        for number in range(80)
        for sample in range(2)
        for role, more in (("base", ""), ("intervention", " Surely!" if number % 3 else ""))
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "audit.yaml"
    path.write_text(
        "name: surely\nbase: {texts: texts.jsonl}\nintervention: {texts: texts.jsonl}\nprompts: {source: recorded, strata: given}\n"
        "sampling: {max_texts: 160, initial: 40, per_round: 40, rounds: 2}\nclustering: {clusters: 4}\n"
    )
    return path


def test_it_runs_both_and_compares(audit_file: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "AUTO_INTERVENTIONS_CACHE": str(tmp_path / "cache"), "PREFECT_HOME": str(tmp_path / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    out = tmp_path / "out"
    done = subprocess.run(
        [COMMAND, "compare", audit_file, "--out", out, "--exhaustive-texts", "320"],
        capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "active audit: " in done.stderr
    assert "exhaustive audit: " in done.stderr
    assert "Cost and quality" in done.stdout
    assert str(out / "compare.html") in done.stdout
    content = json.loads((out / "compare.json").read_text())
    assert content["statuses"] == {"active": "done", "exhaustive": "done"}
    assert 1 <= content["findings"]["kept"] <= content["findings"]["found_exhaustively"]
    assert {path.name for path in out.iterdir()} == {
        "active", "exhaustive", "store-active", "store-exhaustive", "compare.json", "compare.html",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "sampling.strategy=exhaustive"], "sampling.strategy=active"),
        (["--exhaustive-texts", "100"], "give at least 160"),
        (["--set", "sampling.stratgy=active"], "did you mean `strategy`?"),
        (["--set", "sampling.max_texts=4"], "`sampling.max_texts` is 4"),
        (["--out", "audit.yaml"], "is a file"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    more: list[str], said: str, audit_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["auto-interventions", "compare", str(audit_file), *more])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert said in errors.replace("\n", " ")
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_other_files_is_left_alone(
    audit_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["auto-interventions", "compare", str(audit_file), "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "not a comparison's" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"audit.yaml", "texts.jsonl"}
