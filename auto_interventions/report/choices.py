"""What the page's filters offer, and what of it each finding is.

Names of strata and of detectors may hold anything, so the page's attributes carry numbers and the names stand in the options alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.report.sentences import intent_of

_PROPOSERS = {"own": "you", "labeller": "language model"}
_INTENTS = {"intended": "intended", "side effect": "side effect", "unclear": "unclear"}
_MOST_STRATA = 200

Option = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of each filter as (value, label); a filter with fewer than two is not shown."""

    directions: list[Option]
    intents: list[Option]
    strata: list[Option]
    sources: list[Option]
    strata_names: dict[str, int]
    source_names: dict[str, int]

    def source_key(self, finding: Mapping[str, Any]) -> str:
        """The option of who proposed a finding."""
        return str(self.source_names.get(str(finding.get("source") or ""), ""))

    def clear_strata(self, finding: Mapping[str, Any]) -> list[int]:
        """The options of the strata on which a finding is clear."""
        own = [stratum["stratum"] for stratum in finding.get("strata") or () if wording.is_clear(stratum, finding)]
        return sorted(self.strata_names[name] for name in own if name in self.strata_names)


def choices(findings: Sequence[Mapping[str, Any]]) -> Choices:
    """What the findings of a run, those that did not hold among them, differ in."""
    held = [finding for finding in findings if finding["status"] == "validated"]
    strata = {stratum["stratum"] for finding in held for stratum in finding.get("strata") or () if wording.is_clear(stratum, finding)}
    strata_names = {name: number for number, name in enumerate(sorted(strata)[:_MOST_STRATA])}
    sources = sorted({str(finding.get("source") or "") for finding in findings} - {""})
    source_names = {name: number for number, name in enumerate(sources)}
    directions = {finding["more_in"] for finding in findings}
    intents = {intent_of(finding) for finding in held}
    return Choices(
        directions=[(side, often) for side, often in (("intervention", "more often"), ("base", "less often")) if side in directions],
        intents=[(verdict.replace(" ", "-"), label) for verdict, label in _INTENTS.items() if verdict in intents],
        strata=[(str(number), one_line(name, 60)) for name, number in strata_names.items()],
        sources=[(str(number), proposer({"source": name})) for name, number in source_names.items()],
        strata_names=strata_names,
        source_names=source_names,
    )


def proposer(finding: Mapping[str, Any]) -> str:
    """Who proposed a finding, for a cell or an option."""
    source = str(finding.get("source") or "")
    return _PROPOSERS.get(source) or one_line(source, 60)
