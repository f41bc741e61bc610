"""Auto-Interventions: what else changed in a changed language model?

    import auto_interventions

    run = auto_interventions.audit("audit.yaml", out="runs/mine")    # or auto_interventions.load("runs/mine")
    print(run.verdict)
    run.validated                                                    # a pandas frame
    run.pairs("more often mentions “moral”")                         # both models' texts, side by side

Importing it imports nothing else; each function imports what it needs (docs/api.md).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auto_interventions.config import AuditConfig
    from auto_interventions.diffing import Diff
    from auto_interventions.exports import AuditRun

__version__ = "0.1.0"
__all__ = ["__version__", "audit", "diff", "load"]

# Where it is installed, peft imports bitsandbytes, which warns of kernels that it looked for on the hub, and then of every cast.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def audit(
    audit: str | Path | Mapping[str, Any] | AuditConfig,
    out: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    runner: str = "threads",
    progress: bool = False,
) -> AuditRun:
    """Audits an intervention, as the command of that name does; the same audit again resumes or repeats it.

    Args:
        audit: the path of an audit file, or its content as a dictionary (docs/audit-file.md), whose paths are relative to the working
            directory.
        out: run directory; default: runs/NAME.
        overrides: fields by their dotted names, as {"sampling.seed": 1}.
        runner: where the work runs (docs/runners.md).
        progress: show it on stderr.

    Raises:
        BadInput: something in the audit cannot be used; nothing was written.
        Interrupted: a service or the disk gave way; starting again resumes. A budget that ends the audit raises nothing: the run's `status`
            is "stopped".
    """
    from auto_interventions import api

    return api.audit(audit, out, overrides, runner, progress)


def load(run: str | Path) -> AuditRun:
    """The audit in a run directory, at any time of it.

    Raises:
        RunDirectoryError: it is not one, or a file in it is damaged.
    """
    from auto_interventions import api

    return api.load(run)


def diff(one: str | Path | AuditRun, other: str | Path | AuditRun, alpha: float | None = None) -> Diff:
    """What changed from one run to another, every sentence tested on the difference (docs/diff.md). Writes nothing.

    Args:
        alpha: false discovery rate; default: the smaller of the runs'.

    Raises:
        RunDirectoryError: a run has not concluded, or was made by an earlier version.
    """
    from auto_interventions import api

    return api.diff(one, other, alpha)
