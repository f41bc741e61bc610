"""How sure an audit is, in words that a reader grasps, and in one sentence for the first minute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auto_interventions.report.wording import (
    chance,
    count,
    log_e_of,
    odds,
    p_value_of,
    power_of_ten,
    sentence,
    strata_judged,
    strength,
    validated,
)

_BILLION = 9 * math.log(10)


def sure(findings: Mapping[str, Any]) -> str:
    """How sure the verdict of an audit that found something is; "" for the others, whose verdict says it. `findings`: findings.json."""
    overall: Mapping[str, Any] = findings.get("overall") or {}
    if overall.get("verdict") != "different":
        return ""
    held, alpha = validated(findings), float(findings["alpha"])
    fixed = any(p_value_of(finding) is not None for finding in findings.get("findings", ()))
    # An exhaustive audit promises this of its sentences alone (stages.concluding.guarantee).
    false_alarm = "confirm a sentence" if fixed else "say that they differ"
    luck = f"Were the two models the same, at most one audit in {1 / alpha:,.4g} would {false_alarm}"
    if not fixed:
        luck += f"; here the evidence is {strength(log_e_of(overall))}, {grasped(log_e_of(overall))} against chance"
    these = f"these {count(len(held), 'finding')}" if len(held) > 1 else "such findings"
    return f"{luck}." + (f" Of {these} at most {100 * alpha:.4g}% are expected to be false." if held else "")


def grasped(log_e: float) -> str:
    """Odds for a reader: none below 1, and beyond what anyone can picture only that.

    >>> grasped(math.log(23.4)), grasped(math.log(0.3)), grasped(240.0)
    ('23 to 1', 'none', 'beyond a billion to 1')
    """
    if log_e <= 0:
        return "none"
    return odds(log_e) if log_e < _BILLION else "beyond a billion to 1"


def exact(log_e: float) -> str:
    """The e-value that `grasped` leaves out, for those who want it; "" where it left out nothing."""
    return f"e-value {power_of_ten(log_e)}" if log_e >= _BILLION else ""


def quotation(finding: Mapping[str, Any], labels: Mapping[str, str], alpha: float, made: str) -> str:
    """One finding as a sentence to quote, with what it rests on: prompts, the unit of all its numbers, and how many pairs they gave."""
    rests = [chance(value) if (value := p_value_of(finding)) is not None else f"e-value {_number(log_e_of(finding))}"]
    rests += [
        _rests_on(finding),
        f"base: {labels['base']}",
        f"intervention: {labels['intervention']}",
        made,
    ]
    return f"{sentence(finding, alpha)[:-1]} ({'; '.join(one for one in rests if one)})."


def _rests_on(finding: Mapping[str, Any]) -> str:
    strata: Sequence[Mapping[str, Any]] = finding.get("strata") or ()
    pairs = int(finding.get("pairs", 0))
    told = f"{pairs:,} {'pair' if pairs == 1 else 'pairs'} of answers"
    # Of very many kinds findings.json lists those that stand out most, so that their prompts are not all of them.
    if not strata or len(strata) < strata_judged(finding) or any(stratum.get("prompts") is None for stratum in strata):
        return told
    prompts = sum(int(stratum["prompts"]) for stratum in strata)
    return f"{prompts:,} held-out {'prompt' if prompts == 1 else 'prompts'}, {told}"


def _number(log_e: float) -> str:
    """An e-value with three digits, in full as far as people read it: "4.0·10¹⁵", "47,100", "23.4"."""
    if log_e > 6 * math.log(10):
        return power_of_ten(log_e)
    value = float(f"{math.exp(log_e):.3g}")
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"
