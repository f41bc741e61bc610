"""Starts an audit, or a comparison of two, from a configuration: checks, workspace, server, flow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auto_interventions.config import AuditConfig
from auto_interventions.errors import Interrupted
from auto_interventions.flows.secrets import read_secret_block
from auto_interventions.flows.server import begin, connected, named_by_user
from auto_interventions.stages.checking import check_files, check_models
from auto_interventions.stages.progress import Observer
from auto_interventions.stages.reuse import find, restore
from auto_interventions.stages.workspace import Workspace
from auto_interventions.stores import open_store

if TYPE_CHECKING:
    from auto_interventions.comparing import Comparison


def start_audit(config: AuditConfig, folder: Path, observer: Observer) -> str:
    """Runs an audit into `folder` and returns its status, "done" or "stopped" (a budget ended it; partial results are saved).

    Raises:
        BadInput: something in the audit file cannot be used; nothing was written.
        Interrupted: the disk, the server or another service gave way; starting again resumes.
    """
    check_files(config, folder)
    if not named_by_user() and taken_from_store(config, folder, observer):
        return "done"
    observer.stage("starting: models, encoder, Prefect")
    server = begin()  # takes seconds: it starts while torch is imported and the models are checked
    check_models(config)
    with Workspace.create(config, folder, observer, read_secret_block) as workspace:
        workspace.warm_up()
        with connected(server):
            from auto_interventions.flows.audit import audit_flow

            workspace.language.open()
            audit_flow(f"{config.name}: {config.base.label} → {config.intervention.label}", str(workspace.path))
        return workspace.status


def taken_from_store(config: AuditConfig, folder: Path, observer: Observer) -> bool:
    """Whether the very audit was finished earlier, and its files are in `folder` now: without models, and without a server that nobody
    would look at."""
    store = open_store(config.store)
    try:
        if find(config, store) is None:
            return False
    finally:
        store.close()
    with Workspace.create(config, folder, observer) as workspace:
        return restore(workspace)["files"] > 0


def start_comparison(
    config: AuditConfig, folder: Path, observer: Observer, exhaustive_texts: int | None = None, share_store: bool = False
) -> Comparison:
    """Runs an audit actively and exhaustively into `folder`, and compares the two. Runs that have concluded are not run again.

    Args:
        exhaustive_texts: texts of the exhaustive audit; None: `max_texts` of the file.
        share_store: both use the file's store instead of fresh ones.

    Raises:
        BadInput: something in the audit file cannot be used, or the folder holds something else; nothing was written.
        Interrupted: the disk, the server or another service gave way; starting again resumes.
    """
    from auto_interventions.stages.comparing import ARMS, SideBySide  # plots and pages that an audit does without

    comparison = SideBySide.of(config, folder, observer, exhaustive_texts, share_store, read_secret_block)
    for arm in ARMS:
        # With the file's store: opening one makes it, and nothing shall be written yet.
        check_files(comparison.config(arm).model_copy(update={"store": config.store}), comparison.run_folder(arm))
    observer.stage("starting: models, encoder, Prefect")
    server = begin()
    check_models(config)
    with comparison.registered(), connected(server):
        from auto_interventions.flows.compare import compare_flow

        compare_flow(f"{config.name}: {config.base.label} → {config.intervention.label}", comparison.path)
    if comparison.result is None:
        raise Interrupted(f"{folder}: the comparison ended without a result; start it again")
    return comparison.result
