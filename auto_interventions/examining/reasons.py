"""Why the texts shown as evidence fit their finding, in the judge's words: one sentence a text.

It is the judge's account after the fact, for readers; verdicts were given blind and without it. A judge that is told "this text fits" will
find a reason, so it may also say that the text does not fit, and then says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from auto_interventions.examining.asking import LINE, no_answer, request, unavailable, validated
from auto_interventions.llm import ChatRequest, Failure
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.fences import fenced, one_line
from auto_interventions.records import Finding, Generation, Pair

TEMPLATE = "examine/reasons/v1"
_TEXTS = 5
_PROMPT = 500  # characters
_TASK = """You judged whether a sentence fits texts. For each numbered text below, say in one short sentence what in it makes the
sentence fit; quote its words where that helps. If the sentence does not fit a text after all, say that it does not and why.
Answer every number once."""


class _Reason(BaseModel):
    number: int
    reason: str = Field(description="one short sentence")


class _Reasons(BaseModel):
    reasons: list[_Reason] = Field(max_length=4 * _TEXTS)


def reasons(asker: Asker, findings: Sequence[Finding], pairs: Sequence[Pair], max_characters: int = 2_000) -> dict[str, dict[str, object]]:
    """The judge's reasons for the first five evidence texts of each validated finding, for `Finding.beside`.

    Args:
        asker: the judge.
        findings: others than validated ones are left alone.
        pairs: where the texts of `Finding.evidence` are.
        max_characters: of a text that the judge sees.

    Returns:
        By finding id: reason by text id, one line of at most 200 characters (texts that the judge passed over are left out); or
        `not_available`.

    Raises:
        BudgetSpent, ChatError, Interrupted: as `Asker.ask_all`.
    """
    texts = {text.id: text for pair in pairs for text in (pair.base, pair.intervention)}
    shown = validated(findings)
    evidence = [[texts[identifier] for identifier in finding.evidence if identifier in texts][:_TEXTS] for finding in shown]
    asked = [place for place, own in enumerate(evidence) if own]
    outcomes = asker.ask_many([_question(shown[place], evidence[place], max_characters) for place in asked], TEMPLATE)
    told: Mapping[int, dict[str, object]] = {
        place: unavailable(no_answer(outcome)) if isinstance(outcome, Failure) else _by_text(outcome.value, evidence[place])
        for place, outcome in zip(asked, outcomes, strict=True)
    }
    return {finding.id: told.get(place, unavailable("no text shows it")) for place, finding in enumerate(shown)}


def _question(finding: Finding, texts: Sequence[Generation], most: int) -> ChatRequest:
    data = [fenced("sentence", one_line(finding.statement, 400), 400)]
    for number, text in enumerate(texts, 1):
        data += [f"Text {number}, an answer to this prompt:", fenced("prompt", text.prompt.whole, _PROMPT), fenced("text", text.text, most)]
    return request(_TASK, data, _Reasons, 100 + 100 * len(texts))


def _by_text(value: BaseModel | None, texts: Sequence[Generation]) -> dict[str, object]:
    told: dict[str, object] = {}
    for given in value.reasons if isinstance(value, _Reasons) else ():
        reason = one_line(given.reason, LINE)
        if 1 <= given.number <= len(texts) and reason:
            told.setdefault(texts[given.number - 1].id, reason)
    return told or unavailable("the judge gave no reason")
