"""Every night: audits the checkpoints of a training run that no audit has seen yet, each against the same base.

A checkpoint is a folder with a model (config.json) or an adapter (adapter_config.json) and its weights, or a hub revision of the audit
file's changed model. One run folder each, below `out`. A folder whose weights are newer than its audit is audited again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from auto_interventions.config import AuditConfig, SubjectConfig
from auto_interventions.errors import AutoInterventionsError, Cancelled, ConfigError
from auto_interventions.flows.outcomes import config_of, name_of, told
from auto_interventions.flows.starting import audit_within_flow
from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.runs import load_run
from auto_interventions.stages.progress import Silent

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
Order = Literal["newest first", "oldest first"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint: its `name`, how the audit file's changed model becomes it, when its weights were written (seconds; 0: unknown)."""

    name: str
    subject: SubjectConfig
    written: float = 0.0


def _checkpoints_name() -> str:
    return name_of("checkpoints", lambda given: f"checkpoints of {config_of(given['audit_file'], given.get('overrides', ())).name}")


@flow(name="checkpoints", flow_run_name=_checkpoints_name)
def checkpoints(
    audit_file: Path,
    folder: str = "",
    revisions: tuple[str, ...] = (),
    out: str = "",
    at_most: Annotated[int, Field(ge=1)] = 4,
    order: Order = "newest first",
    overrides: tuple[str, ...] = (),
    runner: str = "threads",
    dollars: Annotated[float, Field(ge=0)] | None = None,
) -> State[Any]:
    """Audits the checkpoints of a training run that no audit has seen yet, each against the base of the audit file.

    Args:
        audit_file: The audit file (YAML) for all of them, as the worker sees it; each checkpoint takes the place of its changed model.
        folder: Folder with one folder a checkpoint, each a model or an adapter with its weights; empty: revisions only.
        revisions: Revisions (branches, tags, commits) of the audit file's changed model on the hub.
        out: Folder that gets one run folder a checkpoint; empty: runs/NAME-checkpoints, where NAME is the audit's.
        at_most: How many are audited at most in one run; the next run goes on.
        order: Which checkpoints are audited first, where there are more than that. Revisions come in the order given, behind folders.
        overrides: Fields of the audit file with other values, each as a.b=c, for example sampling.max_texts=4000.
        runner: Where the work runs: threads, dask, dask:N (N processes), dask-cuda (one a GPU), or the address of a Dask scheduler.
        dollars: Cap on the money for language models, for each audit; None: the file's.
    """

    def run() -> State[Any]:
        config = config_of(audit_file, overrides, dollars)
        runs = Path(out or f"runs/{config.name}-checkpoints")
        found = found_checkpoints(config, Path(folder) if folder else None, revisions, order)
        missing = [checkpoint for checkpoint in found if not audited(checkpoint, runs / checkpoint.name)]
        rows = [_audited(config, checkpoint, runs / checkpoint.name, runner) for checkpoint in missing[:at_most]]
        if rows:
            create_table_artifact(
                table=rows, key="checkpoints", description=f"Checkpoints of **{one_line(config.name, 80)}**, audited in this run."
            )
        left = len(missing) - len(rows)
        said = f"{len(rows)} audited, {len(found) - len(missing)} known before, {left} left for the next run. Runs: {runs.resolve()}"
        failed = [row for row in rows if row["status"] == "failed"]
        if failed:
            return Failed(message=f"{len(failed)} of {said}. First failure: {failed[0]['checkpoint']}: {failed[0]['verdict']}")
        return Completed(message=said, data={"runs": str(runs.resolve()), "audited": [row["checkpoint"] for row in rows]})

    return told(run)


def found_checkpoints(config: AuditConfig, folder: Path | None, revisions: Sequence[str], order: Order) -> list[Checkpoint]:
    """All checkpoints, in the order in which they are audited. Folders without weights (yet) are left out.

    Raises:
        ConfigError: nowhere to look, no such folder, recorded texts in the audit file's place of a model.
    """
    changed = config.intervention
    if folder is None and not revisions:
        raise ConfigError("neither `folder` nor `revisions` is given; name the folder of the checkpoints")
    if changed.model is None:
        raise ConfigError("`intervention` of the audit file is recorded texts; give it a `model`, whose place the checkpoints take")
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; give the folder that holds the checkpoints, as the worker sees it")
    found: list[Checkpoint] = []
    for path in sorted(folder.iterdir()) if folder is not None else ():
        weights = [file.stat().st_mtime for pattern in _WEIGHTS for file in path.glob(pattern)] if path.is_dir() else []
        if not weights:
            continue
        place = str(path.resolve())
        # The settings of the changed model (quantization, system prompt …) hold for all; its name and revision are the file's own.
        if (path / "adapter_config.json").is_file():
            update = {"adapter": place, "name": path.name}
        elif (path / "config.json").is_file():
            update = {"model": place, "revision": None, "adapter": None, "name": path.name}
        else:
            continue
        found.append(Checkpoint(path.name, changed.model_copy(update=update), max(weights)))
    found.sort(key=lambda checkpoint: checkpoint.written, reverse=order == "newest first")
    for revision in revisions:
        name = f"{Path(changed.model).name} @ {revision}"
        subject = changed.model_copy(update={"revision": revision, "name": name})
        found.append(Checkpoint(revision.replace("/", "-"), subject))
    return found


def audited(checkpoint: Checkpoint, run_folder: Path) -> bool:
    """Whether an audit of it has ended there, and its weights have not been written since."""
    if not (run_folder / "run.json").is_file():
        return False
    run = load_run(run_folder).run
    started = datetime.fromisoformat(run["started"]).timestamp()
    return run["status"] in ("done", "stopped") and checkpoint.written <= started


def _audited(config: AuditConfig, checkpoint: Checkpoint, run_folder: Path, runner: str) -> dict[str, Any]:
    """Audits one checkpoint, as a flow run of its own; a row of the table. What is wrong with one does not keep the others waiting."""
    audit = config.model_copy(update={"name": f"{config.name}, {checkpoint.name}", "intervention": checkpoint.subject})
    row: dict[str, Any] = {"checkpoint": checkpoint.name, "run": str(run_folder.resolve())}
    try:
        row["status"] = audit_within_flow(audit, run_folder, Silent(), as_subflow=True, runner=runner)
    except Cancelled:
        raise
    except AutoInterventionsError as error:
        return {**row, "status": "failed", "verdict": str(error), "validated": None}
    findings = load_run(run_folder).findings
    return {**row, "verdict": one_line(wording.verdict(findings).headline, 300), "validated": len(wording.validated(findings))}
