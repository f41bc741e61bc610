"""Workers on another network host, with and without what they need there; a chat model that workers ask."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import auto_interventions
from auto_interventions.config import AuditConfig
from auto_interventions.errors import BadInput, SubjectError
from auto_interventions.flows.runners import open_crew
from auto_interventions.stages.workspace import Workspace

from ..redis_server import Starter
from .crewed import audit
from .dask_cluster import FarHost, cluster_in, far_host
from .faulty import REPOSITORY, Undisturbed, findings, held, settings


@pytest.fixture(scope="module")
def far() -> Iterator[FarHost]:
    with far_host() as host:
        yield host


def refused(config: dict[str, Any], folder: Path, address: str) -> BadInput | None:
    """Why the workers there cannot work on the audit."""
    try:
        with open_crew(address) as crew, Workspace.create(AuditConfig.model_validate(config), folder, None, None, crew) as where:
            where.equip()
    except BadInput as error:
        return error
    return None


def test_all_workers_on_the_far_host(far: FarHost, undisturbed: Undisturbed, start_redis: Starter, tmp_path: Path) -> None:
    """They share nothing with this one but the network, a Redis and the models' folder; the folder of the run is not there."""
    redis = start_redis("--bind", far.near, "127.0.0.1", "--protected-mode", "no")
    store = f"redis://{far.near}:{redis.port}/0"
    with cluster_in(tmp_path) as cluster:
        cluster.scheduler(far.near)
        (tmp_path / "run").mkdir()
        for number in (1, 2):
            cluster.worker("--host", far.far, "--name", f"far-{number}", before=far.before(tmp_path / "run"))
        cluster.wait_for_workers()
        with open_crew(cluster.address) as crew:
            assert crew is not None
            audit(settings(store), tmp_path / "run", crew)
    assert findings(tmp_path / "run") == findings(undisturbed.folder)
    assert (tmp_path / "run" / "texts.parquet").read_bytes() == (undisturbed.folder / "texts.parquet").read_bytes()
    assert held(store) == held(undisturbed.folder.parent / "store")


def test_a_host_without_what_it_takes(far: FarHost, tmp_path: Path) -> None:
    """Another store, other files of a model, no model, another version: each a sentence that names the host and the fix."""
    model, store = tmp_path / "model", tmp_path / "store"
    shutil.copytree(REPOSITORY / "demo" / "models" / "base", model)
    store.mkdir()
    changed = tmp_path / "changed" / "auto_interventions"
    shutil.copytree(Path(auto_interventions.__file__).parent, changed, ignore=shutil.ignore_patterns("__pycache__"))
    (changed / "records.py").write_text((changed / "records.py").read_text() + "\n# changed\n")
    config = settings(store, base={"model": str(model)}, intervention={"model": str(REPOSITORY / "demo" / "models" / "base")})
    cases: list[tuple[type[BadInput], str, list[Path], dict[str, str]]] = [
        (BadInput, rf"^the worker on far sees another store at {store} .* use `store: redis://HOST:6379/0`", [store], {}),
        (SubjectError, rf"^the worker on far lacks a model: base\.model: {model} holds no config\.json", [model], {}),
        (
            BadInput,
            r"^the worker on far has other source files of auto-interventions .* install the same there",
            [],
            {"PYTHONPATH": str(changed.parent)},
        ),
    ]
    with cluster_in(tmp_path) as cluster:
        cluster.scheduler(far.near)
        for kind, sentence, hidden, environment in cases:
            worker = cluster.worker("--no-nanny", "--host", far.far, before=far.before(*hidden), **environment)
            while (said := refused(config, tmp_path / "run", cluster.address)) is not None and "has no worker" in str(said):
                time.sleep(0.2)
            assert type(said) is kind
            assert re.search(sentence, str(said)), said
            cluster.kill(worker)
