"""The predicate judge."""

from __future__ import annotations

import numpy as np

from auto_interventions.judging import PredicateJudge
from auto_interventions.records import Hypothesis


def hypothesis(check: dict[str, object] | None) -> Hypothesis:
    return Hypothesis(statement="…", check=check, more_in="base", source="own", born_round=0)


def test_scores_by_the_check_and_abstains_without_one() -> None:
    asked = [
        hypothesis({"kind": "phrase", "phrases": ["fog"]}),
        hypothesis(None),
        hypothesis({"kind": "measure", "feature": "capital_letters_share", "at_least": 0.5}),
    ]
    scores = PredicateJudge().score(asked, ["The fog.", "THE SUN", ""])
    nan = np.nan
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, np.array([[1, 0, 0], [nan, nan, nan], [0, 1, nan]], dtype=np.float32))


def test_nothing_to_judge() -> None:
    assert PredicateJudge().score([], ["a"]).shape == (0, 1)
    assert PredicateJudge().score([hypothesis({"kind": "refusal"})], []).shape == (1, 0)
