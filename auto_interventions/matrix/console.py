"""A matrix on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from auto_interventions.inference.variance_shares import VarianceShares
from auto_interventions.matrix import wording
from auto_interventions.matrix.table import Matrix
from auto_interventions.report.console import titled_table
from auto_interventions.report.plain import one_line

_MOST_ROWS, _MOST_CELLS = 30, 6


def matrix_summary(matrix: Matrix) -> Text:
    """Headline, detail and notes."""
    lines = [wording.detail(matrix), *matrix.notes]
    return Text.assemble((one_line(wording.headline(matrix), 400), "bold magenta"), *(f"\n{one_line(line, 900)}" for line in lines))


def matrix_table(matrix: Matrix) -> Table:
    """One row a finding, one column a cell: mean difference ± standard deviation over its runs, in points, and how many found it."""
    table = titled_table("Findings, in points")
    table.add_column("a text …")
    cells = matrix.cells[:_MOST_CELLS]
    for cell in cells:
        runs = "" if len(cell.runs) == 1 else f" ({len(cell.runs)} runs)"
        table.add_column(Text(f"{one_line(cell.label, 40)}{runs}"), justify="right")
    for row in matrix.leaders[:_MOST_ROWS]:
        spreads = [row.over(cell) for cell in cells]
        texts = [
            Text.assemble((wording.size_cell(spread), "bold" if spread.held else "dim"), f"\n{wording.found_cell(spread, len(cell.runs))}")
            for spread, cell in zip(spreads, cells, strict=True)
        ]
        alike = f"\nand {len(row.alike)} alike" if row.alike else ""
        table.add_row(Text.assemble(one_line(row.statement), (alike, "dim")), *texts)
    left = [
        f"{len(whole) - most:,} more {what}"
        for whole, most, what in ((matrix.leaders, _MOST_ROWS, "findings"), (matrix.cells, _MOST_CELLS, "cells"))
        if len(whole) > most
    ]
    if left:
        table.caption = Text(f"{' and '.join(left)}: see matrix.html.")
    elif not matrix.rows:
        table.caption = Text("No run validated anything.")
    return table


def sources_table(matrix: Matrix) -> Table | None:
    """Where the variation comes from, one column a set of runs; None where no shares are known."""
    told = [(one, one.shares) for one in matrix.sources[:_MOST_CELLS] if one.shares is not None]
    if not told:
        return None
    table = titled_table("What the sizes vary with")
    table.add_column("")
    for one, _ in told:
        table.add_column(Text(one_line(one.label, 40)), justify="right")
    names = dict.fromkeys(name for _, shares in told for name in shares.sources)
    for name in names:
        table.add_row(
            wording.source(name),
            *(_share(shares, name) for _, shares in told),
        )
    return table


def _share(shares: VarianceShares, name: str) -> str:
    if name not in shares.sources:
        return wording.BLANK
    share, interval = wording.share_cells(shares.sources[name])
    return f"{share} [{interval}]" if interval else share
