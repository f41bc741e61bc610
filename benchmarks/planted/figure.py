"""The figure of docs/benchmarks.md: texts to recover 95% of the plants, by effect and prevalence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from auto_interventions.report.drawing import altair, draw, values
from benchmarks.planted.tables import Rows, summary

# The page's variables have no meaning in a file of its own; greys that can be read on white and on black.
_COLOURS = {"var(--ink)": "#888", "var(--quiet)": "#888", "var(--rule)": "#8885", "var(--paper)": "none"}
_PANELS = ["all prompts", "10% of the prompts", "2% of the prompts"]
_SERIES = {"exhaustive": "#c2703d", "active": "#2f7fb8", "oracle": "#999999"}


def draw_figure(rows: Rows, path: Path, seeds: int, strata: int = 100) -> None:
    """Writes the figure of finished audits as SVG."""
    draw_points(_points(rows, seeds, strata), path)


def draw_points(points: list[dict[str, object]], path: Path) -> None:
    """Writes the figure as SVG: one panel a prevalence, a dot a kind, a line through the medians.

    Args:
        points: `kind`, `effect` (points), `affected` (`affected_words`), `method` (active, exhaustive, oracle) and `texts` of each.
    """
    alt = altair()
    scale = alt.Scale(domain=list(_SERIES), range=list(_SERIES.values()))
    colour = alt.Color("method:N", scale=scale, legend=alt.Legend(title=None, orient="top", labelColor="#888"))
    x = alt.X("effect:Q", title="effect, points", scale=alt.Scale(type="log"), axis=alt.Axis(values=[2, 5, 10, 20, 40], grid=False))
    y = alt.Y("texts:Q", title="texts", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", values=[10, 100, 1_000, 10_000, 100_000]))
    dots = alt.Chart().mark_circle(size=34, opacity=0.6).encode(x=x, y=y, color=colour)
    lines = alt.Chart().mark_line(strokeWidth=2).encode(x=x, y=alt.Y("median(texts):Q", title="texts"), color=colour)
    panels: Any = alt.layer(dots, lines, data=values(points)).properties(width=190, height=220)
    chart = panels.facet(column=alt.Column("affected:N", title=None, sort=_PANELS, header=alt.Header(labelColor="#888")))
    title = "Texts needed to recover a planted difference"
    text = (
        "For each effect and share of affected prompts: texts of an exhaustive audit, of an active one, and of an oracle. Lower is better."
    )
    write_alone(chart, "planted", title, text, path)


def write_alone(chart: Any, name: str, title: str, text: str, path: Path) -> None:
    """Writes a chart that the report's style sheet would colour as a file of its own."""
    svg = str(draw(chart, name, title, text).svg)
    for variable, plain in _COLOURS.items():
        svg = svg.replace(variable, plain)
    svg = svg.replace("<svg ", '<svg font-family="sans-serif" ', 1)  # the page's style sheet is not there to give one
    path.write_text(svg + "\n", encoding="utf-8")


def affected_words(prevalence: float) -> str:
    """The name of a panel."""
    return "all prompts" if prevalence == 1 else f"{prevalence:.0%} of the prompts"


def _points(rows: Rows, seeds: int, strata: int) -> list[dict[str, object]]:
    points: list[dict[str, object]] = []
    for line in summary([row for row in rows if row["strata"] == strata], "active", seeds):
        cell = line.cell
        found = {
            "active": line.reached.texts if line.reached else math.nan,
            "exhaustive": line.exhaustive.texts if line.exhaustive else math.nan,
            "oracle": line.oracle or math.nan,
        }
        affected = affected_words(cell.prevalence)
        points += [
            {"kind": cell.kind, "effect": 100 * cell.effect, "affected": affected, "method": method, "texts": texts}
            for method, texts in found.items()
            if math.isfinite(texts)
        ]
    return points
