"""A server for each test, and keys that must not be found anywhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from auto_interventions.config import ChatConfig, PriceConfig
from auto_interventions.llm.secrets import KEY_VARIABLES
from tests.llm.server import ChatServer

SECRET = "sk-proj-Zx81Kq-this-must-not-be-found-77Yt"
PRICE = PriceConfig(input=1.0, output=10.0)
PROVIDERS = ["gemini", "openai", "anthropic"]
if importlib.util.find_spec("google.generativeai") is not None:  # not in the lock: see docs/llm.md
    PROVIDERS.append("google-generativeai")

Serve = Callable[..., ChatServer]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables in KEY_VARIABLES.values():
        for variable in variables:
            monkeypatch.setenv(variable, SECRET)
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:

        def start(**given: Any) -> ChatServer:
            return stack.enter_context(ChatServer(**given))

        yield start


def settings_for(server: ChatServer, provider: str = "gemini", **given: Any) -> ChatConfig:
    """The settings that reach `server`."""
    return ChatConfig(**{"base_url": server.url(provider), "price": PRICE, "timeout_seconds": 10, **given})
