"""Audits on Dask clusters of processes: the same findings whatever the runner, whatever breaks on the way."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from auto_interventions.errors import BadInput, Interrupted, SubjectError
from auto_interventions.flows import crews
from auto_interventions.flows.crews import DaskCrew
from auto_interventions.flows.runners import _cores, check_runner, open_crew

from .crewed import Watching, audit, made, note_what_is_made
from .dask_cluster import cluster_in
from .faulty import Command, Undisturbed, findings, held, settings, spent
from .test_faults_kill import same_as_undisturbed

SEED = 6
SPREAD = ("texts of the base", "texts of the intervention", "embedding")
BATCH = 350 // 14  # rows of a batch at most (tests/flows/faulty.py)


@pytest.fixture(scope="module")
def crew() -> Iterator[DaskCrew]:
    """Three processes, once for all tests: they start for seconds."""
    with open_crew("dask:3") as opened:
        assert isinstance(opened, DaskCrew)
        yield opened


def pids(crew: DaskCrew) -> dict[str, int]:
    return crew._client.run(os.getpid)


def texts_of(folder: Path) -> bytes:
    return (folder / "texts.parquet").read_bytes()


@pytest.mark.parametrize("workers", [3, 2, 1])
def test_the_same_bits_on_any_number_of_workers(crew: DaskCrew, undisturbed: Undisturbed, tmp_path: Path, workers: int) -> None:
    crew._client.cluster.scale(workers)  # pyright: ignore[reportOptionalMemberAccess]
    while crew.workers != workers:
        time.sleep(0.1)
    watching = Watching(lambda _: None)
    where = audit(settings(tmp_path / "store"), tmp_path / "run", crew, watching)
    assert where.status == "done"
    assert findings(tmp_path / "run") == findings(undisturbed.folder)
    assert texts_of(tmp_path / "run") == texts_of(undisturbed.folder)
    assert {name: count for name, count in spent(tmp_path / "run").items() if name != "seconds"} == {
        name: count for name, count in spent(undisturbed.folder).items() if name != "seconds"
    }
    assert held(tmp_path / "store") == held(undisturbed.folder.parent / "store"), "nothing but what threads would have kept"
    assert watching.told > undisturbed.texts, "progress moves as chunks end"
    assert not any(subject._subject.__dict__.get("_model") for subject in where.subjects.values()), "this process loads no weights"  # pyright: ignore[reportAttributeAccessIssue]
    assert not where.encoder._encoder.loaded  # pyright: ignore[reportAttributeAccessIssue]


def test_workers_killed_in_every_spread_stage(crew: DaskCrew, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Ten kills (SIGKILL) and more at random moments: the same findings, and no batch is made twice but those that were at work."""
    crew._client.cluster.scale(3)  # pyright: ignore[reportOptionalMemberAccess]
    notes = tmp_path / "notes"
    notes.mkdir()
    crew.require(note_what_is_made, str(notes))
    chance = random.Random(SEED)
    killed: list[tuple[str, int]] = []
    at_once = max(1, _cores() // 3)  # batches that a worker makes side by side

    def kill_somebody(stage: str) -> None:
        time.sleep(chance.uniform(0, 0.4))
        with suppress(Exception):  # they come and go
            if alive := sorted(pids(crew).values()):
                killed.append((stage, chance.choice(alive)))
                os.kill(killed[-1][1], signal.SIGKILL)

    def begun(stage: str) -> None:
        if stage.endswith(SPREAD) and len(killed) < 10:
            threading.Thread(target=kill_somebody, args=(stage,)).start()

    for number in range(4):
        before, kills = made(notes, "texts"), len(killed)
        home = tmp_path / str(number)
        audit(settings(home / "store"), home / "run", crew, Watching(begun))
        assert findings(home / "run") == findings(undisturbed.folder)
        assert texts_of(home / "run") == texts_of(undisturbed.folder)
        assert spent(home / "run")["texts_reused"] == 0
        again = made(notes, "texts") - before - undisturbed.texts
        assert 0 <= again <= (len(killed) - kills) * BATCH * at_once, "a kill repeats the batches at work and no other"
        if len(killed) >= 10:
            break
    assert len(killed) >= 10
    assert all(any(stage.endswith(kind) for stage, _ in killed) for kind in SPREAD)
    crew.release(note_what_is_made, str(notes))


def test_an_error_of_ours_arrives_as_itself(crew: DaskCrew, undisturbed: Undisturbed, tmp_path: Path, demo: Path) -> None:
    """A model whose logits are not numbers, found out by a worker."""
    import shutil

    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(demo / "models" / "base", tmp_path / "model")
    weights = load_file(broken / "model.safetensors")
    save_file({name: tensor * float("nan") for name, tensor in weights.items()}, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(SubjectError, match=r"^base: .* answers NaN in fp32; set `base.quantization: bf16`"):
        audit(settings(tmp_path / "store", base={"model": str(broken)}), tmp_path / "run", crew)


def test_a_chunk_that_kills_its_workers(crew: DaskCrew) -> None:
    from auto_interventions.crew import Chunk

    with pytest.raises(Interrupted, match=r"--runner dask:3: a chunk of work ended 4 workers .* want of memory; use fewer"):
        crew.run([Chunk(os._exit, (9,), 1.0, 1)])


def test_no_runner_of_that_name() -> None:
    for runner in ("dsk", "dask:0", "dask:x", "dask:", "tcp://", "localhost:8786", "dask-cuda:2"):
        with pytest.raises(BadInput, match=rf"^--runner {runner}: is no runner; give one of threads, dask, dask:N"):
            check_runner(runner)


def test_no_gpu_here() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BadInput, match="this machine has no GPU that torch can use; use --runner dask"), open_crew("dask-cuda"):
        pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tcp://no-such-host.invalid:8786"])
def test_nobody_at_the_address(address: str) -> None:
    with pytest.raises(BadInput, match=rf"--runner {address}: no Dask scheduler answers there"), open_crew(address):
        pass


def test_the_command_on_a_cluster_whose_scheduler_is_killed(prefect_server: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """A clear sentence; with scheduler and workers started again, the same command goes on."""
    with cluster_in(tmp_path) as cluster:
        cluster.scheduler()
        with pytest.raises(BadInput, match="the scheduler has no worker; start some with `dask worker"), open_crew(cluster.address):
            pass
        cluster.worker("--nworkers", "2")
        cluster.wait_for_workers()
        command = Command(tmp_path, prefect_server, settings(tmp_path / "store"), more=("--runner", cluster.address))
        running = command.started_until("explore round 2: texts of the base")
        cluster.kill()
        _, said = running.communicate(timeout=120)
        last = said.splitlines()[-1]
        assert running.returncode == 3, said
        assert "the Dask scheduler does not answer any more; start it and its workers, then the same audit again" in last
        assert "Traceback" not in said
        assert "distributed" not in said, "the log of distributed is no business of the user's"
        left = held(tmp_path / "store")
        cluster.stop()
        cluster.scheduler(port=int(cluster.address.rpartition(":")[2]))
        cluster.worker()
        cluster.wait_for_workers()
        assert command.audit()[0] == 0
        assert findings(command.out) == findings(undisturbed.folder)
        left.pop("check", None)
        same_as_undisturbed(command.out, tmp_path / "store", left, undisturbed)


def children(pid: int) -> set[int]:
    import psutil

    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_no_process_is_left_behind(prefect_server: str, undisturbed: Undisturbed, tmp_path: Path, how: str) -> None:
    """Of a command that is killed, or interrupted as Ctrl-C does it: the whole group; what was done is there."""
    import psutil

    command = Command(tmp_path, prefect_server, settings(tmp_path / "store"), more=("--runner", "dask:2"))
    running = command.started_until("explore round 2: texts of the base")
    below = children(running.pid)
    assert len(below) >= 2
    if how == "killed":
        running.kill()
        running.wait()
    else:
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert said.splitlines()[-1] == "Interrupted; what was done is saved: start the same audit again to go on.", said
        assert running.returncode == 130
        assert "Traceback" not in said
    deadline = time.monotonic() + 30
    while left := {pid for pid in below if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE}:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    assert held(tmp_path / "store")["generation"] >= 160


def test_no_worker_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The last worker goes: bounded waiting, then a sentence."""
    from auto_interventions.crew import Chunk

    monkeypatch.setattr(crews, "PATIENCE", 3.0)
    with cluster_in(tmp_path) as cluster:
        cluster.scheduler()
        worker = cluster.worker("--no-nanny", "--resources", "GPU=1")
        cluster.wait_for_workers()
        with open_crew(cluster.address) as crew:
            assert crew is not None
            cluster.kill(worker)
            with pytest.raises(Interrupted, match="there has been no worker with the resource GPU for 3 seconds; start workers"):
                crew.run([Chunk(os.getpid, (), 1.0, 1)])
