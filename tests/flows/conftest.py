"""One Prefect server and one undisturbed audit for all tests of faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .faulty import Undisturbed, held, run, settings
from .test_server import started_server


@pytest.fixture(scope="session")
def prefect_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where that server keeps its database and its log."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def prefect_server(prefect_folder: Path) -> Iterator[str]:
    """The API of a server that all commands share: starting one for each takes longer than the audits."""
    with started_server(prefect_folder) as url:
        yield url


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    home = tmp_path_factory.mktemp("undisturbed")
    told = run(settings(home / "store"), home / "run")
    kinds = held(home / "store")
    return Undisturbed(home / "run", told, kinds["generation"], kinds["vector"])
