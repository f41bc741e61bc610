"""Prefect's server: the one that is configured is used, a temporary one is never left behind, a missing one is one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from auto_interventions.flows.server import SETTINGS, free_port

COMMAND = Path(sys.executable).with_name("auto-interventions")


@pytest.fixture
def audit_file(tmp_path: Path) -> Path:
    """A small audit of recorded texts: one side says one thing more often."""
    rows = [
        {"model": role, "prompt": f"Prompt {number}", "stratum": "ab"[number % 2], "text": f"Thing {number * 7 % 13} is here.{more}"}
        for number in range(120)
        for role, more in (("base", ""), ("intervention", " Surely!" if number % 3 else ""))
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "audit.yaml"
    path.write_text(
        "name: surely\nbase: {texts: texts.jsonl}\nintervention: {texts: texts.jsonl}\nprompts: {source: recorded, strata: given}\n"
        "sampling: {max_texts: 240, initial: 40, per_round: 40, rounds: 3}\nclustering: {clusters: 4}\n"
    )
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with started_server(tmp_path) as url:
        yield url


@contextmanager
def started_server(tmp_path: Path) -> Generator[str]:
    """The API of a server as a user starts it."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}/api"
    environment = {**environment_of(tmp_path, None), **SETTINGS, "PREFECT_HOME": str(tmp_path / "prefect-of-server")}
    environment["PREFECT_UI_API_URL"] = url  # else its pages ask port 4200
    environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "ERROR"  # server.log says what went wrong
    with (tmp_path / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: httpx.get(f"{url}/health").status_code == 200, 240)
        yield url
    finally:
        end(running)


def end(running: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """SIGTERM to it and all below it; SIGKILL where that is not heeded: Prefect's own processes at times wait for ever."""
    for asked in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(running.pid, asked)
        with suppress(subprocess.TimeoutExpired):
            running.wait(seconds)
            return


def answered(method: str, url: str, **given: Any) -> httpx.Response:
    """The answer of a server with SQLite: 503 means that its database is locked, and is asked again, as Prefect's own client does."""
    deadline = time.monotonic() + 120
    while True:
        answer = httpx.request(method, url, timeout=60, **given)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer
        time.sleep(0.5)


def wait_for(what: Callable[[], bool], seconds: float = 90) -> None:
    """Asks until it is so; a server that does not answer yet is not so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if what():
                return
        time.sleep(0.3)
    raise AssertionError(f"not so within {seconds} s")


def environment_of(tmp_path: Path, url: str | None) -> dict[str, str]:
    environment = {**os.environ, "AUTO_INTERVENTIONS_CACHE": str(tmp_path / "cache"), "PREFECT_HOME": str(tmp_path / "prefect-of-user")}
    environment.pop("PREFECT_API_URL", None)
    return environment if url is None else {**environment, "PREFECT_API_URL": url}


def test_a_configured_server_records_the_run(audit_file: Path, tmp_path: Path, server: str) -> None:
    done = subprocess.run(
        [COMMAND, "audit", audit_file, "--out", tmp_path / "run"],
        env=environment_of(tmp_path, server), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "surely" in done.stdout
    runs = answered("POST", f"{server}/flow_runs/filter", json={}).json()
    assert [(run["name"], run["state_type"]) for run in runs] == [("surely: texts → texts", "COMPLETED")]
    wanted = {"prepare prompts", "explore 2: 20 texts of base", "explore 1: diverge", "confirm 1: judge", "conclude", "write report.html"}

    def recorded() -> bool:
        tasks = answered("POST", f"{server}/task_runs/filter", json={"limit": 200}).json()
        return wanted <= {task["name"] for task in tasks} and {task["state_type"] for task in tasks} == {"COMPLETED"}

    wait_for(recorded)  # the recorder is a service of its own and comes a little later


def test_a_server_that_does_not_answer_is_one_sentence(audit_file: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "audit", audit_file, "--out", tmp_path / "run"],
        env=environment_of(tmp_path, "http://127.0.0.1:9/api"), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3
    assert "no Prefect server answers there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_killed_audit_leaves_no_server_behind(tmp_path: Path) -> None:
    code = "from auto_interventions.flows.server import begin; import time; print(begin()._process.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment_of(tmp_path, None), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not _runs(child), 30)


def _runs(process: int) -> bool:
    """Whether it is there and no zombie that nobody has reaped."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
