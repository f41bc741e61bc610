"""Judging within the money: where it does not suffice for all, as many sentences as it suffices for, each whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auto_interventions.errors import BudgetSpent
from auto_interventions.judging.judged import Judged
from auto_interventions.records import BoolArray, FloatArray, Hypothesis, Pair
from auto_interventions.stages.workspace import Workspace


def affordable(
    where: Workspace,
    hypotheses: Sequence[Hypothesis],
    pairs: Sequence[Pair],
    cells: BoolArray | None = None,
    second: bool = True,
    slices: FloatArray | None = None,
) -> Judged:
    """`Judges.judge`; where the money ends, the workspace is told so, and sentences are judged one after the other while it lasts.

    What was answered by then is in the store, so nothing is paid twice. Which sentences still fit depends on what calls cost, not on
    what they said of these pairs: a sentence that is left out bets nothing.
    """
    judges = where.language.judges
    wanted = np.ones((len(hypotheses), len(pairs)), dtype=np.bool_) if cells is None else cells.copy()
    if where.out_of_money:
        wanted[[hypothesis.check is None for hypothesis in hypotheses]] = False
    try:
        return judges.judge(hypotheses, pairs, wanted, second=second, slices=slices)
    except BudgetSpent as error:
        where.out_of_money = str(error)
    kept = np.zeros_like(wanted)
    for row in np.flatnonzero(wanted.any(axis=1)).tolist():
        if hypotheses[row].check is not None:
            continue
        alone = np.zeros_like(wanted)
        alone[row] = wanted[row]
        try:
            judges.judge(hypotheses, pairs, alone, second=second, slices=slices)
        except BudgetSpent:
            break
        kept[row] = wanted[row]
    return judges.judge(hypotheses, pairs, kept, second=second, slices=slices)
