"""`auto-interventions matrix`: several runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auto_interventions.cli.consoles import out_console, print_json, tell
from auto_interventions.cli.options import Json


def matrix(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run directories: the --out of audits.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default: runs/matrix.", show_default=False)] = None,
    json_output: Json = False,
) -> None:
    """Several runs side by side: interventions × banks, mean ± sd over seeds, and what the differences vary with."""
    from auto_interventions.matrix import matrix_of, matrix_summary, matrix_table, sources_table, write_matrix
    from auto_interventions.runs import load_run

    result = matrix_of([load_run(folder) for folder in folders])
    page = write_matrix(result, out or Path("runs") / "matrix")
    if json_output:
        print_json(result.as_dict())
        return
    out_console.print(matrix_table(result))
    if (sources := sources_table(result)) is not None:
        out_console.print(sources)
    out_console.print(matrix_summary(result))
    tell(f"Matrix: {page.resolve()}")
