"""`auto-interventions diff`: what changed from one run to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auto_interventions.cli.consoles import out_console, print_json, tell
from auto_interventions.cli.options import Json


def diff(
    one: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run directory: the --out of an audit.", show_default=False)],
    other: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another run directory.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; default: runs/A-to-B, by the folders' names.", show_default=False)
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", min=1e-9, max=0.5, help="False discovery rate; default: the smaller of the runs'.")
    ] = None,
    json_output: Json = False,
) -> None:
    """What is new, gone, stronger or weaker from run A to run B, tested on the difference itself."""
    from auto_interventions.diffing import diff_runs, diff_summary, diff_table, write_diff
    from auto_interventions.runs import load_run

    result = diff_runs(load_run(one), load_run(other), alpha)
    page = write_diff(result, out or Path("runs") / f"{one.resolve().name}-to-{other.resolve().name}")
    if json_output:
        print_json(result.as_dict())
        return
    out_console.print(diff_table(result))
    out_console.print(diff_summary(result))
    tell(f"Diff: {page.resolve()}")
