"""From evidence to findings: every hypothesis ever proposed, its e-value, its size, where it happens, and the texts that show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.confirming.evidence import log_e_overall, validated
from auto_interventions.confirming.state import ConfirmState
from auto_interventions.exploring.state import RoundState
from auto_interventions.inference.detectable import smallest_detectable
from auto_interventions.inference.ebh import gate_is_open
from auto_interventions.inference.effects import Effect
from auto_interventions.records import Direction, Finding, Hypothesis

EVIDENCE_TEXTS = 8
LARGEST = 1e300  # JSON has no infinity; `log_e` beside it is exact


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the audit says.

    Attributes:
        findings: all hypotheses, validated ones first, then by evidence.
        overall: verdict, e_value, log_e, auc, smallest_detectable (design section 5).
        divergent: numbers of the strata in which the models differ.
    """

    findings: tuple[Finding, ...]
    overall: dict[str, object]
    divergent: tuple[int, ...]


def conclude(
    state: ConfirmState,
    explored: RoundState,
    config: AuditConfig,
    judges: Sequence[str] | Callable[[Hypothesis], Sequence[str]] = ("predicate",),
) -> Conclusion:
    """The audit's answer from all evidence so far; may be asked after any round.

    Args:
        judges: names of the judges that scored the pairs, the same for all hypotheses or of each.
    """
    alpha = config.inference.alpha
    log_overall = log_e_overall(state, explored, alpha)
    passed, log_e = validated(state, explored, alpha), state.log_e
    selected = int(passed.sum())
    p_values = state.p_values if state.fixed and state.hypotheses else None
    findings = [
        replace(
            _finding(state, number, float(log_e[number]), selected if passed[number] else None, alpha, _named(judges, hypothesis)),
            p_value=None if p_values is None else float(p_values[number]),
            share=float(state.shares[number]),
        )
        for number, hypothesis in enumerate(state.hypotheses)
    ]
    findings.sort(key=lambda finding: (finding.status != "validated", -finding.log_e, finding.id))
    # Language models judge each sentence on some pairs only; a sentence that had shown a difference would have gone on longest.
    judged = int(state.tried.max(initial=0)) if state.by_model.all() else len(state.pairs)
    detectable = smallest_detectable(judged, min(judged, state.prompts), len(state.hypotheses), alpha)
    # A fixed-n audit has no gate: what it rejected is what it says.
    different = selected > 0 if state.fixed else gate_is_open(log_overall, alpha)
    overall: dict[str, object] = {
        "verdict": "different" if different else "no difference found",
        "e_value": capped_exp(log_overall),
        "log_e": log_overall,
        "auc": explored.auc,
        "smallest_detectable": detectable,
    }
    return Conclusion(tuple(findings), overall, explored.divergent(alpha, log_e, state.shares if len(log_e) else None))


def _named(judges: Sequence[str] | Callable[[Hypothesis], Sequence[str]], hypothesis: Hypothesis) -> tuple[str, ...]:
    return tuple(judges(hypothesis) if callable(judges) else judges)


def capped_exp(log_e: float) -> float:
    """The e-value, at most 10³⁰⁰."""
    return min(math.exp(min(log_e, 700.0)), LARGEST)


def _finding(state: ConfirmState, number: int, log_e: float, selected: int | None, alpha: float, judges: tuple[str, ...]) -> Finding:
    """`selected`: how many were validated, if this one was."""
    hypothesis = state.hypotheses[number]
    effect = state.effect(number, alpha, selected)
    more_in = _more_in(hypothesis, effect)
    return Finding(
        id=hypothesis.id,
        statement=hypothesis.statement,
        status="validated" if selected is not None else "not validated",
        more_in=more_in,
        e_value=capped_exp(log_e),
        base_rate=effect.base_rate,
        intervention_rate=effect.intervention_rate,
        difference=effect.difference,
        interval=effect.interval,
        auc=effect.auc,
        strata=effect.strata,
        strata_judged=effect.strata_judged,
        pairs=int(state.paid[number, 0]),
        judges=judges,
        evidence=_evidence(state, number, more_in),
        source=hypothesis.source,
        check=hypothesis.check,
        also=hypothesis.also,
        log_e=log_e,
    )


def _more_in(hypothesis: Hypothesis, effect: Effect) -> Direction:
    if effect.difference == 0:
        return hypothesis.more_in
    return "intervention" if effect.difference > 0 else "base"


def _evidence(state: ConfirmState, number: int, more_in: Direction) -> tuple[str, ...]:
    """Ids of up to 8 texts of the `more_in` side that show it: first those whose partner does not, from different prompts if possible."""
    row = state.judged.row(number)
    base, intervention = row.base[0], row.intervention[0]
    here, there = (intervention, base) if more_in == "intervention" else (base, intervention)
    showing = np.flatnonzero(~np.isnan(there) & (here >= 0.5))
    repeats: dict[int, int] = {}
    ranked: list[tuple[int, float, int]] = []
    for row in sorted(showing.tolist(), key=lambda row: (float(there[row] - here[row]), row)):
        prompt = int(state.prompt_of_pair[row])
        repeats[prompt] = repeats.get(prompt, -1) + 1
        ranked.append((repeats[prompt], float(there[row] - here[row]), row))
    # Pairs that only this side shows before any other; among them every prompt once before any twice.
    ranked.sort(key=lambda entry: (entry[1] > -0.5, entry[0], entry[1], entry[2]))
    pairs = [state.pairs[row] for _, _, row in ranked[:EVIDENCE_TEXTS]]
    return tuple((pair.intervention if more_in == "intervention" else pair.base).id for pair in pairs)
