"""The flows of deployments: what the Prefect UI shows as forms, schedules start, and REST calls trigger (docs/deployments.md).

Each is a thin door to what the commands do. A docstring's `Args` are the descriptions in the form. What a person can mend ends the run as
Failed, its message the sentence that the command would have shown; an audit that a budget ended is Completed under the name Stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from pydantic import Field

from auto_interventions import errors
from auto_interventions.audit_file import load_audit, read_yaml
from auto_interventions.config import AuditConfig
from auto_interventions.errors import AutoInterventionsError, Cancelled
from auto_interventions.flows.starting import audit_within_flow, compare_within_flow, title_of
from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.runs import load_run
from auto_interventions.stages.progress import Silent

Dollars = Annotated[float, Field(ge=0)]
Minutes = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def _audit_name() -> str:
    return _name("audit", lambda given: title_of(_config(given["audit_file"], given.get("overrides", ()), None, None)))


def _compare_name() -> str:
    return _name("compare", lambda given: f"compare {title_of(_config(given['audit_file'], given.get('overrides', ()), None, None))}")


def _plant_name() -> str:
    return _name("plant", lambda given: f"plant {read_yaml(Path(given['plant_file']))['name']}")


@flow(name="audit", flow_run_name=_audit_name)
def audit(
    audit_file: Path,
    out: str = "",
    overrides: tuple[str, ...] = (),
    runner: str = "threads",
    dollars: Dollars | None = None,
    minutes: Minutes | None = None,
) -> State[Any]:
    """Audits a changed language model: what else changed? Starting it again with the same run folder resumes it.

    Args:
        audit_file: The audit file (YAML, docs/audit-file.md), as the worker sees it: an absolute path, or one below its working folder.
        out: Run folder that gets the report; empty: runs/NAME, where NAME is the audit's. The same audit in the same folder resumes.
        overrides: Fields of the audit file with other values, each as a.b=c, for example sampling.max_texts=4000.
        runner: Where the work runs: threads, dask, dask:N (N processes), dask-cuda (one a GPU), or the address of a Dask scheduler.
        dollars: Cap on the money for language models, in place of the file's budget.dollars; empty: the file's.
        minutes: Cap on wall-clock minutes, in place of the file's budget.minutes; empty: the file's.
    """

    def run() -> State[Any]:
        config = _config(audit_file, overrides, dollars, minutes)
        folder = Path(out or f"runs/{config.name}")
        status = audit_within_flow(config, folder, Silent(), runner=runner)
        return _concluded(folder.resolve(), status)

    return _told(run)


@flow(name="compare", flow_run_name=_compare_name)
def compare(
    audit_file: Path,
    out: str = "",
    overrides: tuple[str, ...] = (),
    exhaustive_texts: Count | None = None,
    share_store: bool = False,
    runner: str = "threads",
    dollars: Dollars | None = None,
) -> State[Any]:
    """The same audit actively and exhaustively: what was saved, and what was kept. Starting it again resumes it.

    Args:
        audit_file: The audit file (YAML, docs/audit-file.md), as the worker sees it: an absolute path, or one below its working folder.
        out: Folder of both runs; empty: runs/NAME-compare, where NAME is the audit's.
        overrides: Fields of the audit file with other values, each as a.b=c, for example sampling.max_texts=4000.
        exhaustive_texts: Texts of the exhaustive audit; empty: as many as the active one may draw.
        share_store: Use the file's store for both, instead of a fresh one each: quicker, but the seconds are no fair measure then.
        runner: Where the work runs: threads, dask, dask:N (N processes), dask-cuda (one a GPU), or the address of a Dask scheduler.
        dollars: Cap on the money for language models, for each of the two; empty: the file's.
    """

    def run() -> State[Any]:
        config = _config(audit_file, overrides, dollars, None)
        folder = Path(out or f"runs/{config.name}-compare")
        result = compare_within_flow(config, folder, Silent(), exhaustive_texts, share_store, runner)
        kept = f"{result.findings.kept} of {len(result.findings.exhaustive)} findings of the exhaustive audit are the active one's too"
        return Completed(message=f"{kept}. Comparison: {folder.resolve() / 'compare.html'}", data={"run": str(folder.resolve())})

    return _told(run)


@flow(name="plant", flow_run_name=_plant_name)
def plant(plant_file: Path, only: tuple[str, ...] = (), again: bool = False) -> State[Any]:
    """Makes interventions with known behaviours, and measures what they really show.

    Args:
        plant_file: What to plant (YAML, docs/planting.md), as the worker sees it: an absolute path, or one below its working folder.
        only: Names of the interventions to make; empty: all of the file.
        again: Make anew what is there already, too.
    """

    def run() -> State[Any]:
        from auto_interventions.planting import plant as make

        truth = make(plant_file, only=only, again=again).resolve()
        return Completed(message=f"Truth: {truth}", data={"truth": str(truth)})

    return _told(run)


def _config(file: Path | str, overrides: Sequence[str], dollars: float | None, minutes: float | None) -> AuditConfig:
    caps = {"dollars": dollars, "minutes": minutes}
    given = [f"budget.{name}={value}" for name, value in caps.items() if value is not None]
    return load_audit(Path(file), [*overrides, *given])


def _concluded(folder: Path, status: str) -> State[Any]:
    """The state that an audit ends in: its message is what a person wants to know first."""
    run = load_run(folder)
    verdict = one_line(wording.verdict(run.findings).headline, 300)
    name: Literal["Completed", "Stopped"] = "Completed"
    if status == "stopped":
        name, verdict = "Stopped", f"Stopped early: {one_line(run.run['stopped_because'], 300)} {verdict}"
    return Completed(name=name, message=f"{verdict} Report: {folder / 'report.html'}", data={"run": str(folder), "status": status})


def _told(run: Callable[[], State[Any]]) -> State[Any]:
    """What `run` ends in; where a person can mend it, Failed with one sentence instead of a traceback."""
    try:
        return run()
    except Cancelled as error:
        return CancelledState(message=str(error))
    except AutoInterventionsError as error:
        logging.getLogger("prefect.flow_runs").addFilter(_no_second_telling)
        return Failed(message=str(error))


def _no_second_telling(record: logging.LogRecord) -> bool:
    """Prefect raises a Failed state once more when the flow is over, and logs a page of its own code; the state says it all."""
    return not (record.exc_info and isinstance(record.exc_info[1], FailedRun))


def _name(fallback: str, name: Callable[[dict[str, Any]], str]) -> str:
    """The run's name from its parameters; the flow itself says what is wrong with them."""
    try:
        return one_line(name(dict(flow_run.parameters)))
    except (AutoInterventionsError, KeyError):
        return fallback
