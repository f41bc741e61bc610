"""Which checkpoints are found, in which order, and which were audited already; what a crashed run is left alone for."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Completed, Crashed, Pending, Running, Scheduled

from auto_interventions.config import AuditConfig, PromptsConfig, SubjectConfig
from auto_interventions.errors import ConfigError
from auto_interventions.flows.checkpoints import Checkpoint, audited, found_checkpoints
from auto_interventions.flows.events import FINDING, FINISHED, SIDE_EFFECT, events_of
from auto_interventions.flows.resuming import crashes_of, why_not
from auto_interventions.runs.directory import RUN_SCHEMA

CONFIG = AuditConfig(
    name="training", base=SubjectConfig(model="base"), intervention=SubjectConfig(model="hub/changed", quantization="bf16"),
    prompts=PromptsConfig(path="prompts.txt"),
)  # fmt: skip


def checkpoint(folder: Path, name: str, kind: str, written: float) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / kind).write_text("{}")
    (folder / name / "model.safetensors").write_bytes(b"")
    os.utime(folder / name / "model.safetensors", (written, written))


def test_models_and_adapters_are_found_newest_first(tmp_path: Path) -> None:
    checkpoint(tmp_path, "step-100", "config.json", 1000)
    checkpoint(tmp_path, "step-200", "adapter_config.json", 3000)
    checkpoint(tmp_path, "step-150", "config.json", 2000)
    (tmp_path / "half-written").mkdir()
    (tmp_path / "half-written" / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("no checkpoint")
    found = found_checkpoints(CONFIG, tmp_path, ["v2"], "newest first")
    assert [one.name for one in found] == ["step-200", "step-150", "step-100", "v2"]
    assert found[0].subject.adapter == str(tmp_path / "step-200")
    assert found[0].subject.model == "hub/changed"
    assert found[1].subject.model == str(tmp_path / "step-150")
    assert found[1].subject.quantization == "bf16"
    assert found[3].subject.revision == "v2"
    assert [one.name for one in found_checkpoints(CONFIG, tmp_path, [], "oldest first")] == ["step-100", "step-150", "step-200"]


def test_nowhere_to_look_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither `folder` nor `revisions`"):
        found_checkpoints(CONFIG, None, [], "newest first")
    with pytest.raises(ConfigError, match="no such folder"):
        found_checkpoints(CONFIG, tmp_path / "nowhere", [], "newest first")
    recorded = CONFIG.model_copy(update={"intervention": SubjectConfig(texts="texts.jsonl")})
    with pytest.raises(ConfigError, match="recorded texts"):
        found_checkpoints(recorded, tmp_path, [], "newest first")


@pytest.mark.parametrize(("status", "known"), [("done", True), ("stopped", True), ("interrupted", False), ("running", False)])
def test_an_ended_audit_is_not_repeated_until_the_weights_change(tmp_path: Path, status: str, known: bool) -> None:
    started = datetime.now(UTC)
    (tmp_path / "run.json").write_text(json.dumps({"schema": RUN_SCHEMA, "status": status, "started": started.isoformat()}))
    subject = SubjectConfig(model="m")
    assert audited(Checkpoint("a", subject, started.timestamp() - 5), tmp_path) is known
    assert not audited(Checkpoint("a", subject, started.timestamp() + 5), tmp_path)
    assert not audited(Checkpoint("a", subject), tmp_path / "nowhere")


def test_when_a_crashed_run_is_left_alone() -> None:
    crashed = FlowRun(flow_id=uuid4(), deployment_id=uuid4(), state=Crashed())
    assert crashed.state is not None
    assert crashed.state.type == StateType.CRASHED
    assert why_not(crashed, 1, 1) == ""
    assert "crashed 2 times" in why_not(crashed, 2, 1)
    assert "not crashed any more" in why_not(crashed.model_copy(update={"state": Completed()}), 1, 1)
    assert "no deployment's" in why_not(crashed.model_copy(update={"deployment_id": None}), 1, 1)


def test_a_crash_that_is_noticed_twice_counts_once() -> None:
    assert crashes_of([]) == 0
    states = [Pending(), Crashed(), Crashed(), Scheduled(), Running(), Crashed()]
    assert crashes_of(states[::-1]) == 2


@pytest.mark.parametrize(
    ("opinion", "names"),
    [
        ({}, [FINDING, FINISHED]),
        ({"intent": {"verdict": "intended", "reason": "asked for"}}, [FINDING, FINISHED]),
        ({"intent": {"not_available": "no answer"}}, [FINDING, FINISHED]),
        ({"intent": {"verdict": "side effect", "reason": "nobody asked"}}, [FINDING, SIDE_EFFECT, FINISHED]),
    ],
)
def test_only_what_the_intent_did_not_ask_for_is_a_side_effect(opinion: dict[str, object], names: list[str]) -> None:
    held = {
        "id": "f1", "statement": "ends with a moral", "status": "validated", "more_in": "intervention", "difference": 0.5,
        "beside": opinion, "base_rate": 0.0, "intervention_rate": 0.5, "interval": [0.4, 0.6],
        "log_e": 20.0, "e_value": 1e8, "check": "c", "strata": [],
    }  # fmt: skip
    rejected = {**held, "id": "f2", "status": "not validated"}
    findings = {
        "name": "told\u202e", "base": "b", "intervention": "i", "alpha": 0.05, "findings": [held, rejected], "themes": [],
        "overall": {"verdict": "different"},
    }  # fmt: skip
    told = list(events_of(findings, "done", "/runs/told"))
    assert [name for name, _ in told] == names
    assert told[0][1]["sentence"].startswith("The intervention")
    assert told[0][1]["audit"] == "told[U+202E]"
    assert told[-1][1]["validated"] == 1
    # Taken whole from the store: its findings are no news.
    assert [name for name, _ in events_of(findings, "done", "/runs/told", known=True)] == [FINISHED]
