"""The pictures of a report. Each takes plain rows and gives a drawing, or None where there is nothing to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auto_interventions.report import wording
from auto_interventions.report.drawing import BASE, INK, INTERVENTION, PAPER, QUIET, Drawing, altair, draw, hint, row_grid, steps_to, values
from auto_interventions.report.plain import one_line

Row = Mapping[str, Any]
_MOST_ROWS = 12
_LABELLED = 5
_MOST_PANELS = 12
_NAMED = 10  # strata on their map
_LABEL_COLUMN = 345  # pixels
_SPREADING_STEPS = 60


def effects(findings: Sequence[Row], alpha: float, *, narrow: bool) -> Drawing | None:
    """Base → intervention rate of each finding, with the interval of the difference laid from the base's rate."""
    if not findings:
        return None
    alt = altair()

    rows = [_effect_row(finding, number, narrow) for number, finding in enumerate(findings[:_MOST_ROWS])]
    data, height = values(rows), (54 if narrow else 40)
    order = alt.Y("row:O", axis=None, scale=alt.Scale(paddingOuter=0.1))
    largest = max(max(row["base"], row["intervention"], row["high"]) for row in rows)
    reach = min(1.0, 1.14 * largest + 0.01)
    scale, places = alt.Scale(domain=[0, reach], nice=False), steps_to(reach, 5 if narrow else 6)
    axis = alt.Axis(format="~%", values=places, title="share of texts", titleAnchor="start", orient="top", grid=not narrow)
    x = alt.X("base:Q", scale=scale, axis=axis)
    common = alt.Chart(data)
    down = 12 if narrow else 0
    layers = [
        *([row_grid(len(rows), places, scale, order, down)] if narrow else []),
        common.mark_rule(color=INTERVENTION, strokeWidth=9, opacity=0.22, yOffset=down).encode(
            y=order, x=alt.X("low:Q", scale=scale), x2="high:Q"
        ),
        common.mark_rule(color=QUIET, strokeWidth=1.5, yOffset=down).encode(y=order, x=x, x2="intervention:Q"),
        common.mark_point(color=BASE, fill=PAPER, size=85, strokeWidth=2.4, opacity=1, yOffset=down).encode(y=order, x=x),
        common.mark_point(color=INTERVENTION, filled=True, size=105, opacity=1, yOffset=down).encode(y=order, x="intervention:Q"),
        common.mark_text(color=INK, align="left", baseline="middle", dx=10, fontSize=13, yOffset=down).encode(
            y=order, x="end:Q", text="points:N"
        ),
        _labels(common, order, narrow),
    ]
    chart = alt.layer(*layers).properties(width=310 if narrow else 560, height=height * len(rows))
    text = " ".join(f"{row['label']}: {wording.percent(row['base'])} to {wording.percent(row['intervention'])} of texts." for row in rows)
    title = f"Share of texts that show each confirmed difference, base and intervention, with {wording.level(alpha)} intervals"
    return draw(chart, f"effects-{'narrow' if narrow else 'wide'}", title, text)


def _effect_row(finding: Row, number: int, narrow: bool) -> dict[str, Any]:
    known = wording.size_known(finding)
    base, (low, high) = finding["base_rate"], finding["interval"] if known else (0.0, 0.0)
    bounded = [min(1.0, max(0.0, base + bound)) for bound in (low, high)]
    return {
        "row": number,
        "label": one_line(finding["statement"], 38 if narrow else 42),
        "points": wording.points(finding["difference"]) if known else "size not known",
        "base": base,
        "intervention": finding["intervention_rate"],
        "low": bounded[0],
        "high": bounded[1],
        "end": max(base, *bounded) if known else max(base, finding["intervention_rate"]),
    }


def _labels(common: Any, order: Any, narrow: bool) -> Any:
    alt = altair()

    if narrow:
        return common.mark_text(align="left", baseline="middle", color=INK, fontSize=13, yOffset=-9).encode(
            y=order, x=alt.value(0), text="label:N"
        )
    # Left-aligned in a column of its own: the reader's font may be wider than the one that the drawing was measured with.
    return common.mark_text(align="left", baseline="middle", color=INK, fontSize=14).encode(
        y=order, x=alt.value(-_LABEL_COLUMN), text="label:N"
    )


def decided_after(rounds: Sequence[Row], alpha: float) -> int | None:
    """After how many texts the exploring evidence first reached 1/alpha."""
    return next((int(one["texts"]) for one in rounds if one["log_e_overall"] >= -math.log(alpha)), None)


def evidence_rounds(rounds: Sequence[Row], strata: Sequence[str], alpha: float, *, narrow: bool) -> Drawing | None:
    """Evidence against "no difference" as texts were drawn, overall and in each stratum, the line of decision, and when it was crossed."""
    if len(rounds) < 2:
        return None
    alt = altair()

    rows = _evidence_rows(rounds, strata)
    line = math.log10(1 / alpha)
    top = max(line * 1.25, *(row["evidence"] for row in rows))
    bottom = min(0.0, *(row["evidence"] for row in rows))
    x = alt.X("texts:Q", title="texts drawn", axis=alt.Axis(tickCount=5, grid=False, format=",.0f"))
    bottom = max(bottom, -2.5)
    axis = alt.Axis(title="evidence", values=_ticks(bottom, top), labelExpr=_POWER_LABEL)
    y = alt.Y("evidence:Q", scale=alt.Scale(domain=[bottom, top * 1.04], nice=False, clamp=True), axis=axis)
    own = alt.Chart(values([row for row in rows if row["name"]]))
    whole = alt.Chart(values([row for row in rows if not row["name"]]))
    rule = alt.Chart(values([{"y": line, "text": f"{1 / alpha:.3g} to 1: enough to report"}]))
    layers = [
        own.mark_line(color=QUIET, strokeWidth=1, opacity=0.55).encode(x=x, y=y, detail="name:N", description="hint:N"),
        rule.mark_rule(color=INK, strokeDash=[4, 4], strokeWidth=1).encode(y="y:Q"),
        whole.mark_line(color=INTERVENTION, strokeWidth=2.6).encode(x=x, y=y),
        whole.mark_point(color=INTERVENTION, filled=True, size=42, opacity=1).encode(x=x, y=y, description="hint:N"),
        rule.mark_text(color=INK, align="right", baseline="bottom", dy=-4, fontSize=12, fontWeight="bold").encode(
            y="y:Q", x=alt.value("width"), text="text:N"
        ),
    ]
    decided = decided_after(rounds, alpha)
    if decided is not None:
        moment = alt.Chart(values([{"texts": decided, "text": f"decided: {decided:,} texts"}]))
        late = decided > rounds[-1]["texts"] / 2  # then its words stand before it
        layers[2:2] = [
            moment.mark_rule(color=INK, strokeWidth=1).encode(x="texts:Q"),
            moment.mark_text(
                color=INK, align="right" if late else "left", baseline="top", dx=-6 if late else 6, fontSize=12, fontWeight="bold"
            ).encode(x="texts:Q", y=alt.value(0), text="text:N"),
        ]
    chart = alt.layer(*layers).properties(width=255 if narrow else 820, height=210 if narrow else 280)
    last = rounds[-1]
    text = f"After {last['texts']:,} texts the evidence is {wording.odds(last['log_e_overall'])}; the line is at {1 / alpha:.3g} to 1."
    return draw(chart, f"evidence-{'narrow' if narrow else 'wide'}", "Evidence that the models differ, as texts were drawn", text)


def strata_panels(rounds: Sequence[Row], strata: Sequence[Row], alpha: float, *, narrow: bool) -> Drawing | None:
    """Evidence in each stratum as texts were drawn, a small panel each, the strongest first. `strata`: rows of strata.parquet."""
    if len(rounds) < 2 or len(strata) < 2:
        return None
    alt = altair()

    names = [str(stratum["stratum"]) for stratum in strata]
    differ = {name: bool(stratum["divergent"]) for name, stratum in zip(names, strata, strict=True)}
    last = {name: float(stratum["log_e"]) for name, stratum in zip(names, strata, strict=True)}
    order = sorted(names, key=lambda name: (-last[name], name))[:_MOST_PANELS]
    titles = {name: f"{number + 1}. {one_line(name, 18 if narrow else 24) or '?'}" for number, name in enumerate(order)}
    line = math.log10(1 / alpha)
    own: list[dict[str, Any]] = [
        {"panel": titles[name], "texts": one["texts"], "evidence": max(_log10(one["log_e"]), -2.5), "differ": differ[name], "line": line}
        for one in _stratum_rows(rounds, names)
        if (name := one["name"]) in titles
    ]
    top, bottom = max(line * 1.25, *(row["evidence"] for row in own)), min(0.0, *(row["evidence"] for row in own))
    axis = alt.Axis(title=None, values=_ticks(bottom, top)[:: 2 if narrow else 1], labelExpr=_SHORT_POWER_LABEL)
    y = alt.Y("evidence:Q", scale=alt.Scale(domain=[bottom, top * 1.04], nice=False, clamp=True), axis=axis)
    x = alt.X("texts:Q", title=None, axis=alt.Axis(tickCount=2, grid=False, format=",.0f"))
    colour = alt.Color("differ:N", legend=None, scale=alt.Scale(domain=[True, False], range=[INTERVENTION, QUIET]))
    common = alt.Chart()
    layers = [
        common.mark_rule(color=INK, strokeDash=[3, 3], strokeWidth=1).encode(y="mean(line):Q"),
        common.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour),
    ]
    header = alt.Header(title=None, labelColor=INK, labelFontSize=12, labelAnchor="start", labelPadding=4)
    facet = alt.Facet("panel:N", sort=[titles[name] for name in order], header=header)
    panels = alt.layer(*layers, data=values(own)).properties(width=120 if narrow else 178, height=64)
    chart = panels.facet(facet=facet, columns=2 if narrow else 4, spacing=18)
    text = " ".join(f"{name}: {wording.odds(last[name])}{', they differ' if differ[name] else ''}." for name in order)
    return draw(
        chart, f"panels-{'narrow' if narrow else 'wide'}", "Evidence in each kind of prompt, as texts were drawn", one_line(text, 2_000)
    )


def _stratum_rows(rounds: Sequence[Row], names: Sequence[str]) -> list[dict[str, Any]]:
    start: Row = {"texts": 0, "log_e_strata": [0.0] * len(names)}
    return [
        {"name": name, "texts": one["texts"], "log_e": log_e}
        for one in (start, *rounds)
        for name, log_e in zip(names, one["log_e_strata"], strict=False)
    ]


def _evidence_rows(rounds: Sequence[Row], strata: Sequence[str]) -> list[dict[str, Any]]:
    start: Row = {"texts": 0, "log_e_overall": 0.0, "log_e_strata": [0.0] * len(rounds[0]["log_e_strata"])}
    rows: list[dict[str, Any]] = []
    for one in (start, *rounds):
        overall = one["log_e_overall"]
        said = hint(f"after {one['texts']:,} texts: {wording.odds(overall)}")
        rows.append({"name": "", "texts": one["texts"], "evidence": _log10(overall), "hint": said})
        for index, log_e in enumerate(one["log_e_strata"]):
            name = strata[index] if index < len(strata) else f"stratum {index + 1}"
            rows.append(
                {"name": one_line(name, 40) or "?", "texts": one["texts"], "evidence": _log10(log_e), "hint": hint(one_line(name, 60))}
            )
    return rows


def _log10(log_e: float | None) -> float:
    # A bettor may go broke (minus infinity): far below the axis is where that is.
    return max(-300.0, min(400.0, log_e / math.log(10))) if isinstance(log_e, int | float) and not math.isnan(log_e) else 0.0


def _ticks(bottom: float, top: float) -> list[int]:
    """Whole powers of ten, about five of them."""
    step = next((step for step in (1, 2, 5, 10, 20, 50) if (top - bottom) / step <= 6), 100)
    return [power for power in range(-2, math.floor(top) + 1) if power >= bottom and power % step == 0]


_DIGIT = "slice('⁰¹²³⁴⁵⁶⁷⁸⁹', {0}, {0} + 1)"
# A Vega expression: 0.1 … 10,000 as numbers, larger ones as powers of ten.
_POWER_LABEL = (
    "(datum.value <= 4 ? format(pow(10, datum.value), datum.value < 0 ? '~g' : ',.0f') : '10'"
    f" + (datum.value >= 100 ? {_DIGIT.format('floor(datum.value / 100)')} : '')"
    f" + (datum.value >= 10 ? {_DIGIT.format('floor(datum.value / 10) % 10')} : '')"
    f" + {_DIGIT.format('datum.value % 10')}) + ' to 1'"
)
_SHORT_POWER_LABEL = _POWER_LABEL.replace(" to 1", "").replace("datum.value <= 4", "datum.value <= 2")


def map_of_texts(points: Sequence[Row], landmarks: Sequence[Row]) -> Drawing | None:
    """Texts where their meanings lie, in the colours of the two models; `landmarks` are clusters {x, y, words} to name."""
    if not points:
        return None
    alt = altair()

    rows = [{key: point[key] for key in ("x", "y", "model")} for point in points]  # what each says is the script's to show
    x, y = _plane(rows)
    kinds = ["base", "intervention"]
    encode = {
        "x": x,
        "y": y,
        "stroke": alt.Stroke("model:N", legend=None, scale=alt.Scale(domain=kinds, range=[BASE, INTERVENTION])),
        "fill": alt.Fill("model:N", legend=None, scale=alt.Scale(domain=kinds, range=["transparent", INTERVENTION])),
    }
    layers = [alt.Chart(values(rows)).mark_point(size=24, strokeWidth=1.3, opacity=0.6).encode(**encode)]
    if landmarks:
        names = alt.Chart(values(list(landmarks[:_LABELLED])))
        layers.append(names.mark_text(color=INK, fontSize=15, fontWeight="bold").encode(x="x:Q", y="y:Q", text="words:N"))
    chart = alt.layer(*layers).properties(width=930, height=600)
    text = f"{len(rows):,} texts; texts that mean alike lie close together. Hollow circles: base; filled: intervention."
    return draw(chart, "map-texts", "Map of texts of both models", text)


def map_of_strata(strata: Sequence[Row]) -> Drawing | None:
    """Strata where their texts lie: as large as their prompts are many, as dark as the models can be told apart there."""
    rows: list[dict[str, Any]] = [
        {
            **stratum,
            "label": one_line(stratum["name"], 28) if number < _NAMED else "",  # those with the strongest evidence come first
            "hint": hint(f"{one_line(stratum['name'], 60)}: {wording.percent(stratum['pair_auc'])}"),
        }
        for number, stratum in enumerate(strata)
        if math.isfinite(stratum["x"]) and math.isfinite(stratum["y"])
    ]
    if len(rows) < 2:
        return None
    alt = altair()

    _spread(rows)
    x, y = _plane(rows, margin=0.22)
    common = alt.Chart(values(rows)).encode(x=x, y=y)
    size = alt.Size("prompts:Q", legend=None, scale=alt.Scale(rangeMin=120, rangeMax=900, zero=True))
    shade = alt.FillOpacity("pair_auc:Q", legend=None, scale=alt.Scale(domain=[0.5, 1.0], range=[0.05, 1.0], clamp=True))
    width = alt.StrokeWidth("divergent:N", legend=None, scale=alt.Scale(domain=[False, True], range=[1, 2.4]))
    circles = common.mark_point(fill=INTERVENTION, stroke=INTERVENTION, opacity=1).encode(
        size=size, fillOpacity=shade, strokeWidth=width, description="hint:N"
    )
    names = common.mark_text(color=INK, fontSize=12, dy=24).encode(text="label:N")
    chart = alt.layer(circles, names).properties(width=620, height=340)
    told = ", ".join(f"{row['label']} {wording.percent(row['pair_auc'])}" for row in rows)
    return draw(chart, "map-strata", "Map of strata (kinds of prompts)", f"How often the models are told apart: {told}.")


def _spread(rows: list[dict[str, Any]], width: float = 0.26, height: float = 0.24) -> None:
    """Moves rows apart that lie closer than a label's size, a little at a time and always in the same way; x and y become 0 … 1 or so."""
    for key in ("x", "y"):
        low, reach = min(row[key] for row in rows), max(row[key] for row in rows) - min(row[key] for row in rows)
        for row in rows:
            row[key] = (row[key] - low) / (reach or 1.0)
    for _ in range(_SPREADING_STEPS):
        for number, one in enumerate(rows):
            for other in rows[:number]:
                right, up = one["x"] - other["x"], one["y"] - other["y"]
                if abs(right) < width and abs(up) < height:
                    push = 0.25 * (height - abs(up)) * (1 if up >= 0 else -1)
                    one["y"], other["y"] = one["y"] + push, other["y"] - push


def _plane(rows: Sequence[Row], margin: float = 0.06) -> tuple[Any, Any]:
    """Axes that hold all rows, with a margin and without ink."""
    alt = altair()

    axes: list[Any] = []
    for kind, key in ((alt.X, "x"), (alt.Y, "y")):
        low, high = min(row[key] for row in rows), max(row[key] for row in rows)
        room = margin * (high - low) or 1.0
        axes.append(kind(f"{key}:Q", axis=None, scale=alt.Scale(domain=[low - room, high + room], nice=False, zero=False)))
    return axes[0], axes[1]
