"""The one picture of a diff: each finding's difference in A and in B."""

from __future__ import annotations

from typing import Any

from auto_interventions.diffing import wording
from auto_interventions.diffing.changes import Diff
from auto_interventions.report.drawing import BASE, INK, INTERVENTION, PAPER, Drawing, altair, differences_axis, draw, row_grid, values
from auto_interventions.report.plain import one_line

_MOST_ROWS = 14
_ROW = 44


def picture(diff: Diff, *, narrow: bool) -> Drawing | None:
    """A row a sentence: from A (hollow) to B (filled), in points; faint where they cannot be told apart. None where there is none."""
    rows = _rows(diff, 40 if narrow else 80)
    if not rows:
        return None
    alt = altair()
    most = max(0.05, *(abs(row[side]) for row in rows for side in ("a", "b")))
    places, scale, axis = differences_axis(most)
    y = alt.Y("row:O", axis=None, scale=alt.Scale(paddingOuter=0.1))
    x, common = alt.X("a:Q", scale=scale, axis=axis), alt.Chart(values(rows))
    shade = alt.Opacity("shade:Q", scale=None)
    layers = [
        row_grid(len(rows), places, scale, y),
        common.mark_rule(color=INTERVENTION, strokeWidth=5, yOffset=10).encode(
            y=y, x=x, x2="b:Q", opacity=alt.Opacity("faint:Q", scale=None)
        ),
        common.mark_point(color=BASE, fill=PAPER, size=80, strokeWidth=2.2, yOffset=10).encode(y=y, x=x, opacity=shade),
        common.mark_point(color=INTERVENTION, filled=True, size=100, yOffset=10).encode(y=y, x=alt.X("b:Q", scale=scale), opacity=shade),
        common.mark_text(color=INK, align="left", baseline="middle", fontSize=12 if narrow else 13, yOffset=-9).encode(
            y=y, x=alt.value(0), text="label:N"
        ),
    ]
    chart = alt.layer(*layers).properties(width=320 if narrow else 720, height=_ROW * len(rows))
    said = " ".join(f"{row['label']}: {wording.size_cell(row['a'])} in A, {wording.size_cell(row['b'])} in B." for row in rows)
    return draw(chart, f"diff-{'narrow' if narrow else 'wide'}", "Each finding’s difference in A and in B", said)


def _rows(diff: Diff, longest: int) -> list[dict[str, Any]]:
    shown = [change for change in diff.changes if (change.told or any(change.validated)) and None not in (change.one, change.other)]
    return [
        {
            "row": number,
            "label": f"{one_line(change.statement, longest)} · {change.kind}",
            "a": change.one,
            "b": change.other,
            "shade": 1.0 if change.told else 0.45,
            "faint": 0.3 if change.told else 0.12,
        }
        for number, change in enumerate(shown[:_MOST_ROWS])
    ]
