"""Weights & Biases offline and MLflow on a folder, for real: what was logged is read back."""

from __future__ import annotations

import json
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auto_interventions.errors import ConfigError, RunDirectoryError
from auto_interventions.exports import AuditRun, trackers

_BLOCK, _HEAD = 1 << 15, 7


def records(path: Path) -> Iterator[Any]:
    """The records of an offline run: a log of LevelDB's form (blocks of 32 KiB, each piece with checksum, length, kind)."""
    from wandb.proto.wandb_internal_pb2 import Record

    data = path.read_bytes()
    assert data.startswith(b":W&B")
    place, whole = _HEAD, b""
    while place + _HEAD <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEAD:
            place += left
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + _HEAD])
        whole += data[place + _HEAD : place + _HEAD + length]
        place += _HEAD + length
        if kind in (1, 4):  # whole, or the last piece
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def held(items: Any) -> dict[str, Any]:
    """Keys and values of a record of wandb's."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


@pytest.fixture
def no_wandb_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.mark.usefixtures("no_wandb_settings")
def test_wandb_offline(made: AuditRun, out: Path) -> None:
    # As a command: wandb's own process writes the last records after `finish` has returned, and is waited for at the end.
    command = [str(Path(sys.executable).with_name("auto-interventions")), "export", str(made.path), "--to", "wandb", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == f"Exported: {out}\n"
    (file,) = out.rglob("run-*.wandb")
    told = list(records(file))
    (begun,) = (record.run for record in told if record.WhichOneof("record_type") == "run")
    config = held(begun.config.update)
    assert (begun.project, begun.display_name) == ("auto-interventions", "moral-stories")
    assert config["sampling.max_texts"] == "3600"
    history = [held(record.history.item) for record in told if record.WhichOneof("record_type") == "history"]
    explored = [row for row in history if "explore/log_e" in row]
    rounds = made.rounds.query("phase == 'explore'")
    assert [row["explore/texts"] for row in explored] == rounds["texts"].tolist()
    assert [row["explore/log_e"] for row in explored] == pytest.approx(rounds["log_e"].tolist())
    summary: dict[str, Any] = {}
    for record in told:
        if record.WhichOneof("record_type") == "summary":
            summary |= held(record.summary.update)
    assert summary["findings_validated"] == len(made.validated)
    assert summary["different"] == 1
    (table,) = out.rglob("findings_*.table.json")
    content = json.loads(table.read_text())
    assert [row[content["columns"].index("finding")] for row in content["data"]] == made.findings["finding"].tolist()
    logged = [entry.path for record in told for entry in record.artifact.manifest.contents if record.artifact.type == "audit"]
    assert set(logged) >= {"findings.json", "run.json", "ledger.json"}


@pytest.mark.usefixtures("no_wandb_settings")
def test_wandb_takes_a_hostile_run(evil: AuditRun, out: Path) -> None:
    evil.export("wandb", out)
    (table,) = out.rglob("findings_*.table.json")
    assert len(json.loads(table.read_text())["data"]) == len(evil.findings)


def test_mlflow(made: AuditRun, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny does not fit the lock (docs/exports.md)")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made.export("mlflow", out)
    made.export("mlflow", out)  # a second run beside the first
    with sqlite3.connect(out / "mlflow.db") as database:
        runs = [row[0] for row in database.execute("select run_uuid from runs where status = 'FINISHED' and name = 'moral-stories'")]
        assert len(runs) == 2
        parameters = dict(database.execute("select key, value from params where run_uuid = ?", runs[:1]))
        metrics = database.execute("select key, step, value from metrics where run_uuid = ? order by step", runs[:1]).fetchall()
    assert parameters["sampling.max_texts"] == "3600"
    rounds = made.rounds.query("phase == 'explore'")
    drawn = [(step, value) for key, step, value in metrics if key == "explore/log_e"]
    assert [step for step, _ in drawn] == rounds["texts"].tolist()
    assert [value for _, value in drawn] == pytest.approx(rounds["log_e"].tolist())
    assert ("findings_validated", 0, len(made.validated)) in metrics
    assert {path.name for path in (out / "artifacts" / runs[0]).rglob("*.json")} == {"findings.json", "run.json", "ledger.json"}


def test_settings_have_dotted_names_and_no_gaps(made: AuditRun) -> None:
    settings = trackers.settings_of(made.run)
    assert settings["base.model"] == "/models/stories656k"
    assert "base.adapter" not in settings
    assert not {"None", "nan"} & set(settings.values())


@pytest.mark.parametrize("to", ["wandb", "mlflow"])
def test_a_missing_package_is_named(made: AuditRun, out: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, to, None)
    with pytest.raises(ConfigError, match=rf"pip install 'auto-interventions\[{to}\]'"):
        made.export(to, out)
    assert not out.exists()


@pytest.mark.parametrize("to", ["wandb", "mlflow"])
def test_a_tracker_keeps_out_of_the_run(made: AuditRun, to: str) -> None:
    with pytest.raises(RunDirectoryError, match="is the run directory itself"):
        made.export(to, made.path)
