"""The Python API behind `auto_interventions.audit`, `.load` and `.diff` (docs/api.md)."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auto_interventions.exports import AuditRun
from auto_interventions.runs import Run, load_run

if TYPE_CHECKING:
    from auto_interventions.config import AuditConfig
    from auto_interventions.diffing import Diff

_HERE = Path("audit(…)")
"""What stands for the audit file's name in errors about one that was given as a dictionary."""


def load(run: str | Path) -> AuditRun:
    """See `auto_interventions.load`."""
    return AuditRun.at(run)


def audit(
    audit: str | Path | Mapping[str, Any] | AuditConfig,
    out: str | Path | None,
    overrides: Mapping[str, Any] | None,
    runner: str,
    progress: bool,
) -> AuditRun:
    """See `auto_interventions.audit`."""
    from auto_interventions.flows.starting import start_audit
    from auto_interventions.stages.progress import Silent

    config = config_of(audit, overrides or {})
    folder = Path(out) if out is not None else Path("runs") / config.name
    if progress:
        from auto_interventions.cli.consoles import err_console
        from auto_interventions.cli.watching import Watcher

        watching = Watcher(err_console, config)
    else:
        watching = nullcontext(Silent())
    with watching as observer:
        start_audit(config, folder, observer, runner)
    return load(folder)


def config_of(audit: str | Path | Mapping[str, Any] | AuditConfig, overrides: Mapping[str, Any]) -> AuditConfig:
    """The audit that a file, a dictionary (its paths relative to the working directory) or a configuration describes.

    Raises:
        ConfigError: an unknown field or a wrong value.
    """
    from auto_interventions.audit_file import audit_of, load_audit
    from auto_interventions.config import AuditConfig

    told = [f"{field}={json.dumps(value)}" for field, value in overrides.items()]
    if isinstance(audit, str | Path):
        return load_audit(Path(audit), told)
    if isinstance(audit, AuditConfig):
        return audit if not told else audit_of(audit.model_dump(mode="json"), told, _HERE, Path.cwd())
    data = copy.deepcopy({str(key): value for key, value in audit.items()})
    return audit_of(data, told, _HERE, Path.cwd())


def diff(one: str | Path | AuditRun, other: str | Path | AuditRun, alpha: float | None) -> Diff:
    """See `auto_interventions.diff`."""
    from auto_interventions.diffing import diff_runs

    return diff_runs(_run(one), _run(other), alpha)


def _run(given: str | Path | AuditRun) -> Run:
    return given.run if isinstance(given, AuditRun) else load_run(Path(given))
