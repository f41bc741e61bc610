"""Many sentences, asked of many texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auto_interventions.hypotheses.measures import MEASURES
from auto_interventions.hypotheses.predicates import MeasureBound, Predicate, known_predicate
from auto_interventions.hypotheses.text import fold
from auto_interventions.records import FloatMatrix


def matrix(predicates: Sequence[Predicate], texts: Sequence[str]) -> FloatMatrix:
    """Scores of every predicate on every text.

    Returns:
        (predicates, texts) float32: 1 fits, 0 does not, NaN abstains.
    """
    scores = np.zeros((len(predicates), len(texts)), dtype=np.float32)
    bounds = [(row, predicate) for row, predicate in enumerate(predicates) if isinstance(predicate, MeasureBound)]
    others = [(row, predicate) for row, predicate in enumerate(predicates) if not isinstance(predicate, MeasureBound)]
    features = {predicate.feature for _, predicate in bounds}
    for column, text in enumerate(texts):
        folded = fold(text)
        for row, predicate in others:
            scores[row, column] = predicate.score(text, folded)
        values = {feature: MEASURES[feature].of(text) for feature in features}
        for row, predicate in bounds:
            scores[row, column] = predicate.of_value(values[predicate.feature])
    return scores


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
