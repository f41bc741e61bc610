"""The places where the contract of stores is tested: an embedded one, and every server that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_interventions.stores import Store, open_store
from tests.redis_server import RedisServer, cluster_of, servers_found

EMBEDDED = "embedded"
CLUSTER = "cluster of "
ALONE = list(servers_found())
# A cluster of the oldest version and one of each other engine would be more of the same.
CLUSTERED = [f"{CLUSTER}{ALONE[0]}"] if ALONE else []


@dataclass(frozen=True)
class Place:
    """Where a store can be opened, as often as a test likes."""

    kind: str
    location: str

    def open(self, namespace: str = "tests", **parameters: str) -> Store:
        """A store; other namespaces are other stores in the same place."""
        if self.kind == EMBEDDED:
            return open_store(str(Path(self.location) / namespace))
        query = "&".join(f"{name}={value}" for name, value in {"namespace": namespace, **parameters}.items())
        return open_store(f"{self.location}?{query}", patience=20)


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[Callable[[], list[RedisServer]]]:
    """Three primaries of the oldest version, started when they are first asked for."""
    running: list[RedisServer] = []

    def get() -> list[RedisServer]:
        if not running:
            running.extend(cluster_of(servers_found()[ALONE[0]], 3))
        return running

    yield get
    for server in running:
        server.stop()


def place_at(
    kind: str, folder: Path, running: Callable[[str], RedisServer], cluster: Callable[[], list[RedisServer]]
) -> tuple[Place, list[RedisServer]]:
    """An empty place, and the servers behind it."""
    if kind == EMBEDDED:
        return Place(kind, str(folder)), []
    servers = cluster() if kind.startswith(CLUSTER) else [running(kind)]
    for server in servers:
        with server.client() as client:
            client.flushall()
    return Place(kind, servers[0].url), servers
