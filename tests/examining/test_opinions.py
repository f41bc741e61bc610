"""Intent, themes and reasons: what language models are asked about findings that already hold."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from auto_interventions.errors import BudgetSpent
from auto_interventions.examining import chained_themes, judge_intent, reasons
from auto_interventions.examining.themes import _Group, _merged, _Themes
from auto_interventions.hypotheses.themes import themes_of
from auto_interventions.records import Finding, Pair
from tests.examining.conftest import Ask
from tests.examining.labellers import (
    HOSTILE,
    answering,
    findings_of,
    groups_by_first_word,
    outside,
    quotes_first_words,
    says_intended,
)
from tests.examining.making import finding, pair
from tests.llm.conftest import Serve
from tests.llm.protocols import Question
from tests.llm.server import Fault

INTENT = "Stories shall close with a moral."
FIRST = ["ends with a moral", "mentions boats", "uses longer sentences", "ends in a question"]


def many(count: int) -> list[Finding]:
    return [finding(f"{FIRST[number % 4]} ({number})", number=number) for number in range(count)]


@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_intent_of_every_validated_finding_with_a_reason(serve: Serve, ask: Ask, provider: str) -> None:
    server = serve(models={"m": answering(says_intended)})
    found = [*many(23), finding("ends with a moral, perhaps", number=99, status="not validated")]
    told = judge_intent(ask(server, provider), found, INTENT)
    assert set(told) == {one.id for one in found[:-1]}
    assert [told[one.id]["verdict"] for one in found[:4]] == ["intended", "side effect", "side effect", "side effect"]
    assert all("\n" not in str(one["reason"]) and len(str(one["reason"])) <= 200 for one in told.values())
    assert server.summary()["calls"] == 3
    assert judge_intent(ask(server, provider), found, INTENT) == told
    assert server.summary()["calls"] == 3
    json.dumps(told)


def test_ids_are_checked_and_those_left_out_asked_for_once_more(serve: Serve, ask: Ask) -> None:
    calls: list[list[str]] = []

    def forgetful(question: Question) -> dict[str, Any]:
        known = list(findings_of(question))
        calls.append(known)
        said = [{"id": one, "verdict": "unclear", "reason": "why"} for one in [known[0], "ffffffffffff", known[0]]]
        return {"findings": [*said, {"id": known[0], "verdict": "intended", "reason": "twice"}]}

    told = judge_intent(ask(serve(models={"m": answering(forgetful)})), many(3), INTENT)
    ids = [one.id for one in many(3)]
    assert calls == [ids, ids[1:]]
    assert [told[one].get("verdict") for one in ids] == ["unclear", "unclear", None]
    assert told[ids[2]] == {"not_available": "the model said nothing of this finding"}
    assert set(told) == set(ids)


def test_a_failure_is_a_value_and_a_spent_budget_ends_the_run(serve: Serve, ask: Ask) -> None:
    server = serve(models={"m": answering(says_intended)}, script=[Fault("blocked")])
    told = judge_intent(ask(server, concurrency=1), many(12), INTENT)
    assert [str(one.get("not_available", ""))[:7] for one in told.values()].count("blocked") == 10
    assert [one.get("verdict") for one in told.values()].count("side effect") == 2
    for call in (judge_intent, reasons, chained_themes):
        more: list[Any] = {"judge_intent": [INTENT], "reasons": [evidence_pairs()]}.get(call.__name__, [])
        found = [finding("x", number=50, evidence=(evidence_pairs()[0].intervention.id,))]
        with pytest.raises(BudgetSpent):
            call(ask(server, dollars=1e-7), found, *more)


def test_hostile_statements_stay_between_their_fences(serve: Serve, ask: Ask) -> None:
    """The labeller obeys whatever is outside fences: nothing of a statement, or of the intent, may get there."""
    seen: list[str] = []

    def noting(question: Question) -> dict[str, Any]:
        seen.append(outside(question))
        return says_intended(question)

    server = serve(models={"m": answering(noting)})
    found = [finding(text, number=number) for number, text in enumerate(HOSTILE)]
    told = judge_intent(ask(server), [*found, *many(3)], INTENT + HOSTILE[1])
    told_again = judge_intent(ask(server), [*found, *many(3)][:6], INTENT)
    assert all("verdict" in one for one in [*told.values(), *told_again.values()])
    ids = ", ".join(one.id for one in [*found, *many(3)])
    assert seen[0].strip() == f"The ids are: {ids}"
    assert all(len(str(one["reason"])) <= 200 and one["reason"] == " ".join(str(one["reason"]).split()) for one in told.values())


def test_themes_grow_batch_by_batch_and_hold_every_finding_once(serve: Serve, ask: Ask) -> None:
    server = serve(models={"m": answering(groups_by_first_word)})
    found = [*many(50), finding("not so", number=99, status="not validated")]
    themes, why = chained_themes(ask(server), found)
    assert why is None
    assert server.summary()["calls"] == 3
    assert [theme["title"] for theme in themes] == ["Ends", "Mentions", "Uses"]
    ids = [one for theme in themes for one in cast(list[str], theme["findings"])]
    assert sorted(ids) == [one.id for one in many(50)]
    assert len(cast(list[str], themes[0]["findings"])) == 25
    assert chained_themes(ask(server), []) == ([], None)
    json.dumps(themes)


def test_a_model_that_keeps_no_books_loses_no_finding(serve: Serve, ask: Ask) -> None:
    def careless(question: Question) -> dict[str, Any]:
        first, second, *_ = findings_of(question)
        return {
            "themes": [
                {"title": "Endings\nand\u202e more " + "x" * 100, "continues": [1, 1, 7, -2], "findings": [first, "ffffffffffff", first]},
                {"title": "Again", "continues": [1], "findings": [first, second]},
                {"title": "  ", "continues": [2], "findings": [second]},
                {"title": "other", "continues": [], "findings": [second]},
            ]
        }

    themes, why = chained_themes(ask(serve(models={"m": answering(careless)})), many(45))
    assert why is None
    ids = [one for theme in themes for one in cast(list[str], theme["findings"])]
    assert sorted(ids) == [one.id for one in many(45)]
    assert [len(cast(list[str], theme["findings"])) for theme in themes] == [3, 3, 39]
    assert themes[-1]["title"] == "Other"
    assert all(len(str(theme["title"])) <= 60 and "\n" not in str(theme["title"]) for theme in themes)


def test_themes_can_be_merged_and_forgotten_ones_stay() -> None:
    groups = [_Group("Endings", ["a"]), _Group("Boats", ["b"]), _Group("Questions", ["c"])]
    reply = _Themes.model_validate({"themes": [{"title": "How it ends", "continues": [3, 1], "findings": ["d"]}]})
    after = _merged(groups, reply, ["d", "e"])
    assert [(group.title, group.ids) for group in after] == [("How it ends", ["c", "a", "d"]), ("Boats", ["b"])]


def test_without_a_usable_reply_the_rules_make_the_themes(serve: Serve, ask: Ask) -> None:
    server = serve(models={"m": answering(groups_by_first_word)}, script=[None, Fault("refused")])
    found = many(30)
    themes, why = chained_themes(ask(server), found)
    assert themes == themes_of(found)
    assert why is not None
    assert why.startswith("blocked")


def evidence_pairs() -> list[Pair]:
    return [pair(number, "nothing", f"Number {number} ends with a moral.") for number in range(9)]


def test_reasons_for_five_texts_of_each_finding(serve: Serve, ask: Ask) -> None:
    server = serve(models={"m": answering(quotes_first_words)})
    pairs = evidence_pairs()
    own = tuple(one.intervention.id for one in pairs)
    found = [
        finding("ends with a moral", evidence=own[:8]),
        finding("says nothing", number=1, more_in="base", evidence=("unknown", pairs[0].base.id)),
        finding("has no evidence", number=2),
        finding("not so", number=3, status="not validated", evidence=own),
    ]
    told = reasons(ask(server), found, pairs)
    assert list(told) == [one.id for one in found[:3]]
    assert list(told[found[0].id]) == list(own[:5])
    assert told[found[0].id][own[3]] == "It begins with “Number 3 end”."
    assert told[found[1].id] == {pairs[0].base.id: "It begins with “nothing”."}
    assert told[found[2].id] == {"not_available": "no text shows it"}
    assert server.summary()["calls"] == 2
    json.dumps(told)


def test_reasons_by_numbers_that_exist_from_hostile_texts(serve: Serve, ask: Ask) -> None:
    def careless(question: Question) -> dict[str, Any]:
        own = [{"number": 2, "reason": "y" * 5_000}, {"number": 2, "reason": "again"}]
        return {"reasons": [{"number": 0, "reason": "x"}, {"number": 9, "reason": "x"}, {"number": 1, "reason": " \n"}, *own]}

    pairs = [pair(number, "nothing", text) for number, text in enumerate(HOSTILE)]
    texts = tuple(one.intervention.id for one in pairs)
    told = reasons(ask(serve(models={"m": answering(careless)})), [finding("mentions boats", evidence=texts)], pairs)
    assert list(told[finding("").id]) == [texts[1]]
    assert len(str(told[finding("").id][texts[1]])) == 200
    server = serve(models={"m": answering(quotes_first_words)})
    honest = reasons(ask(server), [finding("mentions ships", evidence=texts)], pairs)
    assert len(honest[finding("").id]) == 5
    refused = reasons(ask(serve(script=[Fault("blocked")])), [finding("mentions cars", evidence=texts)], pairs)
    assert str(refused[finding("").id]["not_available"]).startswith("blocked")
