"""matrix.json and matrix.html, written atomically into one folder. The page needs no network, like a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_interventions.matrix import figures, wording
from auto_interventions.matrix.rows import Row
from auto_interventions.matrix.sources import Sources
from auto_interventions.matrix.table import Matrix
from auto_interventions.report.beside import agreement
from auto_interventions.report.plain import one_line, visible
from auto_interventions.report.rendering import render
from auto_interventions.runs import RunDirectory

_TEMPLATES = Path(__file__).parent / "templates"
_BAR = 180  # width of a share's bar


def write_matrix(matrix: Matrix, folder: Path) -> Path:
    """Writes matrix.json and matrix.html into `folder`; gives the page's path.

    Raises:
        Interrupted: a file cannot be written.
    """
    directory = RunDirectory(folder)
    directory.write_json("matrix.json", matrix.as_dict())
    directory.write_text("matrix.html", render("matrix.html.j2", _context(matrix), _TEMPLATES))
    return folder / "matrix.html"


@dataclass(frozen=True, slots=True)
class _Bar:
    """Places of a share and its interval on a line from 0 to 1."""

    zero: float
    low: float
    high: float
    at: float


def _context(matrix: Matrix) -> dict[str, Any]:
    pictures = [figures.picture(matrix, narrow=narrow) for narrow in (False, True)]
    return {
        "headline": visible(wording.headline(matrix), 400),
        "detail": visible(wording.detail(matrix), 900),
        "notes": [visible(note, 400) for note in matrix.notes],
        "pictures": pictures if all(pictures) else [],
        "legend": figures.legend(matrix),
        "cells": [
            {
                "label": one_line(cell.label, 80),
                "sides": f"{one_line(cell.base, 60)} → {one_line(cell.intervention, 60)}",
                "bank": one_line(cell.bank, 60),
                "runs": len(cell.runs),
            }
            for cell in matrix.cells
        ],
        "columns": [{"name": one_line(column.name, 60), "seed": one_line(column.seed, 60)} for column in matrix.columns],
        "details": [
            {
                "name": one_line(column.name, 60),
                "seed": one_line(column.seed, 60),
                "cell": one_line(next(cell.label for cell in matrix.cells if number in cell.runs), 80),
                "found": f"{column.validated:,} of {column.tested:,}",
                "path": one_line(column.path, 200),
            }
            for number, column in enumerate(matrix.columns)
        ],
        "grid": _grid(matrix),
        "by_theme": _by_theme(matrix),
        "every": [_every(row) for row in matrix.rows] if len(matrix.columns) > len(matrix.cells) else [],
        "sources": [_source(one) for one in matrix.sources if one.shares is not None],
        "no_sources": [f"{one_line(one.label, 80)}: {one.why}." for one in matrix.sources if one.shares is None and matrix.rows],
        "judges": [
            {
                "who": " and ".join(one_line(judge, 60) for judge in one.judges),
                "where": one_line(wording.judges_of(one, matrix), 200),
                "agree": agreement(one.told),
            }
            for one in matrix.judges
        ],
    }


def _grid(matrix: Matrix) -> dict[str, Any] | None:
    """Sentences found a run, interventions × banks; None where there is one of each."""
    interventions, banks = (list(dict.fromkeys(getattr(cell, what) for cell in matrix.cells)) for what in ("intervention", "bank"))
    if len(interventions) * len(banks) < 2:
        return None
    rows = [
        (
            one_line(intervention, 80),
            [
                "; ".join(
                    wording.found_a_run(cell, matrix) for cell in matrix.cells if (cell.intervention, cell.bank) == (intervention, bank)
                )
                or wording.BLANK
                for bank in banks
            ],
        )
        for intervention in interventions
    ]
    return {"banks": [one_line(bank, 60) for bank in banks], "rows": rows}


def _themes(matrix: Matrix) -> list[str]:
    """Titles in the order in which findings first have them; "" for those that stand under none."""
    return list(dict.fromkeys(row.theme for row in matrix.leaders))


def _by_theme(matrix: Matrix) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = []
    for theme in _themes(matrix):
        rows = [row for row in matrix.leaders if row.theme == theme]
        held = [sum(bool(row.over(cell).held) for row in rows) for cell in matrix.cells]
        groups.append({"title": one_line(theme or "Other", 80), "rows": [_row(row, matrix) for row in rows], "held": held})
    return groups


def _row(row: Row, matrix: Matrix) -> dict[str, Any]:
    spreads = [row.over(cell) for cell in matrix.cells]
    return {
        "what": visible(row.statement, 300),
        "judges": ", ".join(one_line(judge, 60) for judge in row.judges) if len(row.judges) > 1 else "",
        "alike": [one_line(statement, 120) for statement in row.alike],
        "cells": [
            {
                "size": wording.size_cell(spread),
                "found": wording.found_cell(spread, len(cell.runs)),
                "held": spread.held > 0,
            }
            for spread, cell in zip(spreads, matrix.cells, strict=True)
        ],
    }


def _every(row: Row) -> dict[str, Any]:
    return {
        "what": visible(row.statement, 300),
        "under": row.under is not None,
        "values": [{"text": wording.value_cell(value), "status": value.status} for value in row.values],
    }


def _source(told: Sources) -> dict[str, Any]:
    assert told.shares is not None
    parts: Sequence[tuple[str, Any]] = list(told.shares.sources.items())
    alone = [(name, one) for name, one in told.shares.components.items() if one.share is not None]
    return {
        "label": one_line(told.label, 80),
        "of": wording.table_of(told),
        "rows": [
            {
                "what": wording.source(name),
                "share": wording.share_cells(one),
                "bar": _Bar(0, _BAR * one.interval[0], _BAR * one.interval[1], _BAR * (one.share or 0.0)),
            }
            for name, one in parts
        ],
        "alone": [{"what": name, "share": wording.share_cells(one)} for name, one in alone],
    }
