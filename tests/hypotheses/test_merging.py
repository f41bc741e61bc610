"""Evidence of a check, themes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from auto_interventions.hypotheses import themes_of
from auto_interventions.hypotheses.evidence import Design
from auto_interventions.records import Finding


def finding(number: int, check: dict[str, object] | None, more_in: str = "intervention", status: str = "validated") -> Finding:
    return Finding(
        id=str(number), statement="…", status=status, more_in=more_in, e_value=100.0, base_rate=0.1, intervention_rate=0.2, difference=0.1,
        interval=(0.0, 0.2), auc=0.55, strata=(), pairs=10, judges=("predicate",), evidence=(), check=check,
    )  # fmt: skip # pyright: ignore[reportArgumentType]


def test_evidence_is_what_a_bettor_would_have_made() -> None:
    """30 pairs in which only the intervention shows it, 10 the other way, 60 without difference."""
    design = Design([f"p{pair}" for pair in range(100)], [""] * 100)
    marks = np.zeros((200, 1))
    marks[0:10] = 1
    marks[100 + 10 : 100 + 40] = 1
    evidence = design.evidence(csr_matrix(marks))
    stake = 20 / 41
    assert evidence.growth[0] == pytest.approx(30 * np.log1p(stake) + 10 * np.log1p(-stake))
    assert (evidence.base[0], evidence.intervention[0], evidence.direction[0]) == (0.1, 0.3, 1.0)


def test_evidence_of_a_null_is_small() -> None:
    rng = np.random.default_rng(0)
    design = Design([f"p{pair}" for pair in range(200)], [str(pair % 4) for pair in range(200)])
    growth = design.evidence(csr_matrix((rng.random((400, 500)) < 0.2).astype(float))).growth
    assert growth.mean() < 1.0
    assert (growth > 3).mean() < 0.05


def test_samples_of_one_prompt_count_as_pairs_but_no_more_than_its_prompts_allow() -> None:
    rng = np.random.default_rng(0)
    marks = (rng.random((20, 1)) < 0.5).astype(float)
    once = Design([str(pair) for pair in range(10)], ["s"] * 10).evidence(csr_matrix(marks))
    copies = np.concatenate([np.repeat(marks[:10], 500, axis=0), np.repeat(marks[10:], 500, axis=0)])
    often = Design([str(pair // 500) for pair in range(5000)], ["s"] * 5000).evidence(csr_matrix(copies))
    assert often.intervention[0] == pytest.approx(once.intervention[0])
    leaning = abs(np.sign(marks[10:] - marks[:10]).sum())
    assert once.growth[0] < often.growth[0] <= 2 * np.log(2) * leaning + 1e-9


def test_themes_group_the_validated_findings() -> None:
    findings = [
        finding(1, {"kind": "phrase", "phrases": ["a"]}),
        finding(2, {"kind": "measure", "feature": "words", "at_least": 3}),
        finding(3, {"kind": "phrase", "phrases": ["b"]}, more_in="base"),
        finding(4, {"kind": "phrase", "phrases": ["c"]}),
        finding(5, {"kind": "ending", "phrase": "c"}, status="not validated"),
        finding(6, None),
    ]
    assert themes_of(findings) == [
        {"title": "Wording gained", "findings": ["1", "4"]},
        {"title": "Length", "findings": ["2"]},
        {"title": "Wording lost", "findings": ["3"]},
        {"title": "Meaning", "findings": ["6"]},
    ]
