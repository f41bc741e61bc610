"""Where the work runs (`--runner`): threads of this process, processes of this machine, its GPUs, or an existing Dask cluster.

`open_crew` gives the workers for a runner. One cluster a run: it is opened for the run and closed with it. Chunks are plain Dask tasks,
below Prefect's: those cost 130 to 210 ms each, these one (docs/decisions/0016). Results are counts; what is computed is in the store.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from auto_interventions.crew import Crew
from auto_interventions.errors import BadInput
from auto_interventions.flows.crews import GPU, DaskCrew
from auto_interventions.stages.equipping import meet

THREADS, DASK, CUDA = "threads", "dask", "dask-cuda"
RUNNERS = "threads, dask, dask:N (N processes), dask-cuda (one process a GPU), or the address of a Dask scheduler like tcp://HOST:8786"
_LOCAL = re.compile(r"dask(?::([1-9]\d*))?")
_ADDRESS = re.compile(r"(tcp|tls|ucx|ucxx|ws|wss)://[^/\s]+")
_CONNECT = 15  # seconds for an address to answer
_QUIET = ("distributed", "distributed.client", "tornado", "tornado.application", "bokeh", "asyncio")
# Results are counts, so memory is the models', which Dask can neither measure by itself nor spill; nobody looks at a dashboard.
_WORKER: dict[str, Any] = {
    "threads_per_worker": 1,
    "memory_limit": 0,
    "dashboard_address": "127.0.0.1:0",
    "silence_logs": logging.CRITICAL,
    "preload": ["auto_interventions.flows.at_start"],
}
# Dask has its workers give every freed 64 kB back to the system, and every tensor above 128 kB; to make texts, which asks for the same
# sizes again and again, took 12% more processor time (docs/runners.md). Set before a worker starts; what is in the environment comes first.
_KEEP_FREED = {"MALLOC_TRIM_THRESHOLD_": 1 << 30, "MALLOC_MMAP_THRESHOLD_": 1 << 25}


def check_runner(runner: str) -> None:
    """Raises:
    BadInput: there is no such runner.
    """
    if runner not in (THREADS, CUDA) and not _LOCAL.fullmatch(runner) and not _ADDRESS.fullmatch(runner):
        raise BadInput(f"--runner {runner}: is no runner; give one of {RUNNERS}")


@contextmanager
def open_crew(runner: str) -> Generator[Crew | None]:
    """The workers of `runner` for one run; None where this process does the work itself (threads).

    Raises:
        BadInput: no such runner, a package or GPU that it needs is not there, nobody answers at the address, other versions there.
    """
    check_runner(runner)
    if runner == THREADS:
        yield None
        return
    _configure()
    local = _LOCAL.fullmatch(runner)
    opened = _cuda_cluster() if runner == CUDA else _local_cluster(runner, int(local[1] or 0) or _cores()) if local else _existing(runner)
    with opened as crew:
        crew.facts = meet(crew)
        yield crew


@contextmanager
def opening_crew(runner: str) -> Generator[Callable[[], Crew | None]]:
    """As `open_crew`, in the background: what the block calls waits for the workers, which start meanwhile.

    Raises (what the block calls):
        BadInput: as `open_crew`.
    """
    if runner == THREADS:
        yield lambda: None
        return
    with ExitStack() as stack, ThreadPoolExecutor(1) as starter:
        opened = starter.submit(lambda: stack.enter_context(open_crew(runner)))
        try:
            yield opened.result
        finally:
            wait([opened])  # before the stack closes what is open by then


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _configure() -> None:
    """Before distributed is imported: its log is for those who run clusters; the user is told in sentences."""
    spawned = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in _KEEP_FREED.items()}
    _set({"logging": dict.fromkeys(_QUIET, "critical"), "distributed.comm.timeouts.connect": f"{_CONNECT}s", **spawned})
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _set(settings: dict[str, Any]) -> Any:
    """Settings of Dask; as a context they end with it."""
    import dask.config

    return dask.config.set(settings)


@contextmanager
def _closed(opened: Any) -> Generator[Any]:
    """Closes a client or a cluster after the block. Whatever Dask says when it cannot, the run is over: processes that are at work end with
    this one."""
    try:
        yield opened
    finally:
        with suppress(Exception):
            opened.close()


@contextmanager
def _local_cluster(runner: str, workers: int) -> Generator[DaskCrew]:
    from distributed import Client, LocalCluster

    threads = str(max(1, _cores() // workers))
    environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    with (
        # One chunk at a time with each worker: the next longest goes to whoever is free first.
        _set({"distributed.scheduler.worker-saturation": 1.0}),
        _closed(LocalCluster(n_workers=workers, processes=True, host="127.0.0.1", env=environment, **_WORKER)) as cluster,
        _closed(Client(cluster)) as client,  # as a block of its own it would belong to one thread
    ):
        yield DaskCrew(client, runner, local=True)


@contextmanager
def _cuda_cluster() -> Generator[DaskCrew]:
    import torch

    if not torch.cuda.is_available():
        raise BadInput(
            "--runner dask-cuda: this machine has no GPU that torch can use; use --runner dask, or the address of a cluster that has some"
        )
    try:
        from dask_cuda import LocalCUDACluster  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise BadInput(
            f"--runner dask-cuda: needs a package that is not installed ({error.name}); pip install 'auto-interventions[gpu]'"
        ) from None
    from distributed import Client

    # dask-cuda announces no resource by itself: without this one, chunks would wait for ever.
    with _closed(LocalCUDACluster(resources={GPU: 1}, **_WORKER)) as cluster, _closed(Client(cluster)) as client:
        yield DaskCrew(client, CUDA, local=True)


@contextmanager
def _existing(address: str) -> Generator[DaskCrew]:
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT)
    except Exception as error:  # names that do not resolve, ports that are another program's, certificates: each its own kind
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInput(
            f"--runner {address}: no Dask scheduler answers there ({lines[0][:160]}); start one with `dask scheduler`, or check the address"
        ) from None
    with _closed(client):
        crew = DaskCrew(client, address)
        if not crew.somebody():
            raise BadInput(f"--runner {address}: the scheduler has no worker; start some with `dask worker {address} --nthreads 1`")
        yield crew
