"""Every adapter, its vendor's real SDK, a real server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from auto_interventions.config import ChatConfig
from auto_interventions.errors import ChatError
from auto_interventions.llm import ChatRequest, Failure, Message, Outcome, Reply, Usage, open_chat
from tests.llm.conftest import PROVIDERS, SECRET, Serve, settings_for
from tests.llm.protocols import Answer
from tests.llm.server import ChatServer, Fault

GOOD = '{"verdict": "A", "confidence": 0.75}'


class Verdict(BaseModel):
    verdict: Literal["A", "B", "neither"]
    confidence: float = Field(ge=0, le=1)


JUDGE = ChatRequest((Message("system", "You compare texts."), Message("user", "Which fits?")), Verdict, max_tokens=64)
each = pytest.mark.parametrize("provider", PROVIDERS)


def ask(server: ChatServer, provider: str, request: ChatRequest = JUDGE, **given: object) -> Outcome:
    """One attempt in an event loop of its own."""
    model = open_chat(f"{provider}:judge", settings_for(server, provider, **given))
    return asyncio.run(model.ask(request))


def failed(outcome: Outcome) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


@each
def test_a_reply(provider: str, serve: Serve) -> None:
    server = serve(models={"judge": lambda _: Answer(GOOD, input_tokens=1200, output_tokens=17, cached_tokens=1000)})
    reply = ask(server, provider)
    assert isinstance(reply, Reply)
    assert reply.value == Verdict(verdict="A", confidence=0.75)
    assert (reply.text, reply.usage, reply.attempts, reply.cached) == (GOOD, Usage(1200, 17, 1000), 1, False)
    assert reply.model == "judge"
    assert 0 < reply.seconds < 10


@each
def test_what_is_sent(provider: str, serve: Serve) -> None:
    seen = []
    server = serve(models={"judge": lambda question: seen.append(question) or "fine"})
    turns = (Message("system", "Be brief."), Message("user", "One?"), Message("assistant", "Two."), Message("user", "Three? é🙂"))
    reply = ask(server, provider, ChatRequest(turns, None, temperature=0.5, max_tokens=33, seed=7))
    assert isinstance(reply, Reply)
    assert (reply.text, reply.value) == ("fine", None)
    question = seen[0]
    assert question.messages == (("system", "Be brief."), ("user", "One?"), ("assistant", "Two."), ("user", "Three? é🙂"))
    assert question.max_tokens == 33
    given = question.given.get("generationConfig", question.given)
    assert given["temperature"] == 0.5
    assert given.get("seed") == {"gemini": 7, "openai": 7}.get(provider)
    assert server.calls[0].key == SECRET


@each
def test_the_schema_is_told(provider: str, serve: Serve) -> None:
    seen = []
    server = serve(models={"judge": lambda question: seen.append(question) or GOOD})
    ask(server, provider)
    if provider == "google-generativeai":
        assert '"confidence"' in seen[0].text
        return
    schema = seen[0].schema
    assert schema["required"] == ["verdict", "confidence"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["confidence"]["description"] == "maximum 1, minimum 0"
    assert "confidence" not in seen[0].text


@each
@pytest.mark.parametrize("kind", ["fenced", "chatty", "noise"])
def test_replies_in_wrapping(provider: str, kind: str, serve: Serve) -> None:
    server = serve(models={"judge": lambda _: GOOD}, script=[Fault(kind)])
    reply = ask(server, provider)
    assert isinstance(reply, Reply)
    assert reply.value == Verdict(verdict="A", confidence=0.75)


@each
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("busy"), "unavailable"),
        (Fault("error", 500), "unavailable"),
        (Fault("error", 503), "unavailable"),
        (Fault("error", 529), "unavailable"),
        (Fault("cut"), "unavailable"),
        (Fault("cut_body"), "unavailable"),
        (Fault("garbage"), "unavailable"),
        (Fault("malformed"), "malformed"),
        (Fault("wrong_schema"), "malformed"),
        (Fault("empty"), "malformed"),
        (Fault("long"), "cut"),
        (Fault("blocked"), "blocked"),
        (Fault("refused"), "blocked"),
        (Fault("refuse", 400, message="This model's maximum context length is 8192 tokens"), "rejected"),
        (Fault("refuse", 413, message="request too large"), "rejected"),
        (Fault("refuse", 400, message="The response was filtered", code="content_filter"), "blocked"),
    ],
    ids=lambda value: f"{value.kind}{value.status if value.kind in ('error', 'refuse') else ''}" if isinstance(value, Fault) else value,
)
def test_failures_are_values(provider: str, fault: Fault, kind: str, serve: Serve) -> None:
    if provider == "anthropic" and fault.code == "content_filter":
        pytest.skip("Anthropic's errors have no codes")
    server = serve(models={"judge": lambda _: GOOD}, script=[fault])
    started = time.monotonic()
    failure = failed(ask(server, provider))
    assert failure.kind == kind
    assert len(server.calls) == 1, "the SDK repeats by itself"
    assert time.monotonic() - started < 8
    if kind in ("malformed", "cut", "blocked") and fault.kind != "refuse":
        assert failure.usage.input_tokens > 0
    assert failure.unsure == (fault.kind in ("cut", "cut_body", "garbage"))
    assert failure.passing == (kind == "unavailable")


@each
@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after(provider: str, as_date: bool, serve: Serve) -> None:
    server = serve(script=[Fault("busy", retry_after=7, as_date=as_date)])
    waits = failed(ask(server, provider)).retry_after
    assert waits is not None
    assert 5 <= waits <= 7


def test_google_tells_the_delay_in_the_body(serve: Serve) -> None:
    server = serve(script=[Fault("busy", retry_after=34, in_body=True)])
    assert failed(ask(server, "gemini")).retry_after == 34


@each
@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_timeouts(provider: str, kind: str, serve: Serve) -> None:
    server = serve(models={"judge": lambda _: GOOD}, script=[Fault(kind, seconds=5 if kind == "slow" else 0.05)])
    started = time.monotonic()
    failure = failed(ask(server, provider, timeout_seconds=0.5))
    assert failure.kind == "timeout"
    assert failure.unsure
    if provider != "google-generativeai":  # its calls end with their threads
        assert time.monotonic() - started < 4
    assert len(server.calls) == 1


@each
def test_a_service_that_is_not_there(provider: str) -> None:
    model = open_chat(f"{provider}:judge", ChatConfig(base_url="http://127.0.0.1:9", timeout_seconds=5))
    failure = failed(asyncio.run(model.ask(JUDGE)))
    assert failure.kind == "unavailable"
    assert not failure.unsure, "nothing reached it, so nothing can have cost"


@each
def test_a_refused_key(provider: str, serve: Serve) -> None:
    server = serve(key="another")
    with pytest.raises(ChatError, match=r"refuses the key in (GEMINI|OPENAI|ANTHROPIC)_API_KEY") as caught:
        ask(server, provider)
    assert SECRET not in str(caught.value)
    assert caught.value.exit_code == 2


@each
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("refuse", 404, message="models/judge is not found"), "no such model"),
        (Fault("refuse", 403, message="You are not allowed to use this"), "refuses the key"),
        (Fault("refuse", 402, message="Insufficient balance"), "no credit"),
        (Fault("refuse", 429, message="You exceeded your current quota: insufficient_quota", code="insufficient_quota"), "no credit"),
        (Fault("refuse", 400, message="Your credit balance is too low to access the API"), "no credit"),
    ],
    ids=["model", "rights", "balance", "quota", "credit"],
)
def test_what_ends_all(provider: str, fault: Fault, says: str, serve: Serve) -> None:
    server = serve(script=[fault])
    with pytest.raises(ChatError, match=says):
        ask(server, provider)


@pytest.mark.parametrize(
    ("provider", "parameter", "words"),
    [
        ("openai", "temperature", "Unsupported value: 'temperature' does not support 0.0 with this model"),
        ("openai", "seed", "Unsupported parameter: 'seed'"),
        ("openai", "response_format", "response_format is not supported by this server"),
        ("openai", "max_tokens", "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        ("anthropic", "temperature", "`temperature` is deprecated for this model."),
        ("anthropic", "output_config", "output_config: Extra inputs are not permitted"),
        ("gemini", "thinkingConfig", "thinking_config is not supported for this model"),
    ],
)
def test_parameters_that_a_model_refuses(provider: str, parameter: str, words: str, serve: Serve) -> None:
    server = serve(models={"gemini-2.5-flash": lambda _: GOOD}, takes_no={parameter: words})
    model = open_chat(f"{provider}:gemini-2.5-flash", settings_for(server, provider))
    request = ChatRequest(JUDGE.messages, Verdict, max_tokens=64, seed=3)

    async def both() -> list[Outcome]:
        return [await model.ask(request), await model.ask(request)]

    outcomes = asyncio.run(both())
    assert all(isinstance(outcome, Reply) and outcome.value == Verdict(verdict="A", confidence=0.75) for outcome in outcomes)
    assert [call.status for call in server.calls] == [400, 200, 200], "found out once"


def test_a_parameter_out_of_bounds_is_not_dropped(serve: Serve) -> None:
    server = serve(script=[Fault("refuse", 400, message="temperature must be between 0 and 2")])
    assert failed(ask(server, "openai")).kind == "rejected"


def test_an_upstream_error_with_status_200(serve: Serve) -> None:
    """OpenRouter's way."""
    server = serve()
    server.models = {"judge": lambda _: Answer("", "empty")}
    assert failed(ask(server, "openai")).kind == "malformed"


def test_fingerprints_tell_what_changes_a_reply() -> None:
    def of(spec: str, **given: object) -> str:
        return open_chat(spec, ChatConfig(**given)).fingerprint

    same = of("openai:a")
    assert of("openai:a", concurrency=3, timeout_seconds=1) == same
    others = [of("openai:b"), of("anthropic:a"), of("openai:a", base_url="http://127.0.0.1:1/v1"), of("openai:a", thinking="default")]
    assert len({same, *others}) == 5


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("gpt-5", "names no model"),
        ("openai:", "names no model"),
        ("gemni:flash", "did you mean `gemini:flash`"),
        ("local:/no/such/folder", "not there"),
    ],
)
def test_specs_that_cannot_be(spec: str, says: str) -> None:
    with pytest.raises(ChatError, match=says):
        open_chat(spec)


@pytest.mark.parametrize(
    ("package", "spec", "extra"),
    [
        ("google.genai", "gemini:m", "gemini"),
        ("openai", "openai:m", "openai"),
        ("anthropic", "anthropic:m", "anthropic"),
        ("google.generativeai", "google-generativeai:m", "generativeai"),
    ],
)
def test_a_missing_package_names_the_extra(package: str, spec: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from auto_interventions.llm import open_chat\n"
        "from auto_interventions.errors import ChatError\n"
        f"try: open_chat({spec!r})\n"
        "except ChatError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f"pip install 'auto-interventions[{extra}]'" in said


def test_no_sdk_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, auto_interventions.llm, auto_interventions.llm.asking\n"
        "print([name for name in ('google.genai', 'openai', 'anthropic', 'torch', 'genai_prices', 'httpx2') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
