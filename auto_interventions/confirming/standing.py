"""How each sentence stands, and whether confirming should end.

A sentence with a check costs nothing to judge: it goes on until its interval is narrow (`why_stop_confirming`). One that a language model
judges costs money on every pair, so it is settled as soon as more verdicts would hardly change what is said of it:

    validated   e-BH rejects it, and its interval rests on 20 prompts (of the strong judge's verdicts, where it sizes leading sentences)
    small       its interval lies within ± the smallest effect of interest
    hopeless    after 20 pairs, even a growth of evidence that is 0.75 standard errors better than what was seen would not bring it over its
                bar within `judge.max_pairs`, were all open sentences that lean one way validated too
    capped      judged on `judge.max_pairs`
    open        none of these

All of it is read off the past, as often as one likes: a stop of one sentence is a bet of 0 on later pairs, which every martingale allows.
A validated sentence that e-BH's bar leaves behind again is open again, and so is a hopeless one that others' validation brings nearer."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.confirming.evidence import nats_needed, validated
from auto_interventions.confirming.focus import reach_in_places
from auto_interventions.confirming.state import ConfirmState
from auto_interventions.exploring.state import RoundState
from auto_interventions.inference.betting import best_growth
from auto_interventions.records import BoolArray, FloatArray, IntArray

Standing = Literal["open", "validated", "small", "hopeless", "capped"]

SPARE = 2  # times `judge.max_pairs` pairs are drawn at most where language models judge all: some sentences wait while others are judged
AT_LEAST = 20  # prompts before any stop, pairs before a sentence is given up: of fewer nothing can be said
_HOPE = 0.75  # standard errors: with 1.0 a third more verdicts go to sentences that are false; a larger `max_pairs` finds more for less
_LEANS = 1 / 3  # of its bar: a sentence that may yet be validated, and lower the bar of the others
_DOUBT = 2.0  # pairs' worth of belief that half of the pairs pay something


def standing(state: ConfirmState, explored: RoundState, config: AuditConfig) -> tuple[Standing, ...]:
    """(H,) how each sentence stands; those with a check are validated or open."""
    passed = validated(state, explored, config.inference.alpha)
    stands: list[Standing] = ["validated" if one else "open" for one in passed.tolist()]
    rows = np.flatnonzero(state.by_model)
    enough = min(AT_LEAST, max(state.planned_prompts, 1))
    for row in rows.tolist():
        if state.tried[row] >= config.judge.max_pairs:
            stands[row] = "validated" if passed[row] else "capped"
            continue
        prompts = state.sized_prompts(row) if passed[row] and state.sizing else state.judged_prompts(row)
        if prompts < enough:
            stands[row] = "open"
        elif not passed[row] and _is_small(state, row, prompts, config):
            stands[row] = "small"
    still = np.array([row for row in rows.tolist() if stands[row] == "open"], dtype=np.int64)
    for row in still[_hopeless(state, still, passed, config)].tolist():
        stands[row] = "hopeless"
    return tuple(stands)


def is_open(state: ConfirmState, explored: RoundState, config: AuditConfig) -> BoolArray:
    """(H,) which sentences a language model has still to judge."""
    stands = standing(state, explored, config) if state.by_model.any() else ()
    return state.by_model & np.array([one == "open" for one in stands] or [False] * len(state.hypotheses), dtype=np.bool_)


def hoped_for(sums: FloatArray, errors: float) -> FloatArray:
    """(…) nats a pair if the mean payoff is `errors` standard errors further from 0 than it looks.

    `sums`: (…, 3) number, sum and sum of squares of the payoffs so far; none is an answer.
    """
    count, total, squares = np.moveaxis(sums, -1, 0)
    second = np.minimum((squares + _DOUBT / 2) / (count + _DOUBT), 1.0)
    mean = np.minimum(np.abs(total) / np.maximum(count, 1.0) + errors * np.sqrt(second / np.maximum(count, 1.0)), 1.0)
    return best_growth(mean, np.maximum(second, mean))  # who hopes for a larger mean hopes for more pairs that pay


def checks_decided(state: ConfirmState, explored: RoundState, config: AuditConfig, left: int = 0) -> bool:
    """Whether every sentence with a check is validated with an interval no wider than ± the smallest effect, or shown to be small, and out
    of reach of the pairs that are `left` even where it holds."""
    smallest, passed = config.inference.smallest_effect, validated(state, explored, config.inference.alpha)
    if in_reach(state, explored, config, left).any():
        return False
    for number in np.flatnonzero(~state.by_model).tolist():
        lo, hi = state.interval(number, config.inference.alpha)
        if not (hi - lo <= 2 * smallest if passed[number] else -smallest <= lo and hi <= smallest):
            return False
    return True


def in_reach(state: ConfirmState, explored: RoundState, config: AuditConfig, left: int) -> BoolArray:
    """(H,) which sentences with a check may be validated in few strata with the pairs `left`, however small they are on average."""
    if left < 1 or state.fixed or config.sampling.strategy == "uniform" or len(state.strata) < 2:
        return np.zeros(len(state.hypotheses), dtype=np.bool_)
    needed = nats_needed(state, explored, config.inference.alpha)
    smallest = config.inference.smallest_effect
    return reach_in_places(state.hypotheses, state.support, state.seen, state.pool_sizes, needed, left, smallest)


def why_stop_confirming(
    state: ConfirmState, explored: RoundState, config: AuditConfig, exhausted: bool = False, planned: int | None = None, left: int = 0
) -> str | None:
    """Why confirming should end now, as a clause for the report; None to go on.

    It ends early only when more pairs could not change what the report says at the resolution that was asked for: every hypothesis is
    either validated with an interval no wider than ± the smallest effect of interest, or its interval lies within ± that effect.
    Sentences that a language model judges are settled by their `standing`.

    Args:
        exhausted: the plan has nothing left to ask.
        planned: prompts of the plan that can be asked; None: all of the backbone.
        left: pairs that the budget still allows.
    """
    planned = state.planned_prompts if planned is None else planned
    if not state.hypotheses:
        return "no hypothesis was proposed"
    if exhausted:
        if state.by_model.all() and len(state.pairs) >= SPARE * config.judge.max_pairs > 0:
            return f"as many pairs were drawn as judge.max_pairs asks for: {_told(state, explored, config)} ({len(state.pairs)} pairs)"
        visited = state.backbone_prompts
        judged = f"planned prompts were judged ({len(state.pairs)} pairs)"
        return f"max_texts is spent; {visited} of {planned} {judged}" if visited < planned else f"all {visited} {judged}"
    by_model = state.by_model
    if is_open(state, explored, config).any():
        return None
    if not by_model.all() and (state.backbone_prompts < AT_LEAST or not checks_decided(state, explored, config, left)):
        return None
    if by_model.any():
        return f"all hypotheses are decided: {_told(state, explored, config)} ({len(state.pairs)} pairs)"
    smallest = config.inference.smallest_effect
    return f"all hypotheses are decided: validated, or shown to differ by less than {smallest:g} ({len(state.pairs)} pairs)"


def _told(state: ConfirmState, explored: RoundState, config: AuditConfig) -> str:
    """How the sentences ended: those that a language model judged, by number."""
    most = config.judge.max_pairs
    words: dict[Standing, str] = {
        "validated": "validated",
        "small": f"shown to differ by less than {config.inference.smallest_effect:g}",
        "hopeless": f"out of reach within {most} judged pairs",
        "capped": f"undecided after {most} judged pairs" if most else "undecided as the money is spent",
        "open": "not decided yet",
    }
    counts = Counter(one for one, by_model in zip(standing(state, explored, config), state.by_model, strict=True) if by_model)
    told = ", ".join(f"{counts[one]} {word}" for one, word in words.items() if counts[one])
    checks = int((~state.by_model).sum())
    return f"{told} by language models; the {checks} with a check are validated or shown to be small" if checks else told


def _is_small(state: ConfirmState, row: int, prompts: int, config: AuditConfig) -> bool:
    smallest = config.inference.smallest_effect
    if config.judge.strong is not None and not state.fixed and not state.judged.chance[row].any():  # the cheap judge may be blind to it
        return False
    if prompts * smallest < 1 or abs(state.paid[row, 1]) > 4 * smallest * state.paid[row, 0]:  # far from it: saves computing the interval
        return False
    lo, hi = state.interval(row, config.inference.alpha)
    return -smallest <= lo and hi <= smallest


def _hopeless(state: ConfirmState, rows: IntArray, passed: BoolArray, config: AuditConfig) -> BoolArray:
    """(rows,) which of these open sentences could not reach their bar."""
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    others = int((passed & ~np.isin(np.arange(len(passed)), rows)).sum())
    log_e, level = state.log_e[rows], config.inference.alpha * state.shares[rows]
    leaning = int((log_e >= -_LEANS * np.log(level * (others + 1))).sum())
    bars = -np.log(level * (others + 1 + leaning))
    reach = hoped_for(state.paid[rows], _HOPE) * (config.judge.max_pairs - state.tried[rows])
    return (state.tried[rows] >= AT_LEAST) & ~passed[rows] & (log_e + reach < bars)
