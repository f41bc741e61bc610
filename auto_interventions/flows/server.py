"""Prefect's settings for an audit, and its server.

A flow needs an API. Where `PREFECT_API_URL` or the active profile names a server, that one is used; else a temporary one is started, which
takes 5 to 15 s: `begin` starts it in the background, so that the models load meanwhile. Prefect would start one by itself, but only at
the first flow, with 2.5 s of imports in this process, and would leave it behind when this process is killed.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from auto_interventions.errors import Interrupted

# Set before prefect is first imported; a user's own setting wins.
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # offline, its telemetry ends in a `database is locked` traceback
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the watcher tells the person; the API keeps the log
    # One by one these write so slowly that the next flow waits a minute for them (measured: 63 s after 1,000 tasks).
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
}
# What Prefect 3.8.8 gives its own temporary servers: no UI, no services that a single run does not need.
TEMPORARY = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
STARTUP_SECONDS = 120
_PR_SET_PDEATHSIG = 1


class TemporaryServer:
    """A Prefect server on a free port of this machine, that ends with this process, however that ends."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api"
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"],
            env={**os.environ, **TEMPORARY},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            # In a session of its own: Ctrl-C on a terminal reaches this process alone, which still has to tell the server how it ends.
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        # Registered before prefect is imported, so it runs after prefect's own handlers have sent their last logs.
        atexit.register(self.stop)

    def wait(self) -> None:
        """Returns when the server answers.

        Raises:
            Interrupted: it does not.
        """
        if comes_up(self.url, self._process):
            return
        self._log.seek(0)
        reason = self._log.read().decode("utf-8", "replace").strip().splitlines()[-1:] or [f"no answer in {STARTUP_SECONDS} s"]
        raise Interrupted(
            f"Prefect's server did not start ({reason[0]}); start the same audit again, or name a running server with PREFECT_API_URL"
        )

    def stop(self) -> None:
        """Ends the server."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()


def free_port(first: int = 22_000, last: int = 31_999) -> int:
    """A port of 127.0.0.1 that nobody uses, from a range that Linux and macOS never give to outgoing connections.

    Ports that the system chooses come from that of outgoing connections: one of those may take the port before the server listens on it.
    """
    ports = random.sample(range(first, last + 1), 100)
    return next(port for port in ports if is_free(port))


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections of an earlier server do not hinder
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def comes_up(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server of `process` answers at `url` in good time."""
    import httpx

    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return True
        time.sleep(0.1)
    return False


class NamedServer:
    """The server that the user's settings name."""

    def __init__(self, url: str) -> None:
        self.url = url

    def wait(self) -> None:
        """Checks that it answers.

        Raises:
            Interrupted: it does not.
        """
        import httpx

        try:
            httpx.get(f"{self.url.rstrip('/')}/health", timeout=15).raise_for_status()
        except httpx.HTTPError as error:
            raise Interrupted(
                f"PREFECT_API_URL={self.url}: no Prefect server answers there ({error}); "
                "start it with `prefect server start`, or unset PREFECT_API_URL"
            ) from error


def named_by_user() -> bool:
    """Whether the environment, or perhaps a profile, names a server: somebody may be watching there. Does not import prefect."""
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH", str(home / "profiles.toml"))).expanduser()
    return bool(os.environ.get("PREFECT_API_URL")) or profiles.exists()


@lru_cache(maxsize=1)
def begin() -> TemporaryServer | NamedServer:
    """Configures Prefect and gives this process's server, started in the background where there is none."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    server = None if os.environ.get("PREFECT_API_URL") else TemporaryServer()
    from prefect.settings import PREFECT_API_URL

    if named := PREFECT_API_URL.value():  # in the environment, or in a profile
        if server is not None:
            server.stop()
        return NamedServer(named)
    return server or NamedServer(os.environ["PREFECT_API_URL"])


def watched() -> bool:
    """Whether this process's flows are on a server that stays when they have ended: automations may wait for them, people may look."""
    return isinstance(begin(), NamedServer)


@contextmanager
def connected(server: TemporaryServer | NamedServer) -> Generator[None]:
    """Flows in this block talk to `server`, once it answers.

    Raises:
        Interrupted: it does not.
    """
    server.wait()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server.url}):
        yield


def _end_with_parent() -> None:
    """In the child: Linux sends it SIGTERM when its parent dies, by SIGKILL too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
