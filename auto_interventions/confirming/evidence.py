"""What all evidence so far says: the gatekeeper, which hypotheses are validated, and how far the others are from it."""

from __future__ import annotations

import numpy as np

from auto_interventions.confirming.state import ConfirmState
from auto_interventions.exploring.state import RoundState
from auto_interventions.inference.ebh import e_bh, gate_is_open, overall_log_e
from auto_interventions.inference.fixed import benjamini_hochberg
from auto_interventions.records import BoolArray, FloatArray

LEANING = 1.0  # nats; below, nothing can be extrapolated


def log_e_overall(state: ConfirmState, explored: RoundState, alpha: float) -> float:
    """Log of the gatekeeper's e-value with everything seen so far, exploring and confirming."""
    return overall_log_e(explored.log_e_overall, state.log_e, alpha, state.shares if len(state.hypotheses) else None)


def validated(state: ConfirmState, explored: RoundState, alpha: float) -> BoolArray:
    """(H,) which hypotheses are validated now: e-BH over all of them, if the gatekeeper lets anything through.

    Exhaustive audits: Benjamini & Hochberg on the fixed-n p-values.
    """
    if state.fixed:
        return benjamini_hochberg(state.p_values, alpha)
    if not gate_is_open(log_e_overall(state, explored, alpha), alpha):
        return np.zeros(len(state.hypotheses), dtype=np.bool_)
    return e_bh(state.log_e, alpha, state.shares)


def nats_needed(state: ConfirmState, explored: RoundState, alpha: float) -> FloatArray:
    """(H,) how much each log e-value has to grow to be the next that e-BH rejects; ≤ 0 for those that are validated."""
    passed = validated(state, explored, alpha)
    bar = -np.log(alpha * state.shares * (int(passed.sum()) + 1))
    return np.where(passed, 0.0, np.maximum(bar - state.log_e, 1e-3))


def pairs_needed(state: ConfirmState, explored: RoundState, alpha: float) -> FloatArray:
    """(H,) further pairs after which each sentence would be validated if its evidence went on growing as it did: 0 for those that are, inf
    where too little grew to be extrapolated. A forecast, no promise."""
    needed, log_e = nats_needed(state, explored, alpha), state.log_e
    growing = log_e > LEANING
    ahead = len(state.pairs) * needed / np.where(growing, log_e, 1.0)
    return np.where(needed <= 0, 0.0, np.where(growing, ahead, np.inf))
