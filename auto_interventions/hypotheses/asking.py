"""Sentences of an earlier audit, asked of pairs of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auto_interventions.hypotheses.predicates import known_predicate, matrix
from auto_interventions.records import FloatMatrix


def ask_checks(findings: Sequence[Mapping[str, Any]], base: Iterable[str], intervention: Iterable[str]) -> dict[int, FloatMatrix]:
    """How well the texts of N pairs fit the sentences that have a check.

    Args:
        findings: entries of findings.json.
        base, intervention: N texts each, pair by pair.

    Returns:
        For the place of each finding that has a check: (2, N) float32 scores of base and intervention.
    """
    checks = {row: check for row, finding in enumerate(findings) if (check := known_predicate(finding.get("check"))) is not None}
    if not checks:
        return {}  # `matrix` would read every text for nothing
    scores = matrix(list(checks.values()), [*base, *intervention])
    return {row: own.reshape(2, -1) for row, own in zip(checks, scores, strict=True)}
