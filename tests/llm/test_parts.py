"""Schemas, error replies, prices, budgets: the small parts."""

from __future__ import annotations

import time
from email.utils import formatdate
from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from auto_interventions.config import ChatConfig, PriceConfig
from auto_interventions.errors import ChatError
from auto_interventions.llm.chat import ChatRequest, Failure, Message, Reply, Usage
from auto_interventions.llm.faults import Fault, failure_of, message_in, retry_after
from auto_interventions.llm.prices import FixedPrices, open_prices
from auto_interventions.llm.schemas import MalformedError, finished, parse, repaired, strict_schema, told_in_text


class Side(Enum):
    FIRST = "A"
    SECOND = "B"


class Claim(BaseModel):
    """A claim."""

    title: Annotated[str, Field(max_length=20, description="in few words")]
    side: Side
    minimum: int = Field(3, ge=0)
    note: str | None = None


class Claims(BaseModel):
    claims: list[Claim] = Field(min_length=1)
    kind: Literal["new"] = "new"


def test_schemas_are_closed_and_keep_fields_that_are_named_like_keywords() -> None:
    schema = strict_schema(Claims)
    claim = schema["$defs"]["Claim"]
    assert schema["additionalProperties"] is claim["additionalProperties"] is False
    assert claim["required"] == ["title", "side", "minimum", "note"]
    assert claim["properties"]["title"] == {"type": "string", "description": "in few words (maxLength 20)"}
    assert claim["properties"]["minimum"] == {"type": "integer", "description": "minimum 0"}
    assert claim["properties"]["side"] == {"$ref": "#/$defs/Side"}
    assert claim["properties"]["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert schema["properties"]["claims"]["description"] == "minItems 1"


ONE = '{"claims": [{"title": "a {b} \\"c\\"", "side": "B", "minimum": 4, "note": null}]}'


@pytest.mark.parametrize(
    "text",
    [ONE, f"```json\n{ONE}\n```", f"Sure!\n{ONE}\nAnything else?", f"  {ONE}  ", f"{ONE}{ONE}", f'{ONE} "noise" }}'],
    ids=["bare", "fenced", "chatty", "spaces", "twice", "tail"],
)
def test_values_are_found(text: str) -> None:
    found = parse(Claims, text)
    assert isinstance(found, Claims)
    assert (found.claims[0].title, found.claims[0].side) == ('a {b} "c"', Side.SECOND)


@pytest.mark.parametrize(
    "text", ["", "no", "{", "[]", '{"claims": []}', "{" * 5000, '{"claims": [{"title": "x"', "null", "NaN", '{"a": NaN}']
)
def test_others_are_malformed(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(Claims, text)
    assert 0 < len(str(caught.value)) <= 600


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    outcome = finished(ChatRequest((Message("user", "x"),), Claims), text, Usage(1, 2), "m")
    assert isinstance(outcome, Reply) or outcome.kind == "malformed"


def test_a_repair_shows_reply_and_error() -> None:
    request = ChatRequest((Message("user", "x"),), Claims, max_tokens=9, seed=4)
    again = repaired(request, Failure("malformed", "side: Input should be 'A' or 'B'", text="y" * 9999))
    assert [message.role for message in again.messages] == ["user", "assistant", "user"]
    assert len(again.messages[1].text) == 4000
    assert "Input should be 'A' or 'B'" in again.messages[2].text
    assert (again.schema, again.max_tokens, again.seed) == (Claims, 9, 4)


def test_a_schema_in_words_joins_the_system_message() -> None:
    told = told_in_text((Message("system", "Be brief."), Message("user", "x")), Claims)
    assert told[0].text.startswith("Be brief.")
    assert '"claims"' in told[0].text
    assert told_in_text((Message("user", "x"),), Claims)[0].role == "system"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "3"}, "", 3),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({"Retry-After": "-4"}, "", 0),
        ({"Retry-After": "nan"}, "", None),
        ({"Retry-After": "soon"}, "", None),
        ({}, '{"retryDelay": "12.5s"}', 12.5),
        ({}, "no", None),
    ],
)
def test_waits(headers: dict[str, str], body: str, seconds: float | None) -> None:
    assert retry_after(headers, body) == seconds


def test_waits_as_dates() -> None:
    later = retry_after({"Retry-After": formatdate(time.time() + 30, usegmt=True)})
    assert later is not None
    assert 28 < later <= 30
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (429, "rate limit", "unavailable"),
        (408, "timeout", "unavailable"),
        (409, "conflict", "unavailable"),
        (502, "bad gateway", "unavailable"),
        (529, "overloaded", "unavailable"),
        (400, "prompt too long", "rejected"),
        (422, "bad", "rejected"),
        (403, "Input was flagged by moderation", "blocked"),
        (400, "rejected by our content policy", "blocked"),
    ],
)
def test_error_replies(status: int, message: str, kind: str) -> None:
    assert failure_of(Fault(status, message), "openai:m", "OPENAI_API_KEY").kind == kind


def test_error_bodies() -> None:
    assert message_in({"error": {"message": "a"}}) == message_in({"message": "a"}) == "a"
    assert message_in({"error": "b"}) is message_in("c") is message_in(None) is None


def test_prices_of_the_table() -> None:
    prices = open_prices("gemini:gemini-2.5-flash", ChatConfig())
    assert prices.dollars(Usage(1_000_000, 0)) == pytest.approx(0.30)
    assert prices.dollars(Usage(0, 1_000_000)) == pytest.approx(2.50)
    assert prices.dollars(Usage(1_000_000, 0, 1_000_000)) == pytest.approx(0.03)
    assert prices.dollars(Usage(1000, 100)) <= prices.bound(1000, 100) <= prices.dollars(Usage(1256, 356))
    assert open_prices("openai:gpt-5-mini", ChatConfig()).dollars(Usage(1_000_000, 0)) == pytest.approx(0.25)
    assert open_prices("anthropic:claude-haiku-4-5", ChatConfig()).dollars(Usage(0, 1_000_000)) == pytest.approx(5)
    router = ChatConfig(base_url="https://openrouter.ai/api/v1")
    assert open_prices("openai:google/gemini-2.5-flash", router).dollars(Usage(1_000_000, 0)) == pytest.approx(0.30)


def test_local_models_are_free() -> None:
    assert open_prices("local:/any", ChatConfig()).dollars(Usage(10**6, 10**6)) == 0


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        ("openai:no-such-model", ChatConfig()),
        ("openai:llama", ChatConfig(base_url="http://127.0.0.1:8000/v1")),
        ("gemini:none", ChatConfig()),
    ],
)
def test_unknown_prices_are_asked_for(spec: str, settings: ChatConfig) -> None:
    with pytest.raises(ChatError, match=r"price: \{input"):
        open_prices(spec, settings)
    given = settings.model_copy(update={"price": PriceConfig(input=1, output=2)})
    assert open_prices(spec, given).dollars(Usage(10**6, 10**6)) == pytest.approx(3)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_call_costs_more_than_its_bound(fresh: int, cached: int, output: int) -> None:
    usage = Usage(fresh + cached, output, cached)
    for price in (PriceConfig(input=1, output=2), PriceConfig(input=1, output=2, cached_input=0.1), PriceConfig(input=0, output=0)):
        prices = FixedPrices(price)
        assert prices.dollars(usage) <= prices.bound(fresh + cached, output) + 1e-12
