"""`auto-interventions weights`: how far the weights moved from one model to another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auto_interventions.cli.consoles import err_console, note, out_console, print_json, tell
from auto_interventions.cli.options import Json
from auto_interventions.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from auto_interventions.config import SubjectConfig
    from auto_interventions.weightdiff import WeightDifference

_ENDINGS = (".parquet", ".csv", ".jsonl")
_PEFT = "adapter_config.json"


def weights(
    base: Annotated[str, typer.Argument(metavar="BASE", help="Folder or hub id of the base model.", show_default=False)],
    intervention: Annotated[
        str,
        typer.Argument(metavar="INTERVENTION", help="The changed model, or the folder of a LoRA adapter on the base.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Table to write: .parquet, .csv or .jsonl (docs/weights.md).", show_default=False)
    ] = None,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Singular values of each large matrix that are computed at most.")] = 64,
    json_output: Json = False,
) -> None:
    """How far each matrix of the weights moved: norm, relative norm, energy, effective rank. Reads safetensors files, loads no model."""
    from auto_interventions.cli.watching import PlantWatcher
    from auto_interventions.weightdiff import Incomparable, measure_difference

    if out is not None and out.suffix not in _ENDINGS:
        raise BadInput(f"--out {out}: ends with none of {', '.join(_ENDINGS)}; name a file that does")
    sides = _sides(base, intervention)
    try:
        with PlantWatcher(err_console) as watcher:
            difference = measure_difference(*sides, rank, lambda done, of: watcher("matrices", done, of))
    except Incomparable as error:
        raise BadInput(f"{base}, {intervention}: {error}; give two models of one architecture, in safetensors files") from error
    import pandas as pd

    table = pd.DataFrame(dict(difference.columns()))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        _writers(table)[out.suffix](out)
    if json_output:
        print_json(_as_dict(difference, table, out))
    else:
        _show(difference, table)
        if out is not None:
            tell(f"Table: {out.resolve()}")


def _as_dict(difference: WeightDifference, table: pd.DataFrame, out: Path | None) -> dict[str, object]:
    """`weights --json`: a tensor has the columns of the table (docs/weights.md), null where a number is not known."""
    return {
        "schema": "auto-interventions/weights@1",
        "relative": difference.relative,
        "changed": sum(change.norm > 0 for change in difference.changes),
        "tensors": json.loads(str(table.to_json(orient="records"))),
        "skipped": dict(difference.skipped),
        "table": None if out is None else str(out.resolve()),
    }


def _show(difference: WeightDifference, table: pd.DataFrame) -> None:
    from auto_interventions.report.weights import kinds, largest, share

    out_console.print(_kinds_table(kinds(table)))
    out_console.print(_largest_table(largest(table)))
    changed = sum(change.norm > 0 for change in difference.changes)
    tell(f"{changed:,} of {len(table):,} tensors changed; the change is {share(difference.relative)} as large as the base's weights.")
    for name, why in difference.skipped.items():
        note(f"not compared: {name} ({why})")


def _sides(base: str, intervention: str) -> tuple[SubjectConfig, SubjectConfig]:
    from auto_interventions.config import SubjectConfig

    folder = Path(intervention).expanduser()
    is_adapter = (folder / _PEFT).is_file() and not (folder / "config.json").is_file()
    changed = SubjectConfig(model=base, adapter=intervention) if is_adapter else SubjectConfig(model=intervention)
    return SubjectConfig(model=base), changed


def _writers(table: pd.DataFrame) -> dict[str, Callable[[Path], object]]:
    return {
        ".parquet": lambda path: table.to_parquet(path, index=False),
        ".csv": lambda path: table.to_csv(path, index=False),
        ".jsonl": lambda path: table.to_json(path, orient="records", lines=True),
    }


def _kinds_table(rows: list[dict[str, object]]) -> Table:
    from auto_interventions.report.console import titled_table

    table = titled_table("Kinds of matrices")
    table.add_column("kind", overflow="fold")
    for name in ("changed", "change for its size", "share of the change", "effective rank", "90% within"):
        table.add_column(name, justify="right")
    for row in rows:
        rank = f"{row['rank']} of {row['full']}" if row["rank"] else ""
        table.add_row(
            str(row["name"]), f"{row['changed']} of {row['count']}", str(row["relative"]), str(row["energy"]), rank, str(row["rank_90"])
        )
    return table


def _largest_table(rows: list[dict[str, object]]) -> Table:
    from auto_interventions.report.console import titled_table

    table = titled_table("Matrices that moved furthest for their size")
    table.add_column("matrix", overflow="fold")
    for name in ("shape", "change for its size", "share of the change", "effective rank", "90% within"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("name", "shape", "relative", "energy", "rank", "rank_90")))
    return table
