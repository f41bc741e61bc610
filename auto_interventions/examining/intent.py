"""Intended, or a side effect? Each validated finding against what the change was meant to do.

A language model reads the stated intent and up to ten findings a call and says of each: intended (what was wanted, or what it is made of),
side effect (nothing that was asked for), or unclear. It is an opinion with its reason, not a test.

Findings are named by their ids. Ids that do not exist are dropped, of an id that is named twice the first counts; those that a reply left
out are asked for once more, and what is then missing is a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from auto_interventions.examining.asking import LINE, no_answer, request, shown_finding, unavailable, validated
from auto_interventions.llm import ChatRequest, Failure, Reply
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.fences import fenced, one_line
from auto_interventions.records import Finding

TEMPLATE = "examine/intent/v1"
_A_CALL = 10
_INTENT = 2_000  # characters
_TASK = """A language model was changed, and an audit found in what ways its texts differ from those of the base model.
You are told what the change was meant to do, and findings that hold. Say of each finding whether it is
- "intended": the change was meant to do this, or this is a direct part of it;
- "side effect": nothing of what was meant asks for this;
- "unclear": the intent does not settle it.
Give a reason of one short sentence. Name each finding by its id, every id once."""


class _Opinion(BaseModel):
    id: str
    verdict: Literal["intended", "side effect", "unclear"]
    reason: str = Field(description="one short sentence")


class _Opinions(BaseModel):
    findings: list[_Opinion] = Field(max_length=4 * _A_CALL)


def judge_intent(asker: Asker, findings: Sequence[Finding], intent: str) -> dict[str, dict[str, object]]:
    """What each validated finding is to the intent, for `Finding.beside`.

    Args:
        asker: the labeller.
        findings: others than validated ones are left alone.
        intent: what the change was meant to do, in the user's words.

    Returns:
        By finding id: `verdict` (intended, side effect, unclear) and `reason`, one line of at most 200 characters; or `not_available`.

    Raises:
        BudgetSpent, ChatError, Interrupted: as `Asker.ask_all`.
    """
    told: dict[str, dict[str, object]] = {}
    missing = validated(findings)
    for _ in range(2):
        batches = [missing[start : start + _A_CALL] for start in range(0, len(missing), _A_CALL)]
        for outcome, batch in zip(asker.ask_many([_question(batch, intent) for batch in batches], TEMPLATE), batches, strict=True):
            known = {finding.id for finding in batch}
            if isinstance(outcome, Failure):
                told |= {identifier: unavailable(no_answer(outcome)) for identifier in known}
            for opinion in outcome.value.findings if isinstance(outcome, Reply) and isinstance(outcome.value, _Opinions) else ():
                if opinion.id in known:
                    told.setdefault(opinion.id, {"verdict": opinion.verdict, "reason": one_line(opinion.reason, LINE)})
        missing = [finding for finding in missing if finding.id not in told]
    return told | {finding.id: unavailable("the model said nothing of this finding") for finding in missing}


def _question(findings: Sequence[Finding], intent: str) -> ChatRequest:
    data = [fenced("intent", intent, _INTENT), *(shown_finding(finding, f"finding_{finding.id}") for finding in findings)]
    ids = ", ".join(finding.id for finding in findings)
    return request(_TASK, [*data, f"The ids are: {ids}"], _Opinions, 200 + 120 * len(findings))
