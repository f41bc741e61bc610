"""What the flows of deployments share: the audit file with a form's values, and the state that a run ends in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun
from prefect.runtime import flow_run
from prefect.states import Cancelled as CancelledState
from prefect.states import Completed, Failed

from auto_interventions.audit_file import load_audit
from auto_interventions.config import AuditConfig
from auto_interventions.errors import AutoInterventionsError, Cancelled
from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.runs import load_run


def config_of(file: Path | str, overrides: Sequence[str] = (), dollars: float | None = None, minutes: float | None = None) -> AuditConfig:
    """The audit file with a form's overrides and caps.

    Raises:
        ConfigError: as `load_audit`.
    """
    caps = {"dollars": dollars, "minutes": minutes}
    given = [f"budget.{name}={value}" for name, value in caps.items() if value is not None]
    return load_audit(Path(file), [*overrides, *given])


def concluded(folder: Path, status: str) -> State[Any]:
    """The state that an audit ends in: its message is what a person wants to know first."""
    run = load_run(folder)
    verdict = one_line(wording.verdict(run.findings).headline, 300)
    name = "Completed"
    if status == "stopped":
        name, verdict = "Stopped", f"Stopped early: {one_line(run.run['stopped_because'], 300)} {verdict}"
    return Completed(name=name, message=f"{verdict} Report: {folder / 'report.html'}", data={"run": str(folder), "status": status})


def told(run: Callable[[], State[Any]]) -> State[Any]:
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


def name_of(fallback: str, name: Callable[[dict[str, Any]], str]) -> str:
    """The run's name from its parameters; the flow itself says what is wrong with them."""
    try:
        return one_line(name(dict(flow_run.parameters)))
    except (AutoInterventionsError, KeyError):
        return fallback
