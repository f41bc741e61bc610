"""`auto-interventions serve`: the UI and the deployments on one machine, and nothing left behind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from .deployment_team import FLOWS
from .test_server import COMMAND, answered, environment_of


@contextmanager
def served(folder: Path, url: str | None) -> Generator[dict[str, list[str]]]:
    """What the command said that it serves, by kind; ends it as Ctrl-C does, and looks at how it ended."""
    command = [COMMAND, "serve", "--reports-port", "0"]
    with (folder / "serve.log").open("wb") as log:
        running = subprocess.Popen(
            command, cwd=folder, env=environment_of(folder, url), stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    assert running.stdout is not None
    told: dict[str, list[str]] = {}
    for line in running.stdout:
        kind, _, what = line.strip().partition(": ")
        told.setdefault(kind, []).append(what)
        if what == "resume/laptop":
            break
    try:
        assert "Deployment" in told, (folder / "serve.log").read_text()
        yield told
    finally:
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(180) == 0, (folder / "serve.log").read_text()
        finally:
            running.kill()  # where it would not end
    assert "Traceback" not in (folder / "serve.log").read_text()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=20, follow_redirects=True).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_laptop_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "runs" / "stories").mkdir(parents=True)
    (tmp_path / "runs" / "stories" / "report.html").write_text("found")
    with served(tmp_path, None) as told:
        [ui], [reports] = told["UI"], told["Reports"]
        assert answers(f"{ui}/api/health")
        assert answers(f"{reports}/stories/report.html")
        assert told["Deployment"] == [f"{flow}/laptop" for flow in FLOWS]
        for name in told["Deployment"]:
            assert httpx.get(f"{ui}/api/deployments/name/{name}").json()["entrypoint"].startswith("auto_interventions.flows.")
    assert not answers(f"{ui}/api/health")
    assert not answers(f"{reports}/stories/report.html")


def test_schedules_stay_from_one_day_to_the_next(tmp_path: Path, prefect_server: str) -> None:
    place = f"{prefect_server}/deployments/name/checkpoints/laptop"
    with served(tmp_path, prefect_server):
        first = httpx.get(place).json()
        assert [(one["schedule"]["cron"], one["active"]) for one in first["schedules"]] == [("0 3 * * *", False)]
        other = {"schedule": {"cron": "30 4 * * *", "timezone": "Europe/Berlin"}, "active": True}
        answered("POST", f"{prefect_server}/deployments/{first['id']}/schedules", json=[other]).raise_for_status()
    assert httpx.get(place).json()["paused"]
    with served(tmp_path, prefect_server):
        again = httpx.get(place).json()
        assert (again["id"], again["paused"]) == (first["id"], False)
        kept = sorted((one["schedule"]["cron"], one["schedule"]["timezone"], one["active"]) for one in again["schedules"])
        assert kept == [("0 3 * * *", "UTC", False), ("30 4 * * *", "Europe/Berlin", True)]
