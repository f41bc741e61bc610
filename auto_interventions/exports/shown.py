"""Which texts show what a finding says: the pairs of a run, and for each finding what a judge or its check said of both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.hypotheses import ask_checks
from auto_interventions.records import ROLES, FloatArray
from auto_interventions.report.pairs import scores_of
from auto_interventions.runs import PAIR, Run

_OF_PROMPT = ["stratum", "pool", "round", "backbone", "prompt"]


def pairs_of(run: Run) -> pd.DataFrame:
    """One row a pair of texts, in the order of asking: prompt_id, sample, stratum, pool, round, backbone, prompt, base, intervention.

    Raises:
        RunDirectoryError: the audit has drawn no texts yet.
    """
    texts = run.texts
    base, intervention = (texts[texts["model"] == role].set_index(PAIR) for role in ROLES)
    pairs = base[[column for column in _OF_PROMPT if column in texts.columns]].copy()
    pairs["base"] = base["text"]
    # Both sides of a pair are drawn together; a run that was stopped between them holds the first alone.
    pairs["intervention"] = intervention["text"].reindex(pairs.index)
    return pairs.dropna(subset=["intervention"]).reset_index()


def sized_pairs(run: Run) -> pd.DataFrame:
    """Those of `pairs_of` that sizes go by: confirmed, of the random sample of the pool."""
    pairs = pairs_of(run)
    own = pairs["pool"] == "confirm"
    return pairs[own & pairs["backbone"] if "backbone" in pairs else own].reset_index(drop=True)


def shown(run: Run, pairs: pd.DataFrame, findings: Sequence[Mapping[str, Any]]) -> FloatArray:
    """How well each text fits each finding's sentence.

    Args:
        pairs: N rows with prompt_id, sample, base, intervention.
        findings: H entries of findings.json.

    Returns:
        (H, N, 2) scores of base and intervention in [0, 1]; NaN where nobody judged. A sentence with a check is asked of the texts; of
        others it is what the strong judge said, and where that one was not asked, the cheap one.
    """
    scores = np.full((len(findings), len(pairs), 2), np.nan)
    checked = ask_checks(findings, pairs["base"], pairs["intervention"])
    where = pd.MultiIndex.from_frame(pairs[PAIR])
    for row, finding in enumerate(findings):
        judged = None if row in checked else scores_of(run.verdicts, str(finding["id"])).reindex(where)
        scores[row] = checked[row].T if judged is None else judged[list(ROLES)].to_numpy(dtype=np.float64)
    return scores
