"""A team's server with a process worker and the deployments, as `auto-interventions deploy` and `prefect worker start` make them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from .faulty import settings
from .test_server import COMMAND, answered, environment_of, wait_for

SECRET = "sk-nobody-may-read-this"
NAME = "TEAM_TEST_KEY"
PATIENCE = 400
# A server whose SQLite refused an event holds its followers back for 15 minutes, then lets them go (docs/deployments.md, Crashes).
RESTART_PATIENCE = 1100
FLOWS = ("audit", "compare", "plant", "checkpoints", "resume")
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# One Python less to start than the worker's own way; one test goes that way.
QUICK = {"command": f"{sys.executable} -m prefect.engine"}
# What a user's server does every 60 s, every 10 s: here nobody wants to wait.
FAST = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "3",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT15S",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "1",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_WORKER_PREFETCH_SECONDS": "2",
}


class Hook:
    """A webhook on this machine, and what was posted to it."""

    def __init__(self) -> None:
        posted: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.posted = posted
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Team:
    """The server's API, the worker's folder, and requests that its users make."""

    url: str
    folder: Path
    hook: Hook = field(default_factory=Hook)

    def environment(self) -> dict[str, str]:
        return {**environment_of(self.folder, self.url), **FAST, NAME: SECRET}

    def deploy(self) -> subprocess.CompletedProcess[str]:
        """As a user makes the deployments, with a secret, a webhook, and one restart after a crash."""
        command = [
            COMMAND,
            "deploy",
            "--secret",
            NAME,
            "--notify",
            self.hook.url,
            "--resume-at-most",
            "1",
            "--judging-at-once",
            "2",
            "--results",
            str(self.folder / "results"),
        ]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def audit_file(self, name: str, **parts: Any) -> Path:
        """An audit of the demo's models that takes seconds, with a store of its own."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(settings(self.folder / f"store-{name}", **{"name": name, **parts})))
        return path

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = answered("POST", f"{self.url}{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        return answered("GET", f"{self.url}{path}").raise_for_status().json()

    def deployment(self, name: str) -> dict[str, Any]:
        return self.get(f"/deployments/name/{name}")

    def start(self, name: str, parameters: Mapping[str, Any], quick: bool = True) -> str:
        """Starts a run of a deployment over REST; its id."""
        body = {"parameters": parameters, "job_variables": QUICK if quick else {}}
        return str(self.post(f"/deployments/{self.deployment(name)['id']}/create_flow_run", body)["id"])

    def run(self, identifier: str) -> dict[str, Any]:
        return self.get(f"/flow_runs/{identifier}")

    def ended(self, identifier: str) -> dict[str, Any]:
        """The run, once it is over."""
        wait_for(lambda: self.run(identifier)["state_type"] in FINAL, PATIENCE)
        return self.run(identifier)

    def runs_of(self, flow: str) -> list[dict[str, Any]]:
        """Oldest first."""
        return self.post("/flow_runs/filter", {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"})

    def logs(self, identifier: str | None = None) -> list[dict[str, Any]]:
        only = {"logs": {"flow_run_id": {"any_": [identifier]}}} if identifier else {}
        return self.post("/logs/filter", {**only, "limit": 200})

    def events(self, name: str) -> list[dict[str, Any]]:
        return self.post("/events/filter", {"filter": {"event": {"name": [name]}}})["events"]

    def states(self, identifier: str) -> list[str]:
        """All states that a run went through."""
        return [state["type"] for state in self.get(f"/flow_run_states/?flow_run_id={identifier}")]


@contextmanager
def worker(team: Team) -> Iterator[None]:
    """A real process worker, and its log in `worker.log`."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "process", "--type", "process", "--limit", "3"]
    environment = team.environment()
    environment.pop(NAME)  # flow runs get it from the block
    with (team.folder / "worker.log").open("wb") as log:
        running = subprocess.Popen(command, cwd=team.folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)  # asked politely it waits for the runs that wait for each other
        running.wait()


def process_of(identifier: str) -> int | None:
    """The process in which this machine runs a flow run's own code."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                told = (entry / "environ").read_bytes()
                if f"PREFECT__FLOW_RUN_ID={identifier}".encode() in told and b"prefect.engine" in (entry / "cmdline").read_bytes():
                    return int(entry.name)
    return None


def when(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `what` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if found := what():
                return found
        time.sleep(0.2)
    raise AssertionError(f"nothing within {seconds} s")
