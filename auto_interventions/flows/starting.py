"""Starts an audit, or a comparison of two, from a configuration: checks, workspace, server, flow.

The commands and the flows of deployments (flows/deployed.py) share what is here: a command starts a flow run of its own, on a server of its
own where none is named; a deployment's flow run is there already, and the stages are its tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from auto_interventions.config import AuditConfig
from auto_interventions.errors import Interrupted
from auto_interventions.flows.runners import THREADS, check_runner, opening_crew
from auto_interventions.flows.secrets import read_secret_block
from auto_interventions.flows.server import begin, connected, named_by_user
from auto_interventions.report.plain import one_line
from auto_interventions.stages.checking import check_files, check_models
from auto_interventions.stages.progress import Observer
from auto_interventions.stages.reuse import find, restore
from auto_interventions.stages.workspace import Workspace
from auto_interventions.stores import open_store

if TYPE_CHECKING:
    from auto_interventions.comparing import Comparison

_STARTING = "starting: models, encoder, Prefect"


def title_of(config: AuditConfig) -> str:
    """What people call the audit: "name: base → intervention"."""
    base, intervention = (one_line(side.label, 60) or "?" for side in (config.base, config.intervention))
    return f"{one_line(config.name, 80) or 'audit'}: {base} → {intervention}"


def start_audit(config: AuditConfig, folder: Path, observer: Observer, runner: str = THREADS) -> str:
    """Runs an audit into `folder` and returns its status, "done" or "stopped" (a budget ended it; partial results are saved).

    Args:
        runner: where the work runs (flows/runners.py); no result depends on it.

    Raises:
        BadInput: something in the audit file cannot be used; nothing was written.
        Interrupted: the disk, the server or another service gave way; starting again resumes.
    """
    check_runner(runner)
    check_files(config, folder)
    if not named_by_user() and taken_from_store(config, folder, observer):
        return "done"
    observer.stage(_STARTING)
    server = begin()  # takes seconds: it starts while torch is imported and the models are checked

    def flow(workspace: Workspace) -> None:
        with connected(server):
            from auto_interventions.flows.audit import audit_flow
            from auto_interventions.flows.watching import cancellable

            workspace.language.open()
            with cancellable():
                audit_flow(title_of(config), workspace.path)

    return _audit(config, folder, observer, flow, runner)


def audit_within_flow(config: AuditConfig, folder: Path, observer: Observer, as_subflow: bool = False, runner: str = THREADS) -> str:
    """As `start_audit`, from inside a flow run, on whose server it works.

    Args:
        as_subflow: the audit gets a flow run of its own below; otherwise its stages are tasks of the one that is at work.
    """
    check_runner(runner)
    check_files(config, folder)
    observer.stage("starting: models, encoder")

    def flow(workspace: Workspace) -> None:
        from auto_interventions.flows.audit import audit_flow, run_stages
        from auto_interventions.flows.watching import cancellable

        workspace.language.open()
        if as_subflow:
            with cancellable():
                audit_flow(title_of(config), workspace.path)
        else:
            run_stages(workspace.path)

    return _audit(config, folder, observer, flow, runner)


def _audit(config: AuditConfig, folder: Path, observer: Observer, flow: Callable[[Workspace], None], runner: str) -> str:
    """What every audit does, whoever runs its stages."""
    with opening_crew(runner) as crew:
        check_models(config)
        with Workspace.create(config, folder, observer, read_secret_block, crew()) as workspace:
            workspace.warm_up()
            workspace.equip()
            flow(workspace)
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
    config: AuditConfig,
    folder: Path,
    observer: Observer,
    exhaustive_texts: int | None = None,
    share_store: bool = False,
    runner: str = THREADS,
) -> Comparison:
    """Runs an audit actively and exhaustively into `folder`, and compares the two. Runs that have concluded are not run again.

    Args:
        exhaustive_texts: texts of the exhaustive audit; None: `max_texts` of the file.
        share_store: both use the file's store instead of fresh ones.
        runner: as in `start_audit`; both audits run there.

    Raises:
        BadInput: something in the audit file cannot be used, or the folder holds something else; nothing was written.
        Interrupted: the disk, the server or another service gave way; starting again resumes.
    """

    def flow(path: str) -> None:
        with connected(begin()):
            from auto_interventions.flows.compare import compare_flow
            from auto_interventions.flows.watching import cancellable

            with cancellable():
                compare_flow(title_of(config), path)

    return _compare(config, folder, observer, exhaustive_texts, share_store, flow, begin, runner)


def compare_within_flow(
    config: AuditConfig,
    folder: Path,
    observer: Observer,
    exhaustive_texts: int | None = None,
    share_store: bool = False,
    runner: str = THREADS,
) -> Comparison:
    """As `start_comparison`, from inside a flow run: the two audits are flow runs below it."""

    def flow(path: str) -> None:
        from auto_interventions.flows.compare import run_both

        run_both(title_of(config), path)

    return _compare(config, folder, observer, exhaustive_texts, share_store, flow, lambda: None, runner)


def _compare(
    config: AuditConfig,
    folder: Path,
    observer: Observer,
    exhaustive_texts: int | None,
    share_store: bool,
    flow: Callable[[str], None],
    start_server: Callable[[], object],
    runner: str,
) -> Comparison:
    """What every comparison does, whoever runs its audits; `start_server` in the background, while the models are checked."""
    from auto_interventions.stages.comparing import ARMS, SideBySide  # plots and pages that an audit does without

    check_runner(runner)
    comparison = SideBySide.of(config, folder, observer, exhaustive_texts, share_store, read_secret_block)
    for arm in ARMS:
        # With the file's store: opening one makes it, and nothing shall be written yet.
        check_files(comparison.config(arm).model_copy(update={"store": config.store}), comparison.run_folder(arm))
    observer.stage(_STARTING)
    start_server()
    with opening_crew(runner) as crew:
        check_models(config)
        comparison.crew = crew()
        with comparison.registered():
            flow(comparison.path)
    if comparison.result is None:
        raise Interrupted(f"{folder}: the comparison ended without a result; start it again")
    return comparison.result
