"""Logs for Inspect: what is in them, held against the package's own schema, and read by the package where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import auto_interventions
from auto_interventions.exports import AuditRun

if TYPE_CHECKING:
    from tests.stages.spoken import World

SCHEMA = json.loads(Path(__file__).with_name("inspect_log.schema.json").read_text())


def logs(run: AuditRun, out: Path) -> dict[str, dict[str, Any]]:
    """The exported logs by the model's role."""
    run.export("inspect", out)
    return {path.stem.rsplit("_", 1)[1]: json.loads(path.read_text()) for path in sorted(out.iterdir())}


def test_they_hold_the_package_s_schema(made: AuditRun, evil: AuditRun, tmp_path: Path) -> None:
    for run in (made, evil):
        for log in logs(run, tmp_path / run.path.name).values():
            jsonschema.validate(log, SCHEMA)
            json.dumps(log, ensure_ascii=False).encode("utf-8")  # half of a pair alone is refused by strict readers
    log["eval"]["speed"] = 1
    with pytest.raises(jsonschema.ValidationError, match="speed"):
        jsonschema.validate(log, SCHEMA)


def test_scores_are_the_audit_s(made: AuditRun, out: Path) -> None:
    told = logs(made, out)
    assert set(told) == {"base", "intervention"}
    for role, log in told.items():
        assert log["eval"]["model"] == made.models[role == "intervention"]
        assert [one["metadata"]["id"] for one in log["results"]["scores"]] == made.validated["id"].tolist()
        for score, rate in zip(log["results"]["scores"], made.validated[f"{role}_rate"], strict=True):
            assert score["metrics"]["mean"]["value"] == pytest.approx(rate)
            own = [sample["scores"][score["name"]]["value"] for sample in log["samples"]]
            assert sum(own) / len(own) == pytest.approx(rate)
    base, other = (told[role]["samples"] for role in ("base", "intervention"))
    assert [(one["id"], one["epoch"], one["input"]) for one in base] == [(one["id"], one["epoch"], one["input"]) for one in other]
    texts = made.texts.set_index("id")
    for sample in base[:20] + other[:20]:
        row = texts.loc[sample["metadata"]["text_id"]]
        choice = sample["output"]["choices"][0]
        assert (choice["message"]["content"], sample["input"]) == (row["text"], row["prompt"])
        assert choice["stop_reason"] == ("stop" if row["finished"] else "max_tokens")


def test_a_judge_s_reasons_are_explanations(spoken: World, out: Path) -> None:
    run = auto_interventions.load(spoken.run)
    told = [
        score["explanation"]
        for log in logs(run, out).values()
        for sample in log["samples"]
        for score in sample["scores"].values()
        if "explanation" in score
    ]
    reasons = [one["beside"].get("reasons") or {} for one in run.run.findings["findings"] if one["status"] == "validated"]
    assert told
    assert set(told) <= {reason for own in reasons for reason in own.values()}


def test_inspect_reads_them(made: AuditRun, evil: AuditRun, tmp_path: Path) -> None:
    reader = pytest.importorskip("inspect_ai.log", reason="inspect_ai does not fit the lock (docs/exports.md); the schema stands for it")
    for run in (made, evil):
        folder = tmp_path / run.path.name
        run.export("inspect", folder)
        listed = reader.list_eval_logs(str(folder))
        assert len(listed) == 2
        for info in listed:
            log = reader.read_eval_log(info)
            role = log.eval.metadata["role"]
            assert log.status == "success"
            own = run.texts[run.texts["model"] == role].set_index("id")["text"]
            assert [sample.output.completion for sample in log.samples] == own[[one.metadata["text_id"] for one in log.samples]].tolist()
            assert reader.read_eval_log(info, header_only=True).results.scores[0].metadata["interval"]
