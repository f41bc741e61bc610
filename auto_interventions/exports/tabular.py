"""The tables of a run as Parquet, JSON Lines or CSV: one file a table."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.exports.frames import holdable, ordered, tables
from auto_interventions.runs import Run, RunDirectory

# What a spreadsheet takes for a formula at the beginning of a cell (OWASP, "CSV Injection"), full-width letters of the same among them.
_FORMULA = re.compile("^[=+\\-@\t\r\n＝＋－＠]")
# Some readers of CSV stop at a NUL; a spreadsheet puts what is beyond this into the next cell, where it may be a formula.
_NUL, _LONGEST = "\x00", 32_000


def write_parquet(run: Run, folder: RunDirectory) -> list[str]:
    """Every table as Parquet; the names of the files."""
    return [_parquet(folder, f"{name}.parquet", table) for name, table in tables(run).items()]


def write_jsonl(run: Run, folder: RunDirectory) -> list[str]:
    """Every table as one JSON object a line, ASCII alone; the findings whole, as findings.json has them."""
    written: list[str] = []
    for name, table in tables(run).items():
        rows = map(holdable, ordered(run)) if name == "findings" else _objects(table)
        lines = (json.dumps(row, allow_nan=False).encode("ascii") + b"\n" for row in rows)
        folder.write_pieces(f"{name}.jsonl", lines)
        written.append(f"{name}.jsonl")
    return written


def write_csv(run: Run, folder: RunDirectory) -> list[str]:
    """Every table as CSV for spreadsheets: UTF-8 with a mark that says so, every text quoted, none of them a formula."""
    written: list[str] = []
    for name, table in tables(run).items():
        text = table.map(_cell).rename(columns=_cell).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
        folder.write_pieces(f"{name}.csv", [text.encode("utf-8-sig", "backslashreplace")])
        written.append(f"{name}.csv")
    return written


def _cell(value: Any) -> Any:
    """A cell of a spreadsheet: lists as text; what is too long for a cell is cut; what would be a formula begins with an apostrophe.

    >>> _cell("=1+1"), _cell("- a point"), _cell(["a", "b"]), _cell(-0.5)
    ("'=1+1", "'- a point", 'a; b', -0.5)
    """
    if isinstance(value, list | tuple | np.ndarray):
        value = "; ".join(str(one) for one in value)
    if not isinstance(value, str):
        return value
    shown = value.replace(_NUL, "�") if len(value) <= _LONGEST else f"{value[:_LONGEST].replace(_NUL, '�')}…"
    return f"'{shown}" if _FORMULA.match(shown) else shown


def _objects(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    columns = [(str(name), _natives(table[name])) for name in table]
    for row in range(len(table)):
        yield {name: values[row] for name, values in columns}


def _natives(column: pd.Series[Any]) -> list[Any]:
    return [_native(value) for value in column.tolist()]


def _native(value: Any) -> Any:
    """`value` as JSON knows it: None for what is missing or is not finite; lists of such."""
    if isinstance(value, list | np.ndarray):
        return [_native(one) for one in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return None if pd.isna(value) or (isinstance(value, float) and not np.isfinite(value)) else value


def columns_of(table: pd.DataFrame) -> dict[str, Any]:
    """`table` as `RunDirectory.write_table` takes it."""
    return {str(name): table[name].to_numpy() for name in table}


def _parquet(folder: RunDirectory, name: str, table: pd.DataFrame) -> str:
    folder.write_table(name, columns_of(table))
    return name
