"""Serves the deployments from this process: a laptop needs no work pool and no worker.

Where no server is named, one with the UI is started beside it, on Prefect's own port, and ends with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from auto_interventions.errors import Interrupted
from auto_interventions.flows.bootstrap import automate
from auto_interventions.flows.deploying import described, entries, find_prefect_file, load, schedules_of
from auto_interventions.flows.pages import Pages
from auto_interventions.flows.server import SETTINGS, comes_up, free_port, is_free
from auto_interventions.flows.showing import REPORTS_URL

DEPLOYMENT = "laptop"
"""What the deployments are called: audit/laptop."""
RESUME_AT_MOST = 3
PORT = 4200


def serve(host: str, reports_port: int, limit: int, tell: Callable[[str, str], None]) -> None:
    """Serves deployments and the folder `runs` until SIGINT or SIGTERM.

    Args:
        host: of the reports.
        reports_port: 0: a free one.
        limit: flow runs at a time.
        tell: is given names and addresses of what is served, once it is.

    Raises:
        Interrupted: a port is taken, or the server does not answer.
    """
    for asked in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first, unless told otherwise
        signal.signal(asked, signal.default_int_handler)
    pages = Pages(Path("runs"), host, reports_port)
    # Flow runs are processes below this one, and inherit it.
    os.environ[REPORTS_URL] = pages.url
    try:
        with suppress(KeyboardInterrupt), named_or_started() as api:
            _serve(api, pages.url, limit, tell)
    finally:
        pages.stop()


def _serve(api: str, reports: str, limit: int, tell: Callable[[str, str], None]) -> None:
    import prefect
    from prefect.deployments.runner import RunnerDeployment
    from prefect.types.entrypoint import EntrypointType

    served: list[RunnerDeployment] = []
    for entry in entries(find_prefect_file(), "process"):
        flow: Any = load(entry["entrypoint"])
        served.append(
            flow.to_deployment(
                DEPLOYMENT,
                description=described(flow),
                tags=list(entry["tags"]),
                concurrency_limit=entry.get("concurrency_limit", {}).get("limit"),
                schedules=_schedules(f"{flow.name}/{DEPLOYMENT}", entry),
                paused=False,  # serving ends with all of them paused
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
        )
    identifiers = [cast("UUID", deployment.apply()) for deployment in served]
    try:
        automate(DEPLOYMENT, RESUME_AT_MOST, None)
        tell("UI", api.removesuffix("/api"))
        tell("Reports", reports)
        for deployment in served:
            tell("Deployment", deployment.full_name)
        prefect.serve(*served, print_starting_message=False, limit=limit)
    finally:
        _pause(identifiers)


def _pause(identifiers: Sequence[UUID]) -> None:
    """Nobody takes their scheduled runs any more. Prefect does this too, but not where it is ended while it starts."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client, suppress(Exception):  # the server may have ended first
        for identifier in identifiers:
            client.pause_deployment(identifier)


def _schedules(name: str, entry: Mapping[str, Any]) -> list[Any]:
    """Those that the deployment has, from the last time that it was served, else those of the file: serving again makes it anew."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            there = client.read_deployment_by_name(name)
        except ObjectNotFound:
            return schedules_of(entry)
    kept = ("schedule", "active", "parameters", "slug", "max_scheduled_runs")
    return [DeploymentScheduleCreate.model_validate({key: getattr(one, key, None) for key in kept}) for one in there.schedules]


@contextmanager
def named_or_started() -> Generator[str]:
    """The API of the server that the settings name; else of one that is started for as long as the block lasts.

    Raises:
        Interrupted: it does not answer.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from prefect.settings import PREFECT_API_URL

    from auto_interventions.flows.server import NamedServer

    if named := PREFECT_API_URL.value():
        NamedServer(named).wait()
        yield named
        return
    port = PORT if is_free(PORT) else free_port()
    url = f"http://127.0.0.1:{port}/api"
    process = _start(port)
    os.environ["PREFECT_API_URL"] = url
    try:
        if not comes_up(url, process):
            raise Interrupted(
                "Prefect's server did not start; run `prefect server start` to see why, then `auto-interventions serve` again"
            )
        from prefect.settings import temporary_settings

        with temporary_settings({PREFECT_API_URL: url}):
            yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _start(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    # In a session of its own: Ctrl-C reaches this process only, which lets the flow runs end before their server.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
