"""A server for each test, as in the tests of `llm`; an asker of one of its models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.llm import open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.budget import Budget
from auto_interventions.stores import open_store
from auto_interventions.subjects import Subject, open_subject
from tests.examining.singers import save_singers
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


class Sides:
    """The two singers of `tests.examining.singers` as subjects, behind a store or not."""

    def __init__(self, folder: Path) -> None:
        self.base, self.intervention = save_singers(folder)
        self.store = open_store(str(folder / "store"))

    def open(self, base: str = "base", intervention: str = "intervention", **more: Any) -> tuple[Subject, Subject]:
        """Base and intervention; by default what they are, else the models named."""
        config = SamplingConfig(max_new_tokens=16, **more)
        folders = {"base": self.base, "intervention": self.intervention}
        return (
            open_subject(SubjectConfig(model=str(folders[base])), "base", config, self.store),
            open_subject(SubjectConfig(model=str(folders[intervention])), "intervention", config, self.store),
        )


@pytest.fixture(scope="session")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    return Sides(tmp_path_factory.mktemp("singers"))
