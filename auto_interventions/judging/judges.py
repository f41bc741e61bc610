"""The contract of a judge, and the judge that runs a sentence's own check.

A judge sees sentences and texts, never which model wrote a text: it is blind by its signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from auto_interventions.hypotheses.asking import matrix
from auto_interventions.hypotheses.predicates import parse_predicate
from auto_interventions.records import FloatMatrix, Hypothesis


class Judge(Protocol):
    """Scores how well each sentence fits each text."""

    name: str

    def score(self, hypotheses: Sequence[Hypothesis], texts: Sequence[str]) -> FloatMatrix:
        """(hypotheses, texts) float32 in [0, 1]; NaN where the judge abstains."""
        ...


class PredicateJudge:
    """Runs each hypothesis's check: 1 where it holds, 0 where not, NaN where there is no check or nothing to judge."""

    name = "predicate"

    def score(self, hypotheses: Sequence[Hypothesis], texts: Sequence[str]) -> FloatMatrix:
        """See `Judge`.

        Raises:
            ConfigError: a check that is no predicate.
        """
        scores = np.full((len(hypotheses), len(texts)), np.nan, dtype=np.float32)
        checks = [(row, hypothesis.check) for row, hypothesis in enumerate(hypotheses) if hypothesis.check is not None]
        if checks:
            scores[[row for row, _ in checks]] = matrix([parse_predicate(check) for _, check in checks], texts)
        return scores
