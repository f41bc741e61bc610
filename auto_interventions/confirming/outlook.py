"""What more texts would buy: what the report says beside why the audit stopped.

An extrapolation, not a promise: the smallest detectable difference (`inference.detectable`) of twice the confirming pairs, and for
sentences that lean one way but are not validated, the pairs after which they would be if their evidence went on growing as it did."""

from __future__ import annotations

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.confirming.evidence import pairs_needed
from auto_interventions.confirming.standing import standing
from auto_interventions.confirming.state import ConfirmState
from auto_interventions.exploring.divergence import retired
from auto_interventions.exploring.state import RoundState
from auto_interventions.exploring.strata import Strata
from auto_interventions.inference.detectable import smallest_detectable

_FAR = 20.0  # times the pairs so far; beyond, nobody would wait


def outlook(state: ConfirmState, explored: RoundState, config: AuditConfig) -> str:
    """One or two sentences."""
    return " ".join(part for part in (_exploring(explored, config), _confirming(state, explored, config)) if part)


def _exploring(explored: RoundState, config: AuditConfig) -> str:
    decided = set(explored.divergent(config.inference.alpha))
    quiet = retired(explored, config)
    parts = [stratum for stratum, split in enumerate(explored.tree.is_split.tolist()) if not split]
    open_strata = [stratum for stratum in parts if stratum not in decided and not quiet[stratum]]
    if not explored.round or not open_strata:
        return ""
    wanted = np.ceil(3 / config.inference.smallest_effect)
    missing = int(np.maximum(wanted - explored.payoffs_by_stratum[open_strata, 0], 0).sum())
    one = len(open_strata) == 1
    clause = f"{len(open_strata)} of {_counted(explored.tree)} {'is' if one else 'are'} undecided"
    if not missing:
        return f"More exploring: {clause}."
    return f"More exploring: {clause}; about {2 * missing:,} more texts would look at {'it' if one else 'each of them'} often enough."


def _counted(tree: Strata) -> str:
    """What is decided on, so that its number can be compared with that of the kinds: parts stand for the kinds that were split."""
    split = tree.is_split
    whole = int((~split[: tree.roots]).sum())
    if whole == tree.roots:
        return f"{_kinds(whole)} of prompts"
    parts = int((~split[tree.roots :]).sum())
    if not whole:
        return f"{parts} parts of {_kinds(tree.roots)} of prompts"
    return (
        f"{whole + parts} kinds and parts of kinds of prompts ({_kinds(whole, 'whole ')} and {parts} parts of {_kinds(tree.roots - whole)})"
    )


def _kinds(number: int, which: str = "") -> str:
    return f"{number} {which}{'kind' if number == 1 else 'kinds'}"


def _confirming(state: ConfirmState, explored: RoundState, config: AuditConfig) -> str:
    pairs, alpha = len(state.pairs), config.inference.alpha
    if not pairs:
        return ""
    seen, twice = (100 * smallest_detectable(times * pairs, state.prompts, len(state.hypotheses), alpha) for times in (1, 2))
    gain = f"the smallest difference that can be seen from {seen:.2g} to {twice:.2g} points"
    if state.by_model.all():
        return _judging(state, explored, config)
    told = f"More confirming: {2 * pairs:,} more texts would lower {gain}"
    ahead = pairs_needed(state, explored, alpha)
    leaning = ahead[(ahead > 0) & (ahead < _FAR * pairs)]
    if state.fixed or not len(leaning):
        return f"{told}."
    soonest = max(100, round(2 * float(leaning.min()), -2))
    sentences = "one more sentence" if len(leaning) == 1 else f"the first of {len(leaning)} more sentences"
    return f"{told}; if its evidence goes on growing as it did, {sentences} would be validated after about {soonest:,.0f} more."


def _judging(state: ConfirmState, explored: RoundState, config: AuditConfig) -> str:
    """Where language models judge every sentence, verdicts are what more of could be bought."""
    stands = standing(state, explored, config)
    undecided = sum(one in ("open", "capped", "hopeless") for one in stands)
    if not undecided:
        return ""
    most = int(state.tried.max(initial=0))
    seen = 100 * smallest_detectable(most, min(most, state.prompts), len(state.hypotheses), config.inference.alpha)
    sentences = "1 sentence is" if undecided == 1 else f"{undecided} sentences are"
    return (
        f"More judging: {sentences} neither validated nor shown to be small; {most:,} judged pairs see a difference of {seen:.2g} points, "
        "a larger judge.max_pairs smaller ones."
    )
