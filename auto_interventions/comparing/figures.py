"""The one picture of a comparison: what the active run cost and what it kept, as shares of the exhaustive run."""

from __future__ import annotations

import math
from typing import Any

from auto_interventions.comparing import wording
from auto_interventions.comparing.comparison import Comparison
from auto_interventions.report.drawing import BASE, INK, INTERVENTION, PAPER, Drawing, altair, draw, row_grid, steps_to, values

_ROW = 46
_LEAST = 1e-5  # share below which a dot stays at the edge


def picture(comparison: Comparison, *, narrow: bool) -> Drawing:
    """Two panels, one scale each: costs from 100% downwards (logarithmic), what was kept from 0 to 100%."""
    costs, kept = cost_rows(comparison), kept_rows(comparison)
    alt = altair()
    panels = [
        _panel(costs, "cost, as a share of the exhaustive run’s", True, narrow),
        _panel(kept, "kept of the exhaustive run’s", False, narrow),
    ]
    panels = [panel for panel, rows in zip(panels, (costs, kept), strict=True) if rows]
    chart = alt.vconcat(*panels, spacing=34) if narrow else alt.hconcat(*panels, spacing=56)
    text = " ".join(f"{row['label']}." for row in [*costs, *kept])
    return draw(chart, f"compare-{'narrow' if narrow else 'wide'}", "What the active run cost and kept, beside the exhaustive run", text)


def cost_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Rows {row, label, share, ceiling, start} of what both runs spent."""
    found = [cost for cost in (*comparison.costs.totals, comparison.costs.seconds) if cost.ratio is not None and cost.exhaustive > 0]
    return [
        {
            "row": number,
            "label": f"{cost.name}: {wording.amount_cell(cost.name, cost.active)} instead of "
            f"{wording.amount_cell(cost.name, cost.exhaustive)}, {wording.ratio_cell(cost)}",
            "share": max(_LEAST, cost.active / cost.exhaustive),
            "ceiling": 1.0,
            "start": 1.0,
        }
        for number, cost in enumerate(found)
    ]


def kept_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Rows {row, label, share, ceiling, start} of what the active run kept; ceiling: what clustering again with another seed keeps."""
    rows: list[dict[str, Any]] = []
    findings, clusters = comparison.findings, comparison.clusters
    large = findings.of_interest
    for name, own in ((f"findings of {wording.of_interest(findings)} or more", large), ("findings of any size", findings)):
        if own.share is not None:
            label = f"{name}: {own.kept:,} of {len(own.exhaustive):,}"
            rows.append({"label": label, "share": own.share, "ceiling": 1.0})
    if clusters is not None:
        kept, ceiling = clusters.kept(clusters.active), clusters.kept(clusters.again)
        for key, name in wording.QUALITIES.items():
            share, most = kept[key], ceiling[key]
            if share is not None and most is not None:
                label = f"clusters: {name} {wording.share_cell(share)} (ceiling {wording.share_cell(most)})"
                rows.append({"label": label, "share": share, "ceiling": most})
    return [{**row, "start": 0.0, "row": number} for number, row in enumerate(rows)]


def _panel(rows: list[dict[str, Any]], title: str, logarithmic: bool, narrow: bool) -> Any:
    alt = altair()
    data = values(rows)
    least = min((min(row["share"], row["ceiling"]) for row in rows), default=0.0)
    most = max((max(row["share"], row["ceiling"]) for row in rows), default=1.0)
    if logarithmic:
        places = [10.0**power for power in range(math.floor(math.log10(max(least, _LEAST))), math.floor(math.log10(max(1.0, most))) + 1)]
        scale = alt.Scale(type="log", domain=[min(places[0], 0.1), max(1.0, most)], nice=False)
    else:
        scale = alt.Scale(domain=[min(0.0, least), max(1.0, most)], nice=False)
        places = steps_to(max(1.0, most), 5)
    axis = alt.Axis(format="~%", values=places, title=title, titleAnchor="start", orient="top", grid=False)
    x = alt.X("share:Q", scale=scale, axis=axis)
    y = alt.Y("row:O", axis=None, scale=alt.Scale(paddingOuter=0.1))
    common = alt.Chart(data)
    layers = [
        row_grid(len(rows), places, scale, y),
        common.mark_rule(color=INTERVENTION, strokeWidth=7, opacity=0.22, yOffset=10).encode(y=y, x=x, x2="start:Q"),
        common.mark_point(color=BASE, fill=PAPER, size=85, strokeWidth=2.4, opacity=1, yOffset=10).encode(
            y=y, x=alt.X("ceiling:Q", scale=scale)
        ),
        common.mark_point(color=INTERVENTION, filled=True, size=105, opacity=1, yOffset=10).encode(y=y, x=x),
        common.mark_text(color=INK, align="left", baseline="middle", fontSize=12 if narrow else 13, yOffset=-9).encode(
            y=y, x=alt.value(0), text="label:N"
        ),
    ]
    return alt.layer(*layers).properties(width=300 if narrow else 400, height=_ROW * max(1, len(rows)))
