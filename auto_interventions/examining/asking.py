"""What all questions of this room share: findings and texts as data in a prompt, replies as one bounded line, failures as a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from auto_interventions.llm import ChatRequest, Failure, Message
from auto_interventions.llm.fences import RULE, fenced, one_line
from auto_interventions.records import Finding

LINE = 200
"""Characters of a sentence that a model wrote, at most."""


def request(task: str, data: Sequence[str], schema: type[BaseModel], max_tokens: int, seed: int | None = None) -> ChatRequest:
    """A question at temperature 0: what to do (ours), then the fenced data (others')."""
    return ChatRequest(
        (Message("system", f"{task}\n\n{RULE}"), Message("user", "\n\n".join(data))), schema, max_tokens=max_tokens, seed=seed
    )


def shown_finding(finding: Finding, name: str = "finding") -> str:
    """A finding between fences, with its rates: its words may come from a language model."""
    rates = f"{finding.base_rate:.0%} of the base model's texts, {finding.intervention_rate:.0%} of the changed model's"
    return fenced(name, f"{one_line(finding.statement, 400)} ({rates})", 600)


def no_answer(failure: Failure) -> str:
    """Why a model said nothing that can be used."""
    return f"{failure.kind}: {one_line(failure.message, LINE)}"


def unavailable(reason: str) -> dict[str, object]:
    """The value of what could not be found out."""
    return {"not_available": reason}


def validated(findings: Sequence[Finding]) -> list[Finding]:
    """The validated ones among `findings`, in order."""
    return [finding for finding in findings if finding.status == "validated"]
