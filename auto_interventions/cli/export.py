"""`auto-interventions export`: a run in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auto_interventions.cli.completing import formats
from auto_interventions.cli.consoles import print_json, tell
from auto_interventions.cli.options import Json, RunFolder


def export(
    folder: RunFolder,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="parquet, jsonl, csv, markdown, latex, llm-comparator, inspect, hf, wandb or mlflow.",
            show_default=False,
            autocompletion=formats,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File (markdown, latex, llm-comparator) or folder; default: in RUN/exports.", show_default=False),
    ] = None,
    json_output: Json = False,
) -> None:
    """Writes a run in the format of another tool (docs/exports.md). Asks no model."""
    from auto_interventions.exports import export_run
    from auto_interventions.runs import load_run

    path = export_run(load_run(folder), to, out).resolve()
    if json_output:
        print_json({"format": to, "path": str(path)})
    else:
        tell(f"Exported: {path}")
