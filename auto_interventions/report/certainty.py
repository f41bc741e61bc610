"""How sure an audit is of its verdict, in one sentence for the first minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auto_interventions.report.wording import count, log_e_of, odds, p_value_of, strength, validated


def sure(findings: Mapping[str, Any]) -> str:
    """How sure the verdict of an audit that found something is; "" for the others, whose verdict says it. `findings`: findings.json."""
    overall: Mapping[str, Any] = findings.get("overall") or {}
    if overall.get("verdict") != "different":
        return ""
    held, alpha = validated(findings), float(findings["alpha"])
    these = f"these {count(len(held), 'finding')}" if len(held) > 1 else "such findings"
    few = f"at most {100 * alpha:.4g}% of {these} are expected to be false"
    if any(p_value_of(finding) is not None for finding in held):
        return f"{few[0].upper()}{few[1:]}."
    log_e = log_e_of(overall)
    whole = f"The evidence that the models differ is {strength(log_e)}, {odds(log_e)} where {1 / alpha:,.4g} to 1 was asked for"
    return f"{whole}{'; ' + few if held else ''}."
