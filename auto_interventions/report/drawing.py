"""An altair chart as inline SVG: drawn without a browser or a network, named for screen readers, coloured by the page's style sheet.

Colours in a chart are the page's CSS variables ("var(--base)"): they pass through Vega untouched, so that one drawing serves light,
dark and paper.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from typing import Any

from markupsafe import Markup

_SVG = "http://www.w3.org/2000/svg"
_HINT = "\u2060hint:"  # begins a mark's description that shall become its tooltip
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
INK, QUIET, RULE, PAPER = "var(--ink)", "var(--quiet)", "var(--rule)", "var(--paper)"
BASE, INTERVENTION = "var(--base)", "var(--intervention)"


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG element, ready to stand in the page. It was serialised from a parsed tree, so it holds no markup but its own."""

    svg: Markup


def hint(text: str) -> str:
    """Marks a description as the tooltip of its mark."""
    return _HINT + text


def draw(chart: Any, name: str, title: str, description: str) -> Drawing:
    """Draws an altair chart.

    Args:
        chart: any altair chart.
        name: unique in the page: identifiers in the SVG start with it.
        title: what it shows, for those who do not see it.
        description: what there is to see in it.
    """
    import vl_convert

    specification = _styled(chart).to_dict(validate=False)
    text = vl_convert.vegalite_to_svg(json.dumps(specification), allowed_base_urls=[])
    return Drawing(_inline(text, name, title, description))


def _styled(chart: Any) -> Any:
    text = {"labelColor": QUIET, "titleColor": QUIET, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    return (
        chart.properties(background="transparent")
        .configure(font="sans-serif", padding=2)
        .configure_view(stroke=None)
        .configure_axis(
            **text,
            gridColor=RULE,
            domain=False,
            ticks=False,
            tickColor=RULE,
            domainColor=RULE,
            labelPadding=6,
            titlePadding=8,
            labelLimit=260,
        )
    )


def _inline(text: str, name: str, title: str, description: str) -> Markup:
    ElementTree.register_namespace("", _SVG)
    # The text is vl-convert's, not a stranger's: what strangers wrote is escaped in it, and entities cannot be declared from there.
    root = ElementTree.fromstring(text)
    for element in root.iter():
        _clean(element, name)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    left, top, width, height = (float(part) for part in root.attrib["viewBox"].split())
    root.attrib["viewBox"] = f"{left:g} {top:g} {width:g} {height:g}"
    # Its natural size, so that text keeps its size; the style sheet lets it shrink.
    root.attrib.update(
        {"id": name, "width": f"{width:g}", "height": f"{height:g}", "role": "img", "aria-labelledby": f"{name}-title {name}-text"}
    )
    for position, (tag, value) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{'text' if tag == 'desc' else tag}"})
        element.text = value
        root.insert(position, element)
    serialised = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    return Markup(serialised.replace("<ns0:", "<").replace("</ns0:", "</"))


def _clean(element: ElementTree.Element, name: str) -> None:
    """Drops Vega's own roles and names (the picture has one), turns hints into tooltips, makes identifiers unique, shortens numbers."""
    attributes = element.attrib
    described = attributes.get("aria-label", "")
    for key in [key for key in attributes if key.startswith("aria-") or key in ("role", "font-family", "pointer-events")]:
        del attributes[key]
    if described.startswith(_HINT):
        tooltip = ElementTree.SubElement(element, f"{{{_SVG}}}title")
        tooltip.text = described.removeprefix(_HINT)
    for key, value in attributes.items():
        if key == "id":
            attributes[key] = f"{name}-{value}"
        elif value.startswith("url(#"):
            attributes[key] = value.replace("url(#", f"url(#{name}-")
        elif key in ("transform", "d", "x2", "y2"):
            attributes[key] = _NUMBER.sub(lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), value)


def row_grid(rows: int, places: Sequence[float], scale: Any, y: Any, down: int = 10) -> Any:
    """Grid lines for rows whose labels stand above their marks: a piece a row, `down` below its middle, where the marks are. Lines over the
    whole height would run through the labels. The one at 0 is the darker."""
    alt = altair()
    pieces = [{"row": row, "place": place, "colour": RULE if place else QUIET} for row in range(rows) for place in places]
    tick = alt.Chart(values(pieces)).mark_tick(thickness=1, size=24, opacity=1, yOffset=down)
    return tick.encode(y=y, x=alt.X("place:Q", scale=scale), color=alt.Color("colour:N", scale=None, legend=None))


def steps_to(most: float, count: int) -> list[float]:
    """Round places from 0 to `most`, `count` beside the 0 at most.

    >>> steps_to(0.43, 4), steps_to(0.05, 3), steps_to(1.0, 5), steps_to(70.0, 4)
    ([0.0, 0.1, 0.2, 0.3, 0.4], [0.0, 0.02, 0.04], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 20.0, 40.0, 60.0])
    """
    step = next(step for power in count_from(-2) for first in (1, 2, 5) if most / (step := first * 10.0**power) < count + 1)
    return [round(number * step, 2) for number in range(int(most / step + 1e-9) + 1)]


def differences_axis(most: float) -> tuple[list[float], Any, Any]:
    """(places, scale, axis) of differences up to `most` to either side, in points as the tables have them; lines are `row_grid`'s."""
    alt = altair()
    reach = 1.08 * most
    steps = steps_to(reach, 3)
    places = [-step for step in steps[:0:-1]] + steps
    # Both sides of 0 are named, each beside its own half: "+" alone does not say whose.
    title = "← more in base · points · more in intervention →"
    label = "datum.value == 0 ? '0' : format(100 * datum.value, '+~r')"
    axis = alt.Axis(values=places, labelExpr=label, title=title, orient="top", grid=False)
    return places, alt.Scale(domain=[-reach, reach], nice=False), axis


def altair() -> Any:
    """The module, imported when the first picture is drawn: that takes a second. Any, for its own types reject what it documents."""
    import altair as module

    return module


def values(rows: Sequence[Mapping[str, object]]) -> Any:
    """Rows as inline data of a chart."""
    return altair().Data(values=list(rows))
