"""Which finding happens where: findings down, kinds of prompts across, as a table of differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_interventions.report import wording
from auto_interventions.report.plain import one_line, visible

_MOST_FINDINGS, _MOST_STRATA = 20, 10
_SHADES = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """A difference in points; `shade`: "up-1" … "up-5" (more in the intervention), "down-1" … "down-5", "" where it is not clear."""

    points: str
    shade: str


@dataclass(frozen=True, slots=True)
class Grid:
    """`rows`: (id of the finding, sentence, a cell a stratum, or one for all that are alike); `left_out`: findings and
    strata that have no place in it."""

    strata: list[str]
    rows: list[tuple[str, str, list[Cell]]]
    left_out: tuple[int, int]


def grid(held: Sequence[Mapping[str, Any]]) -> Grid | None:
    """The table of validated findings; None where there is nothing to compare. Strata with the most prompts come first."""
    prompts: dict[str, int] = {}
    for finding in held:
        for stratum in finding.get("strata") or ():
            prompts[stratum["stratum"]] = max(prompts.get(stratum["stratum"], 0), int(stratum.get("prompts") or 0))
    if len(held) < 2 or len(prompts) < 2:
        return None
    names = sorted(prompts, key=lambda name: (-prompts[name], name))[:_MOST_STRATA]
    shown = held[:_MOST_FINDINGS]
    largest = max((abs(stratum["difference"]) for finding in shown for stratum in finding.get("strata") or ()), default=0.0)
    rows = [
        (visible(finding["id"], 80), one_line(" ".join(wording.claim(finding)), 90), _cells(finding, names, largest)) for finding in shown
    ]
    return Grid([one_line(name, 30) for name in names], rows, (len(held) - len(shown), len(prompts) - len(names)))


def _cells(finding: Mapping[str, Any], names: Sequence[str], largest: float) -> list[Cell]:
    own = {stratum["stratum"]: stratum for stratum in finding.get("strata") or ()}
    cells = [_cell(own[name], finding, largest) if name in own else Cell("", "") for name in names]
    return cells[:1] if len(set(cells)) == 1 and cells[0].points else cells


def _cell(stratum: Mapping[str, Any], finding: Mapping[str, Any], largest: float) -> Cell:
    difference = float(stratum["difference"])
    if not wording.is_clear(stratum, finding) or not largest:
        return Cell(wording.points(difference), "")
    strength = min(_SHADES, 1 + int(_SHADES * abs(difference) / largest))
    return Cell(wording.points(difference), f"{'up' if difference > 0 else 'down'}-{strength}")
