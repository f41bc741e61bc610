"""Starts an audit from a configuration: checks, workspace, server, flow."""

from __future__ import annotations

from pathlib import Path

from auto_interventions.config import AuditConfig
from auto_interventions.flows.server import begin, connected
from auto_interventions.stages.checking import check_files, check_models
from auto_interventions.stages.progress import Observer
from auto_interventions.stages.workspace import Workspace


def start_audit(config: AuditConfig, folder: Path, observer: Observer) -> str:
    """Runs an audit into `folder` and returns its status, "done" or "stopped" (a budget ended it; partial results are saved).

    Raises:
        BadInput: something in the audit file cannot be used; nothing was written.
        Interrupted: the disk, the server or another service gave way; starting again resumes.
    """
    check_files(config, folder)
    observer.stage("starting: models, encoder, Prefect")
    server = begin()  # takes seconds: it starts while torch is imported and the models are checked
    check_models(config)
    with Workspace.create(config, folder, observer) as workspace:
        workspace.warm_up()
        with connected(server):
            from auto_interventions.flows.audit import audit_flow

            audit_flow(f"{config.name}: {config.base.label} → {config.intervention.label}", str(workspace.path))
        return workspace.status
