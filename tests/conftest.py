"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.redis_server import redis_server, running_servers, start_redis  # noqa: F401  (fixtures for all)

if TYPE_CHECKING:
    from tests.llm.server import ChatServer
    from tests.stages.spoken import World

# Before anything imports them: no telemetry, no network look-ups, no thread fights on small machines.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Where the suite is a shell's background job Ctrl-C is ignored, and so it would be in every command that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models, prompts and recorded texts beside the checkout."""
    folder = Path(os.environ.get("AUTO_INTERVENTIONS_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real models and texts of {folder}, which are not on this machine")
    return folder


@pytest.fixture(scope="session")
def demo() -> Path:
    """The project's own demo: models, adapters, prompts, truth."""
    return REPOSITORY / "demo"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """No test reads or fills the user's own store."""
    monkeypatch.setenv("AUTO_INTERVENTIONS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def spoken_server() -> Iterator[ChatServer]:
    """The server that `spoken` asks. Whoever counts its calls resets its record first."""
    from tests.llm.server import ChatServer
    from tests.stages.spoken import models

    with ChatServer(models()) as server:
        yield server


@pytest.fixture(scope="session")
def spoken(spoken_server: ChatServer, tmp_path_factory: pytest.TempPathFactory) -> World:
    """An audit in which language models named and judged the differences, and nothing happened to it. It needs no key."""
    from tests.stages.spoken import make_world

    return make_world(tmp_path_factory.mktemp("spoken"), spoken_server)
