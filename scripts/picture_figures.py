"""Draws the plots of docs/choosing.md, docs/other-tools.md and docs/benchmarks.md from the tables of docs/benchmarks.md:
`.venv/bin/python scripts/picture_figures.py`. Every number in them stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auto_interventions.report.drawing import altair, values

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.planted.figure import affected_words, draw_points, write_alone  # noqa: E402

DOCS = REPOSITORY / "docs"
TABLE = re.compile(r"(?:^\|.*\n)+", flags=re.MULTILINE)
OURS, OTHER = "#2f7fb8", "#c2703d"
AFFECTED = {"100%": "all prompts affected", "10%": "a tenth of them", "2%": "one in fifty"}
METHODS = {
    "active": "this",
    "exhaustive": "fixed sample",
    "kmeans": "clusters + Fisher",
    "logodds": "log-odds words",
    "bertopic": "BERTopic topics",
}


def table(heading: str) -> list[dict[str, str]]:
    """The first table below a heading of docs/benchmarks.md, a dict a row."""
    below = (DOCS / "benchmarks.md").read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2]
    found = TABLE.search(below)
    if found is None:
        raise SystemExit(f"docs/benchmarks.md has no table under “{heading}”")
    names, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def texts_needed() -> Any:
    """Texts of an active audit by effect, a panel for each share of affected prompts, a dot for each kind of change."""
    alt = altair()
    rows = [
        {
            "affected": AFFECTED[row["affected"]],
            "effect": f"{row['effect'].rstrip('%')} points",
            "texts": int(row["active"].strip("> ").replace(",", "")),
            "kind": "a meaning" if row["kind"] == "meaning" else "a word, phrase, format, length or order",
            "shape": "not found up to here" if row["active"].startswith(">") else "found in 95% of the seeds",
        }
        for row in table("100 strata")
    ]
    legend = {"title": None, "orient": "bottom", "labelLimit": 300, "labelFontSize": 12, "labelColor": "#888", "symbolSize": 70}
    missed = alt.Legend(**legend, values=["not found up to here"])
    x_axis = alt.Axis(values=[300, 1_000, 3_000, 10_000, 30_000], format=",", title="texts of both models together", titleAnchor="start")
    scale = alt.Scale(type="log", domain=[220, 90_000], nice=False)
    points = alt.Chart().mark_point(size=70, strokeWidth=2, opacity=0.9)
    panel = points.encode(
        x=alt.X("texts:Q", scale=scale, axis=x_axis),
        y=alt.Y("effect:N", sort=[f"{effect} points" for effect in (40, 20, 10, 5, 2)], axis=alt.Axis(title=None, grid=True)),
        color=alt.Color("kind:N", legend=alt.Legend(**legend), sort="descending", scale=alt.Scale(range=[OURS, OTHER])),
        shape=alt.Shape("shape:N", legend=missed, scale=alt.Scale(range=["circle", "triangle-right"])),
    )
    header = alt.Header(
        title=None, labelFontSize=13, labelAnchor="start", labelColor="#888", labelOrient="top", labelAngle=0, labelPadding=-12
    )
    facet = alt.Row("affected:N", sort=list(AFFECTED.values()), header=header, title=None)
    return (
        alt.layer(panel, data=values(rows))
        .properties(width=560, height=alt.Step(24))
        .facet(row=facet, spacing=16)
        .resolve_scale(y="independent")
    )


def beside_the_others() -> list[dict[str, object]]:
    """Texts of both kinds of audits and the oracle's, a point each (`benchmarks.planted.figure`); what was not reached has none."""
    return [
        {
            "kind": row["kind"],
            "effect": float(row["effect"].rstrip("%")),
            "affected": affected_words(float(row["affected"].rstrip("%")) / 100),
            "method": method,
            "texts": float(row[method].replace(",", "")),
        }
        for row in table("100 strata")
        for method in ("active", "exhaustive", "oracle")
        if not row[method].startswith(">")
    ]


def at_equal_texts() -> Any:
    """Share of the seeds in which each method named the planted difference, a column a method."""
    alt = altair()
    rows = [
        {"kind": row["kind"], "method": method, "share": float(row[name].rstrip("%")) / 100, "label": row[name]}
        for row in table("At equal texts")
        for name, method in METHODS.items()
    ]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    y = alt.Y("kind:N", sort=kinds, axis=alt.Axis(title=None, grid=False, labelFontSize=13))
    x = alt.X("share:Q", scale=alt.Scale(domain=[0, 1.35]), axis=None)
    colour = alt.condition("datum.method == 'this'", alt.value(OURS), alt.value(OTHER))
    bars = alt.Chart().mark_bar(height=13).encode(x=x, y=y, color=colour)
    labels = alt.Chart().mark_text(align="left", dx=5, fontSize=12, color="#888").encode(x=x, y=y, text="label:N")
    header = alt.Header(title=None, labelFontSize=13, labelAnchor="start", labelColor="#888")
    facet = alt.Column("method:N", sort=list(METHODS.values()), header=header, title=None)
    return alt.layer(bars, labels, data=values(rows)).properties(width=112, height=132).facet(column=facet, spacing=14)


def main() -> None:
    """Writes all three."""
    draw_points(beside_the_others(), DOCS / "planted.svg")
    plots: dict[str, tuple[Callable[[], Any], str, str]] = {
        "choosing-texts": (texts_needed, "Texts that an active audit needed", "By effect, share of affected prompts, and kind of change."),
        "equal-texts": (at_equal_texts, "Planted differences recovered at equal texts", "By kind of difference and by method."),
    }
    for name, (plot, title, text) in plots.items():
        write_alone(plot(), name, title, text, DOCS / "images" / f"{name}.svg")


if __name__ == "__main__":
    main()
