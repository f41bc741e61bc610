"""`auto-interventions calibrate`: whether bank, encoder and judge are fit to be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auto_interventions.cli.consoles import err_console, out_console, print_json, tell
from auto_interventions.cli.ending import interruptible
from auto_interventions.cli.options import AuditFile, Json, Overrides, Runner


def calibrate(
    file: AuditFile,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of all runs; default: runs/NAME-calibrate.", show_default=False)] = None,
    overrides: Overrides = None,
    nulls: Annotated[int, typer.Option("--nulls", min=1, metavar="N", help="Audits of the base against itself.")] = 3,
    swap: Annotated[bool, typer.Option(help="Also run the audit itself, and with its roles swapped.")] = True,
    runner: Runner = "threads",
    json_output: Json = False,
) -> None:
    """Says whether bank, encoder and judge are fit to be believed: the base against itself, the roles swapped. Exit 4: they are not.

    Starting it again resumes it.
    """
    from auto_interventions.audit_file import load_audit
    from auto_interventions.calibrating import calibration_summary, calibration_table
    from auto_interventions.cli.watching import Watcher
    from auto_interventions.flows.calibrating import start_calibration

    config = load_audit(file, overrides)
    folder = out or Path("runs") / f"{config.name}-calibrate"
    with interruptible("calibration", folder), Watcher(err_console, config) as watcher:
        result = start_calibration(config, folder, watcher, nulls, swap, runner)
    if json_output:
        print_json(result.as_dict())
    else:
        out_console.print(calibration_table(result))
        out_console.print(calibration_summary(result))
        tell(f"Calibration: {(folder / 'calibration.html').resolve()}")
    if result.verdict == "unfit":
        raise typer.Exit(4)
