"""A server for each test, as in the tests of `llm`; an asker of one of its models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auto_interventions.llm import open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.budget import Budget
from auto_interventions.stores import open_store
from tests.llm.conftest import _keys, serve, settings_for  # noqa: F401  (fixtures)
from tests.llm.server import ChatServer

Ask = Callable[..., Asker]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """An asker of model `m` of a server, through a vendor's real SDK."""

    def start(server: ChatServer, provider: str = "openai", dollars: float | None = None, **given: Any) -> Asker:
        settings = settings_for(server, provider, **given)
        return Asker(open_chat(f"{provider}:m", settings), open_store(str(tmp_path / "replies")), settings, budget=Budget(dollars))

    return start
