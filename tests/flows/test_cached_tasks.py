"""Prefect's cache over the store: what a task made is not asked for again by another audit, and a cache that lies does no harm."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from .faulty import Command, findings, settings, spent
from .test_server import answered


def states(url: str, name: str) -> Counter[tuple[str, str]]:
    """(task, state) of all task runs of the newest flow run whose name begins with `name`."""
    flows: list[dict[str, Any]] = answered(
        "POST", f"{url}/flow_runs/filter", json={"sort": "START_TIME_DESC", "flow_runs": {"name": {"like_": name}}}
    ).json()
    tasks: list[dict[str, Any]] = answered(
        "POST", f"{url}/task_runs/filter", json={"flow_runs": {"id": {"any_": [flows[0]["id"]]}}, "limit": 200}
    ).json()
    kinds = {" texts of ": "generate", ": embed": "embed"}
    return Counter(
        (next((kind for part, kind in kinds.items() if part in task["name"]), task["name"]), task["state_name"]) for task in tasks
    )


def test_an_extended_audit_takes_cached_tasks_and_a_lost_store_is_filled_again(prefect_server: str, tmp_path: Path) -> None:
    config = settings(tmp_path / "store", name="cached once")
    first = Command(tmp_path / "home", prefect_server, config)
    assert first.audit()[0] == 0
    once = states(prefect_server, "cached once")
    assert once["generate", "Completed"] >= 4
    assert not [state for _, state in once if state == "Cached"]

    # Another number of clusters: another audit, of the same texts and vectors.
    file = tmp_path / "home" / "audit.yaml"
    file.write_text(yaml.safe_dump({**config, "name": "cached twice", "clustering": {"clusters": 5}, "sampling": {**config["sampling"]}}))
    second = Command(tmp_path / "home", prefect_server, yaml.safe_load(file.read_text()))
    shutil.move(first.out, tmp_path / "first")
    assert second.audit()[0] == 0
    twice = states(prefect_server, "cached twice")
    assert twice["generate", "Cached"] >= 2
    assert twice["embed", "Cached"] >= 1
    assert spent(second.out)["texts_reused"] >= 2 * 60
    shutil.move(second.out, tmp_path / "second")

    # The store is gone, Prefect's results are not: they name what is no more, and it is made again.
    shutil.rmtree(tmp_path / "store")
    assert second.audit()[0] == 0
    assert findings(second.out) == findings(tmp_path / "second")
    assert spent(second.out)["texts_reused"] == 0
