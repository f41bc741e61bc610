"""Where the work runs (`--runner`): threads of this process, processes of this machine, its GPUs, or an existing Dask cluster.

`open_crew` gives the workers for a runner. One cluster a run: it is opened for the run and closed with it. Chunks are plain Dask tasks,
below Prefect's: those cost 130 to 210 ms each, these one (docs/decisions/0016). Their results are counts; what they compute is in the store.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from auto_interventions.crew import Chunk, Crew, wanted
from auto_interventions.errors import AutoInterventionsError, BadInput, Interrupted

if TYPE_CHECKING:
    from distributed import Client, Future

THREADS = "threads"
Required = tuple[str, Callable[..., Any], tuple[Any, ...]]
RUNNERS = "threads, dask, dask:N (N processes), dask-cuda (one process a GPU), or the address of a Dask scheduler like tcp://HOST:8786"
GPU = "GPU"
# Seconds without a single worker, after which nobody is thought to come.
PATIENCE = 60.0
_NO_DASHBOARD: Any = None
_LOOK = 1.0  # seconds between two looks at whether anybody is there
_CONNECT = 15  # seconds for an address to answer
_ADDRESS = re.compile(r"(tcp|tls|ucx|ucxx|ws|wss)://[^/\s]+")


def check_runner(runner: str) -> None:
    """Raises:
    BadInput: there is no such runner.
    """
    local = re.fullmatch(r"dask(?::(\d+))?", runner)
    if runner in (THREADS, "dask-cuda") or _ADDRESS.fullmatch(runner) or (local and local[1] != "0" and (local[1] or ":" not in runner)):
        return
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
    if runner == "dask-cuda":
        opened = _cuda_cluster()
    elif runner.startswith("dask"):
        opened = _local_cluster(int(runner.partition(":")[2] or 0) or _cores())
    else:
        opened = _existing(runner)
    with opened as crew:
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
        _configure()  # here: what threads are told of Dask's settings is not for all
        opened = starter.submit(lambda: stack.enter_context(open_crew(runner)))
        try:
            yield opened.result
        finally:
            wait([opened])  # before the stack closes what it has opened by then


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _configure() -> None:
    """Before distributed is imported: its log is for those who run clusters; the user is told in sentences."""
    import dask

    quiet = dict.fromkeys(("distributed", "distributed.client", "tornado", "tornado.application", "bokeh"), "critical")
    dask.config.set({"logging": quiet, "distributed.admin.tick.limit": "1h", "distributed.comm.timeouts.connect": f"{_CONNECT}s"})
    for name in quiet:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _local_cluster(workers: int) -> Generator[DaskCrew]:
    import dask
    from distributed import Client, LocalCluster

    threads = str(max(1, _cores() // workers))
    with (
        # One chunk at a time with each worker: the next longest goes to whoever is free first.
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0, "distributed.worker.daemon": True}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,  # results are counts: memory is the models', and those Dask cannot spill
            dashboard_address=_NO_DASHBOARD,
            silence_logs=logging.CRITICAL,
            host="127.0.0.1",
            env=dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
        ) as cluster,
        closing(Client(cluster)) as client,  # as a block of its own it belongs to one thread
    ):
        yield DaskCrew(client, "dask", local=True)


@contextmanager
def _cuda_cluster() -> Generator[DaskCrew]:
    import torch

    if not torch.cuda.is_available():
        raise BadInput(
            "--runner dask-cuda: this machine has no GPU that torch can use; use --runner dask, or the address of a cluster that has"
        )
    try:
        from dask_cuda import LocalCUDACluster  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise BadInput(
            f"--runner dask-cuda: needs a package that is not installed ({error.name}); pip install 'auto-interventions[gpu]'"
        ) from None
    import dask
    from distributed import Client

    with (
        dask.config.set({"distributed.worker.daemon": True}),
        LocalCUDACluster(
            resources={GPU: 1}, threads_per_worker=1, memory_limit=0, dashboard_address=_NO_DASHBOARD, silence_logs=logging.CRITICAL
        ) as cluster,
        closing(Client(cluster)) as client,
    ):
        yield DaskCrew(client, "dask-cuda", local=True)


@contextmanager
def _existing(address: str) -> Generator[DaskCrew]:
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT)
    except (OSError, TimeoutError, ValueError) as error:
        raise BadInput(
            f"--runner {address}: no Dask scheduler answers there ({_first_line(error)}); start one with `dask scheduler`, or check the "
            "address"
        ) from None
    with closing(client):
        crew = DaskCrew(client, address)
        if not crew.workers:
            raise BadInput(f"--runner {address}: the scheduler has no worker; start some with `dask worker {address} --nthreads 1`")
        yield crew


class DaskCrew:
    """A `Crew` of Dask workers. Where some have a GPU as a resource, only those are asked."""

    def __init__(self, client: Client, runner: str, local: bool = False) -> None:
        """`local`: the workers are children of this process."""
        self._client = client
        self._runner = runner
        self._required: list[Required] = []
        self._local = local
        everybody: dict[str, Any] = client.scheduler_info()["workers"]
        self._resources = {GPU: 1.0} if any(GPU in told.get("resources", {}) for told in everybody.values()) else None

    @property
    def workers(self) -> int:
        """See `Crew.workers`."""
        return len(self._members())

    @property
    def local(self) -> bool:
        """See `Crew.local`."""
        return self._local

    def _members(self) -> dict[str, str]:
        """Names by address."""
        everybody: dict[str, Any] = self._client.scheduler_info()["workers"]
        return {
            address: f"{told.get('name', '')} ({address})"
            for address, told in everybody.items()
            if self._resources is None or GPU in told.get("resources", {})
        }

    def require(self, work: Callable[..., Any], *given: Any) -> dict[str, Any]:
        """See `Crew.require`."""
        self._required.append((uuid.uuid4().hex, work, given))
        members = self._members()
        futures = [
            self._client.submit(
                _work, self._required, None, pure=False, workers=[address], allow_other_workers=False, resources=self._resources
            )
            for address in members
        ]
        return dict(zip(members.values(), self._finished(futures, None, None), strict=True))

    def run(self, chunks: Sequence[Chunk], progress: Callable[[int], None] | None = None) -> list[Any]:
        """See `Crew.run`."""
        if not chunks:
            return []
        order = sorted(range(len(chunks)), key=lambda place: -chunks[place].weight)
        name = uuid.uuid4().hex
        futures = self._client.map(
            _work,
            [self._required] * len(order),
            [chunks[place] for place in order],
            key=[f"chunk-{name}-{number:05d}" for number in range(len(order))],
            pure=False,
            resources=self._resources,
        )
        found = self._finished(futures, progress, [chunks[place].steps for place in order])
        results: list[Any] = [None] * len(order)
        for place, result in zip(order, found, strict=True):
            results[place] = result
        return results

    def _finished(self, futures: Sequence[Future[Any]], progress: Callable[[int], None] | None, steps: Sequence[int] | None) -> list[Any]:
        """Results in order; whatever goes wrong, nothing of it is left with the workers."""
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number, future in enumerate(futures):
            future.add_done_callback(_putting(ended, number))
        results: list[Any] = [None] * len(futures)
        seen = time.monotonic()
        try:
            for _ in futures:
                while True:
                    try:
                        number = ended.get(timeout=_LOOK)
                        break
                    except queue.Empty:
                        seen = self._look(seen)
                results[number] = self._result(futures[number])
                seen = time.monotonic()
                if progress is not None and steps is not None:
                    progress(steps[number])
        except BaseException:
            with suppress(Exception):  # nobody may be there to be told
                self._client.cancel(list(futures), force=True)
            raise
        return results

    def _look(self, seen: float) -> float:
        """When a worker was last there.

        Raises:
            Interrupted: the scheduler is gone, or there was no worker for `PATIENCE` seconds.
        """
        if self._client.status != "running":
            raise self._gone()
        try:
            if self._members():
                return time.monotonic()
        except Exception:
            raise self._gone() from None
        if time.monotonic() - seen < PATIENCE:
            return seen
        asked = " with the resource GPU" if self._resources else ""
        raise Interrupted(
            f"--runner {self._runner}: there has been no worker{asked} for {PATIENCE:.0f} seconds; start workers, then the same audit again: "
            "what was done is saved"
        )

    def _result(self, future: Future[Any]) -> Any:
        from distributed import CancelledError, KilledWorker

        try:
            result, error = future.result(timeout=_CONNECT)
        except KilledWorker as killed:
            raise Interrupted(
                f"--runner {self._runner}: a chunk of work ended {killed.allowed_failures + 1} workers one after the other, most likely for "
                "want of memory; use fewer workers on a machine (dask:1), or a smaller `sampling.batch_tokens`, and start again: what was "
                "done is saved"
            ) from None
        except (CancelledError, TimeoutError, OSError):
            raise self._gone() from None
        except ModuleNotFoundError as missing:
            raise BadInput(
                f"--runner {self._runner}: the workers lack the package {missing.name}; install auto-interventions there as it is here"
            ) from None
        except MemoryError:
            raise Interrupted(
                f"--runner {self._runner}: a worker has no memory left; use fewer workers on a machine, or a smaller `sampling.batch_tokens`"
            ) from None
        if error is not None:
            raise error
        return result

    def _gone(self) -> Interrupted:
        return Interrupted(
            f"--runner {self._runner}: the Dask scheduler does not answer any more; start it and its workers, then the same audit again: "
            "what was done is saved"
        )


_done: dict[str, Any] = {}
_doing = threading.Lock()


def _work(
    required: Sequence[tuple[str, Callable[..., Any], tuple[Any, ...]]], chunk: Chunk | None
) -> tuple[Any, AutoInterventionsError | None]:
    """In a worker: what it must do once, then the chunk; errors of ours are values, for Dask would log them with a traceback."""
    try:
        result = None
        with _doing:
            for name, work, given in required:
                if name not in _done:
                    _done[name] = work(*given)
                result = _done[name]
        if chunk is None:
            return result, None
        token = wanted.set(_wanted())
        try:
            return chunk.work(*chunk.given), None
        finally:
            wanted.reset(token)
    except AutoInterventionsError as error:
        return None, error


def _putting(ended: queue.SimpleQueue[int], number: int) -> Callable[[object], None]:
    def put(_: object) -> None:
        ended.put(number)

    return put


def _wanted() -> Callable[[], bool]:
    """Whether anybody still waits for the task that this thread is at."""
    from dask.context import thread_state
    from distributed import get_worker

    worker, key = get_worker(), thread_state.key

    def waits() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state not in ("cancelled", "released", "forgotten")

    return waits


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
