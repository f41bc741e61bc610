"""A key is in no log, message, repr, store entry or pickle, whatever a vendor echoes."""

from __future__ import annotations

import logging
import pickle
import traceback
from pathlib import Path

import pytest

from auto_interventions.config import ChatConfig
from auto_interventions.errors import ChatError
from auto_interventions.llm import ChatRequest, Message, open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.secrets import Key, find_key
from auto_interventions.stores import open_store
from tests.llm.conftest import PROVIDERS, SECRET, Serve, settings_for
from tests.llm.server import Fault

FRAGMENTS = (SECRET, SECRET[:10], SECRET[-8:])
HI = ChatRequest((Message("user", "hi"),))


def assert_clean(text: str) -> None:
    for fragment in FRAGMENTS:
        assert fragment not in text, f"{fragment} in …{text[max(0, text.index(fragment) - 80) : text.index(fragment)]}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_that_a_run_leaves_behind_has_it(
    provider: str, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Fault("refuse", 400, message=f"cannot do that with {SECRET} and sk-pr********77Yt")
    server = serve(script=[None, Fault("busy"), Fault("cut"), echo, Fault("error", 500, message=SECRET)])
    settings = settings_for(server, provider, retries=3, concurrency=1)
    model = open_chat(f"{provider}:m", settings)
    store = open_store(str(tmp_path / "store"))
    asker = Asker(model, store, settings)
    outcomes = asker.ask_many([ChatRequest((Message("user", f"hi {number}"),)) for number in range(4)], "t")
    server.key = "another"
    with pytest.raises(ChatError) as caught:
        asker.ask_many([HI], "t")
    store.close()
    assert_clean("".join(traceback.format_exception(caught.value)))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert_clean(repr([model, asker.counts, outcomes, model.fingerprint, vars(model), vars(asker)]))
    assert_clean(caplog.text + "".join(capfd.readouterr()))
    for record in caplog.records:
        assert_clean(repr(record.__dict__))
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert_clean(file.read_bytes().decode("latin-1"))


def test_a_key_cannot_leave() -> None:
    key = Key(SECRET, "OPENAI_API_KEY")
    assert_clean(repr(key) + str(key) + f"{key}")
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert key.reveal() == SECRET


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {SECRET}.",
        f"Incorrect API key provided: {SECRET[:12]}{'*' * 20}{SECRET[-4:]}. Find your key at …",
        f"https://host/v1beta/models?key={SECRET}&alt=json",
        f"Authorization: Bearer {SECRET}",
        f"'{SECRET[:9]}…{SECRET[-9:]}'",
    ],
)
def test_echoes_are_scrubbed(text: str) -> None:
    scrubbed = Key(SECRET, "OPENAI_API_KEY").scrub(text)
    assert_clean(scrubbed)
    assert "***" in scrubbed


def test_other_peoples_keys_are_scrubbed_too() -> None:
    scrubbed = Key("short", "OPENAI_API_KEY").scrub("key AIzaSyD-12345678901234567890 and sk-ant-api03-abcdefgh and sk-or-****1234")
    assert scrubbed.count("***") == 3
    assert "1234" not in scrubbed


def test_ordinary_words_stay() -> None:
    text = "429: Rate limit reached for gpt-5 in organization org-1 on tokens per min (TPM): Limit 30000, ask-me-anything"
    assert Key(SECRET, "OPENAI_API_KEY").scrub(text) == text


def test_where_keys_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_key("gemini", None, None).where == "GEMINI_API_KEY"
    monkeypatch.delenv("GEMINI_API_KEY")
    assert find_key("gemini", None, None).where == "GOOGLE_API_KEY"
    monkeypatch.delenv("GOOGLE_API_KEY")
    with pytest.raises(ChatError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        find_key("gemini", None, None)
    assert find_key("gemini", "my-block", {"my-block": " abc "}.__getitem__).reveal() == "abc"
    with pytest.raises(ChatError, match="is empty"):
        find_key("gemini", "my-block", lambda _: "")
    with pytest.raises(ChatError, match="nothing here can read"):
        find_key("gemini", "my-block", None)


def test_gemini_takes_the_key_that_we_chose(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its SDK prefers GOOGLE_API_KEY where nobody says which."""
    monkeypatch.setenv("GOOGLE_API_KEY", "the-other-one")
    import asyncio

    server = serve()
    asyncio.run(open_chat("gemini:m", settings_for(server)).ask(HI))
    assert server.calls[0].key == SECRET


def test_a_service_of_ones_own_needs_no_key(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.delenv("OPENAI_API_KEY")
    server = serve()
    monkeypatch.setenv("OPENAI_BASE_URL", server.url("openai"))
    asyncio.run(open_chat("openai:m", ChatConfig()).ask(HI))
    assert len(server.calls) == 1
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(ChatError, match="no key"):
        open_chat("openai:m")


@pytest.mark.parametrize("address", ["http://user:secret@host/v1", "https://host/v1?key=secret", "host:8000"])
def test_addresses_hold_no_secrets(address: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        ChatConfig(base_url=address)
    assert "secret" not in str(caught.value)
