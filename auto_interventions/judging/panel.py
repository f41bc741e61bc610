"""Several language models on the same pairs of a finding: what share of texts each finds fitting, and how far they agree.

A finding that only its own judge can see is worth less than one that models of other vendors see on the same texts. It decides nothing:
the evidence is the audit's judges'. Scores of a judge that has seen these pairs already are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from auto_interventions.errors import AutoInterventionsError, BudgetSpent
from auto_interventions.judging.agreement import agreement, preferences
from auto_interventions.judging.cascade import key_of
from auto_interventions.judging.language import LanguageJudge
from auto_interventions.records import BoolArray, FloatMatrix, Hypothesis, Pair

Scores = tuple[FloatMatrix, FloatMatrix]
"""(H, n) of the base model's and of the intervention's texts; NaN: not judged."""
_Z = 1.959964


def panel(
    judges: Sequence[LanguageJudge],
    hypotheses: Sequence[Hypothesis],
    pairs: Sequence[Pair],
    cells: BoolArray,
    known: Mapping[str, Scores] | None = None,
) -> list[dict[str, object]]:
    """What each judge says of each of H findings.

    Args:
        judges: asked about `cells`.
        hypotheses: the findings.
        pairs: n pairs.
        cells: (H, n) the pairs of each finding that all judges see; those that its own judges have seen (`judge.panel_pairs` of them).
        known: scores of judges that have seen them already, by name.

    Returns:
        H dicts, JSON-native: `judges` [{judge, pairs, base_rate, intervention_rate, difference, interval}], or {judge, failed} of one
        that could not be asked; `agreement` [{judges: [a, b], pairs, agreement, kappa, interval}].

    Raises:
        BudgetSpent: the budget's end.
    """
    scores: dict[str, Scores | str] = {name: _only(given, cells) for name, given in (known or {}).items()}
    statements = [hypothesis.statement for hypothesis in hypotheses]
    base, intervention = [pair.base.text for pair in pairs], [pair.intervention.text for pair in pairs]
    keys = [key_of(pair) for pair in pairs]
    for judge in judges:
        try:
            scores[judge.name] = judge.score(statements, base, intervention, keys, cells)
        except BudgetSpent:
            raise
        except AutoInterventionsError as error:  # one judge of several: its absence is told, and spoils nothing
            scores[judge.name] = f"not available: {error}"
    prompts = np.unique([pair.prompt.id for pair in pairs], return_inverse=True)[1]
    return [_of_finding(row, scores, prompts) for row in range(len(hypotheses))]


def _only(given: Scores, cells: BoolArray) -> Scores:
    base, intervention = (np.where(cells, side, np.nan).astype(np.float32) for side in given)
    return base, intervention


def _of_finding(row: int, scores: Mapping[str, Scores | str], prompts: np.ndarray) -> dict[str, object]:
    judges: list[dict[str, object]] = []
    for name, given in scores.items():
        told = {"failed": given} if isinstance(given, str) else _shares(given[0][row], given[1][row], prompts)
        judges.append({"judge": name, **told})
    seen = {name: preferences(given[0][row], given[1][row]) for name, given in scores.items() if not isinstance(given, str)}
    agreeing = [{"judges": [a, b], **agreement(seen[a], seen[b]).as_dict()} for a, b in combinations(seen, 2)]
    return {"judges": judges, "agreement": agreeing}


def _shares(base: FloatMatrix, intervention: FloatMatrix, prompts: np.ndarray) -> dict[str, object]:
    """Mean scores, and their difference with a 95% interval clustered by prompt (normal: a side remark, at one fixed number of pairs)."""
    both = ~np.isnan(base) & ~np.isnan(intervention)
    if not both.any():
        return {"pairs": 0, "base_rate": None, "intervention_rate": None, "difference": None, "interval": None}
    before, after = base[both].astype(np.float64), intervention[both].astype(np.float64)
    difference, clusters = float((after - before).mean()), np.unique(prompts[both], return_inverse=True)[1]
    sums = np.bincount(clusters, after - before - difference)
    count = len(sums)
    half = _Z * float(np.sqrt(np.sum(sums**2) * count / (count - 1))) / len(before) if count > 1 else 2.0
    interval = [max(-1.0, difference - half), min(1.0, difference + half)]
    return {
        "pairs": len(before),
        "base_rate": float(before.mean()),
        "intervention_rate": float(after.mean()),
        "difference": difference,
        "interval": interval,
    }
