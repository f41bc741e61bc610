"""Themes: findings that belong together by what they look at."""

from __future__ import annotations

from collections.abc import Sequence

from auto_interventions.hypotheses.measures import MEASURES
from auto_interventions.records import Finding

_TITLES = {"opening": "Openings", "ending": "Endings", "refusal": "Refusals", "language": "Language", "pattern": "Own checks"}


def themes_of(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """The validated findings in titled groups, in the order in which the groups first appear.

    Returns:
        `[{"title": "Wording gained", "findings": [ids]}, …]`: words that the intervention uses more or less, layout, length, endings …
    """
    themes: dict[str, list[str]] = {}
    for finding in findings:
        if finding.status == "validated":
            themes.setdefault(_title(finding), []).append(finding.id)
    return [{"title": title, "findings": ids} for title, ids in themes.items()]


def _title(finding: Finding) -> str:
    check = finding.check or {}
    kind = check.get("kind")
    if kind == "phrase":
        return "Wording gained" if finding.more_in == "intervention" else "Wording lost"
    if kind == "measure":
        measure = MEASURES.get(str(check.get("feature")))
        return measure.theme if measure else "Layout"
    return _TITLES.get(str(kind), "Meaning")
