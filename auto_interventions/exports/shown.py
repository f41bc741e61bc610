"""Which texts show what a finding says: the pairs of a run, and for each finding what a judge or its check said of both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from auto_interventions.records import FloatArray
from auto_interventions.report.pairs import shown_by
from auto_interventions.runs import PAIR, Run, side_by_side

_OF_PROMPT = ["stratum", "pool", "round", "backbone", "prompt"]


def pairs_of(run: Run) -> pd.DataFrame:
    """One row a pair of texts, in the order of asking: prompt_id, sample, stratum, pool, round, backbone, prompt, base, intervention.

    Raises:
        RunDirectoryError: the audit has drawn no texts yet.
    """
    texts = run.texts
    asked = texts.loc[texts["model"] == "base", [*PAIR, *(column for column in _OF_PROMPT if column in texts.columns)]]
    return asked.join(side_by_side(texts), on=PAIR, how="inner").reset_index(drop=True)


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
        (H, N, 2) scores of base and intervention in [0, 1], as `report.pairs.shown_by` has them; NaN where nobody judged.
    """
    keys = pd.MultiIndex.from_frame(pairs[PAIR])
    return shown_by(findings, pairs["base"], pairs["intervention"], keys, run.verdicts).transpose(0, 2, 1)
