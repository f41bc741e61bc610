"""A crew of Dask workers: chunks handed out, results awaited, whatever breaks told in a sentence.

What it does not know: how the cluster came about (`runners`), and what a chunk does.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from auto_interventions.crew import Chunk, Facts, wanted
from auto_interventions.errors import AutoInterventionsError, BadInput, Interrupted

if TYPE_CHECKING:
    from distributed import Client, Future

GPU = "GPU"
# Seconds without a single worker, after which nobody is thought to come; and with workers of our own, which are started again.
PATIENCE, PATIENCE_HERE = 60.0, 300.0
_LOOK = 1.0  # seconds between two looks at whether anybody is there
_ANSWER = 5.0  # seconds for a result that has ended to come here, before we look again
_Required = tuple[str, Callable[..., Any], tuple[Any, ...]]


class DaskCrew:
    """A `Crew` of Dask workers. Where some have a GPU as a resource, only those are asked."""

    facts: Facts

    def __init__(self, client: Client, runner: str, local: bool = False) -> None:
        """`runner`: what the user called it; `local`: the workers are children of this process."""
        self._client = client
        self._runner = runner
        self._local = local
        self._required: list[_Required] = []
        self._resources = {GPU: 1.0} if any(GPU in told.get("resources", {}) for told in self._everybody().values()) else None

    @property
    def workers(self) -> int:
        """See `Crew.workers`."""
        return max(1, len(self._members()))

    @property
    def local(self) -> bool:
        """See `Crew.local`."""
        return self._local

    def somebody(self) -> bool:
        """Whether there is a worker now."""
        return bool(self._members())

    def require(self, work: Callable[..., Any], *given: Any) -> dict[str, Any]:
        """See `Crew.require`."""
        self._required.append((uuid.uuid4().hex, work, given))
        seen = time.monotonic()
        while not (members := self._members()):  # all of them are being started again
            seen = self._look(seen)
            time.sleep(_LOOK)
        futures = [
            self._client.submit(
                do,
                list(self._required),
                None,
                pure=False,
                workers=[address],
                allow_other_workers=True,  # should that one die meanwhile
                resources=self._resources,
            )
            for address in members
        ]
        return dict(zip(members.values(), self._finished(futures, None, [0] * len(futures)), strict=True))

    def release(self, work: Callable[..., Any], *given: Any) -> None:
        """See `Crew.release`."""
        self._required = [required for required in self._required if required[1:] != (work, given)]

    def run(self, chunks: Sequence[Chunk], progress: Callable[[int], None] | None = None) -> list[Any]:
        """See `Crew.run`."""
        if not chunks:
            return []
        order = sorted(range(len(chunks)), key=lambda place: -chunks[place].weight)
        name = uuid.uuid4().hex
        futures = self._client.map(
            do,
            [list(self._required)] * len(order),
            [chunks[place] for place in order],
            key=[f"chunk-{name}-{number:05d}" for number in range(len(order))],  # begun in the order of their names
            pure=False,
            resources=self._resources,
        )
        found = self._finished(futures, progress, [chunks[place].steps for place in order])
        return [result for _, result in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]

    def _everybody(self) -> dict[str, dict[str, Any]]:
        return dict(self._client.scheduler_info()["workers"])

    def _members(self) -> dict[str, str]:
        """Names by address."""
        return {
            address: f"{told.get('name', '')} ({address})"
            for address, told in self._everybody().items()
            if self._resources is None or GPU in told.get("resources", {})
        }

    def _finished(self, futures: Sequence[Future[Any]], progress: Callable[[int], None] | None, steps: Sequence[int]) -> list[Any]:
        """Results in order; whatever goes wrong, nothing of it is left waiting for workers."""
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number, future in enumerate(futures):
            future.add_done_callback(_putting(ended, number))
        results: list[Any] = [None] * len(futures)
        try:
            for _ in futures:
                number = self._next(ended)
                results[number] = self._result(futures[number])
                if progress is not None:
                    progress(steps[number])
        except BaseException:
            with suppress(Exception):  # nobody may be there to be told
                self._client.cancel(list(futures), force=True)
            raise
        return results

    def _next(self, ended: queue.SimpleQueue[int]) -> int:
        """The next chunk that has ended.

        Raises:
            Interrupted: the scheduler is gone, or there was no worker for `PATIENCE` seconds.
        """
        seen = time.monotonic()
        while True:
            try:
                return ended.get(timeout=_LOOK)
            except queue.Empty:
                seen = self._look(seen)

    def _look(self, seen: float) -> float:
        """When a worker was last there."""
        try:
            if self._client.status in ("running", "connecting") and self.somebody():
                return time.monotonic()
        except Exception:
            raise self._gone() from None
        if self._client.status not in ("running", "connecting"):
            raise self._gone()
        patience = PATIENCE_HERE if self._local else PATIENCE
        if time.monotonic() - seen < patience:
            return seen
        asked = " with the resource GPU" if self._resources else ""
        fix = "start" if self._local else "start workers, then"
        raise Interrupted(
            f"--runner {self._runner}: there has been no worker{asked} for {patience:.0f} seconds; {fix} the same audit again: what was "
            "done is saved"
        )

    def _result(self, future: Future[Any]) -> Any:
        from distributed import CancelledError, KilledWorker

        less = "use fewer workers on a machine (dask:1), or a smaller `sampling.batch_tokens`"
        try:
            result, error = self._fetched(future)
        except KilledWorker as killed:
            raise Interrupted(
                f"--runner {self._runner}: a chunk of work ended {killed.allowed_failures + 1} workers one after the other, most likely "
                f"for want of memory; {less}, and start again: what was done is saved"
            ) from None
        except (CancelledError, OSError):
            if future.status == "error":  # the chunk's own
                raise
            raise self._gone() from None
        except ImportError as missing:
            raise BadInput(
                f"--runner {self._runner}: the workers cannot do this version's work ({missing}); install auto-interventions there as it "
                "is here"
            ) from None
        if error is None:
            return result
        if isinstance(error, MemoryError):
            raise Interrupted(f"--runner {self._runner}: {error}; {less}, and start again: what was done is saved")
        raise error

    def _fetched(self, future: Future[Any]) -> Any:
        """What a chunk that has ended returned; where its worker died before it was fetched, once another has done it again."""
        seen = time.monotonic()
        while True:
            try:
                return future.result(timeout=_ANSWER)
            except TimeoutError:
                if future.status == "error":  # the chunk's own
                    raise
                seen = self._look(seen)

    def _gone(self) -> Interrupted:
        return Interrupted(
            f"--runner {self._runner}: the Dask scheduler does not answer any more; start it and its workers, then the same audit again: "
            "what was done is saved"
        )


# In a worker's process: what was required of it and is done.
_done: dict[str, Any] = {}
_doing = threading.Lock()


def do(required: Sequence[_Required], chunk: Chunk | None) -> tuple[Any, AutoInterventionsError | MemoryError | None]:
    """In a worker: what it must do once, then the chunk. Errors of ours are values: Dask would log them, with a traceback."""
    try:
        result = None
        with _doing:
            for name, work, given in required:
                if name not in _done:
                    _done[name] = work(*given)
                result = _done[name]
        if chunk is None:
            return result, None
        token = wanted.set(_waited_for())
        try:
            return chunk.work(*chunk.given), None
        finally:
            wanted.reset(token)
    except AutoInterventionsError as error:
        return None, error
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, of a GPU
            return None, MemoryError(f"the worker on {socket.gethostname()} (process {os.getpid()}) has no memory left")
        raise


def _waited_for() -> Callable[[], bool]:
    """Says whether anybody still waits for the task that this thread is at."""
    from dask.context import thread_state
    from distributed import get_worker

    worker, key = get_worker(), thread_state.key

    def waits() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state not in ("cancelled", "released", "forgotten")

    return waits


def _putting(ended: queue.SimpleQueue[int], number: int) -> Callable[[object], None]:
    def put(_: object) -> None:
        ended.put(number)

    return put
