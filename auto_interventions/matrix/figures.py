"""The one picture of a matrix: each finding's difference in every run."""

from __future__ import annotations

from typing import Any

from auto_interventions.matrix import wording
from auto_interventions.matrix.table import Matrix
from auto_interventions.report.drawing import (
    BASE,
    INK,
    INTERVENTION,
    PAPER,
    QUIET,
    Drawing,
    altair,
    differences_axis,
    draw,
    row_grid,
    values,
)
from auto_interventions.report.plain import one_line

_MOST_ROWS = 14
_ROW = 44
_COLOURS = (INTERVENTION, BASE, INK)  # more cells than these are not told apart here: the table does


def picture(matrix: Matrix, *, narrow: bool) -> Drawing | None:
    """A row a finding, a dot a run: filled where that run validated it, a line at the mean of each cell. None without findings."""
    dots, means, labels = _marks(matrix, 40 if narrow else 80)
    if not dots:
        return None
    alt = altair()
    most = max(0.05, *(abs(dot["x"]) for dot in dots))
    places, scale, axis = differences_axis(most)
    y = alt.Y("row:O", axis=None, scale=alt.Scale(paddingOuter=0.1))
    x = alt.X("x:Q", scale=scale, axis=axis)
    colour = alt.Color("colour:N", scale=None, legend=None)
    dot = alt.Chart(values(dots))
    layers = [
        row_grid(len(labels), places, scale, y),
        alt.Chart(values(means)).mark_tick(thickness=3, size=22, opacity=0.55, yOffset=10).encode(y=y, x=x, color=colour),
        dot.transform_filter("!datum.held")
        .mark_point(fill=PAPER, size=55, strokeWidth=1.8, yOffset=10)
        .encode(y=y, x=x, stroke=alt.Stroke("colour:N", scale=None, legend=None)),
        dot.transform_filter("datum.held").mark_point(filled=True, size=70, opacity=0.8, yOffset=10).encode(y=y, x=x, color=colour),
        alt.Chart(values(labels))
        .mark_text(color=INK, align="left", baseline="middle", fontSize=12 if narrow else 13, yOffset=-9)
        .encode(y=y, x=alt.value(0), text="label:N"),
    ]
    chart = alt.layer(*layers).properties(width=320 if narrow else 720, height=_ROW * len(labels))
    said = " ".join(f"{label['label']}: {label['said']}." for label in labels)
    return draw(chart, f"matrix-{'narrow' if narrow else 'wide'}", "Each finding’s difference in every run", said)


def legend(matrix: Matrix) -> list[tuple[str, str]]:
    """(class of the dot, label) of each cell; empty where colours do not tell cells apart."""
    if not 1 < len(matrix.cells) <= len(_COLOURS):
        return []
    return [(style, one_line(cell.label, 60)) for style, cell in zip(("intervention", "base filled", "ink"), matrix.cells, strict=False)]


def _marks(matrix: Matrix, longest: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Dots (a run's value), ticks (a cell's mean, where it has several runs), labels."""
    rows = matrix.leaders[:_MOST_ROWS]
    several = 1 < len(matrix.cells) <= len(_COLOURS)
    dots: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        for place, cell in enumerate(matrix.cells):
            colour = _COLOURS[place] if several else INTERVENTION if len(matrix.cells) == 1 else QUIET
            own = [row.values[run] for run in cell.runs]
            dots += [
                {"row": number, "x": value.difference, "held": value.status == "validated", "colour": colour}
                for value in own
                if value.difference is not None
            ]
            spread = row.over(cell)
            if spread.mean is not None and spread.runs > 1:
                means.append({"row": number, "x": spread.mean, "colour": colour})
        said = "; ".join(f"{cell.label} {wording.size_cell(row.over(cell))}" for cell in matrix.cells)
        labels.append({"row": number, "label": one_line(row.statement, longest), "said": one_line(said, 300)})
    return dots, means, labels
