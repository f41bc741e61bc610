"""Cancelling in Prefect: the audit stops within a batch, says one sentence, and starting it again does nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from .faulty import Command, ended, held, settings, spent
from .test_server import answered, end, environment_of, wait_for

SENTENCE = "error: the run was cancelled in Prefect; what was done is saved: start the same audit again to go on"
LONG: dict[str, Any] = {"sampling": {"max_texts": 6_000, "initial": 4_000, "rounds": 2}}


def newest(url: str, name: str) -> dict[str, Any]:
    """The newest flow run of that name."""
    asked = {"flow_runs": {"name": {"like_": name}}, "sort": "START_TIME_DESC", "limit": 1}
    return answered("POST", f"{url}/flow_runs/filter", json=asked).json()[0]


def cancel(url: str, run: str) -> None:
    """As the button in the UI does."""
    answered("POST", f"{url}/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()


def status(folder: Path) -> tuple[str, str]:
    run = json.loads((folder / "run.json").read_text())
    return run["status"], run.get("error", "")


def logged(url: str, run: str) -> list[str]:
    asked = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200, "sort": "TIMESTAMP_ASC"}
    return [line["message"] for line in answered("POST", f"{url}/logs/filter", json=asked).json()]


def test_the_command_ends_and_resumes(prefect_server: str, tmp_path: Path) -> None:
    config = settings(tmp_path / "store", seed=71, **LONG)
    command = Command(tmp_path, prefect_server, config)
    running = command.started_until("explore round 1: texts of the base")
    wait_for(lambda: held(tmp_path / "store")["generation"] > 0)  # it is in the middle of 2,000 texts
    run = newest(prefect_server, "faulty 71")
    cancel(prefect_server, run["id"])
    code, last = ended(running)
    assert (code, last) == (3, SENTENCE)
    done = held(tmp_path / "store")["generation"]
    assert 0 < done < 2_000
    assert status(command.out) == ("interrupted", SENTENCE.removeprefix("error: "))
    after = httpx.get(f"{prefect_server}/flow_runs/{run['id']}").json()
    assert after["state_type"] == "CANCELLED"
    assert after["state"]["message"] == SENTENCE.removeprefix("error: ")
    assert not [line for line in logged(prefect_server, run["id"]) if "Traceback" in line]

    # To the end, with fewer texts in all: what the cancelled run made is found.
    short = settings(tmp_path / "store", seed=71, sampling={"max_texts": 400, "initial": 160, "rounds": 1})
    again = Command(tmp_path / "again", prefect_server, short)
    assert again.audit()[0] == 0
    ledger = spent(again.out)
    assert ledger["texts_reused"] > 0
    assert held(tmp_path / "store")["generation"] == done + ledger["texts"] - ledger["texts_reused"]


SERVED = """
import sys
from pathlib import Path
from prefect import flow
from prefect.states import Completed
from auto_interventions.audit_file import load_audit
from auto_interventions.flows.outcomes import told
from auto_interventions.flows.starting import audit_within_flow
from auto_interventions.stages.progress import Silent

@flow(name="served", log_prints=False)
def served(audit_file: str, out: str):
    return told(lambda: Completed(message=audit_within_flow(load_audit(Path(audit_file)), Path(out), Silent())))

if __name__ == "__main__":
    served.serve(name=sys.argv[1])
"""


def test_a_run_that_prefect_started_ends_and_resumes(prefect_server: str, tmp_path: Path) -> None:
    """Its runner sends SIGTERM."""
    config = settings(tmp_path / "store", seed=72, **LONG)
    command = Command(tmp_path, prefect_server, config)
    (tmp_path / "served.py").write_text(SERVED)
    with (tmp_path / "served.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "served.py", "cancelled"], cwd=tmp_path, env=environment_of(tmp_path, prefect_server), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        deployment = f"{prefect_server}/deployments/name/served/cancelled"
        wait_for(lambda: httpx.get(deployment).status_code == 200)
        given = {"parameters": {"audit_file": str(tmp_path / "audit.yaml"), "out": str(command.out)}}
        served = answered("GET", deployment).json()["id"]
        run = answered("POST", f"{prefect_server}/deployments/{served}/create_flow_run", json=given).json()["id"]
        wait_for(lambda: held(tmp_path / "store")["generation"] > 0, 240)
        cancel(prefect_server, run)
        wait_for(lambda: httpx.get(f"{prefect_server}/flow_runs/{run}").json()["state_type"] == "CANCELLED", 120)
        wait_for(lambda: status(command.out)[0] != "running", 60)
    finally:
        end(server)
    told = status(command.out)
    assert told[0] == "interrupted"
    assert told[1].endswith("what was done is saved: start the same audit again to go on")
    done = held(tmp_path / "store")["generation"]
    assert 0 < done < 2_000
    resumed = command.started_until("explore round 1: texts of the base")
    wait_for(lambda: held(tmp_path / "store")["generation"] > done)
    os.killpg(resumed.pid, signal.SIGKILL)
    resumed.wait()
    assert status(command.out)[0] == "running"
