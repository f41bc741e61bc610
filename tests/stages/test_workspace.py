"""What run.json says when an audit breaks off."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_interventions.config import AuditConfig
from auto_interventions.errors import Interrupted
from auto_interventions.runs import load_run
from auto_interventions.stages.workspace import Workspace


def config(folder: Path) -> AuditConfig:
    return AuditConfig.model_validate(
        {
            "name": "broken off",
            "base": {"model": "m"},
            "intervention": {"model": "m"},
            "prompts": {"path": "p"},
            "store": str(folder / "store"),
        }
    )


@pytest.mark.parametrize("error", [Interrupted("the disk is full; free some space"), KeyboardInterrupt(), ValueError("holds a secret")])
def test_an_audit_that_breaks_off_is_not_said_to_run(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), Workspace.create(config(tmp_path), tmp_path / "run"):
        raise error
    run = load_run(tmp_path / "run").run
    assert run["status"] == "interrupted"
    assert run.get("error") == (str(error) if isinstance(error, Interrupted) else None)


def test_it_runs_again_where_it_broke_off(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), Workspace.create(config(tmp_path), tmp_path / "run"):
        raise Interrupted("the disk is full")
    with Workspace.create(config(tmp_path), tmp_path / "run"):
        run = load_run(tmp_path / "run").run
        assert run["status"] == "running"
        assert "error" not in run
