"""A thread that keeps artifacts of a flow run up to date, and sees whether somebody cancelled it."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

from auto_interventions.flows.showing import Shown

TICK_SECONDS = 2.0
"""How often it writes what is new, and asks whether the run was cancelled."""
FAREWELL_SECONDS = 10.0
"""How long the end of an audit waits for what is not written yet."""
Make = Callable[[], Shown | None]
_log = logging.getLogger(__name__)


class Board:
    """Artifacts of one flow run, written by a thread of its own; one artifact a key, replaced in place.

    Nothing that goes wrong here ends an audit: what a server did not take is offered again at the next tick, the newest of each key.

    Args:
        run: the flow run that the artifacts belong to.
        runs: the flow runs whose cancellation counts.
        tick: seconds between two looks at the server.
    """

    def __init__(self, run: UUID, runs: Sequence[UUID], tick: float = TICK_SECONDS) -> None:
        self.cancelled = False
        self._run, self._runs, self._tick = run, tuple(runs), tick
        self._pending: dict[str, Make] = {}
        self._sources: dict[str, Make] = {}
        self._written: dict[str, tuple[UUID, Shown]] = {}
        self._lock, self._closing = threading.Lock(), threading.Event()
        # The server that the flow talks to is a setting of the context.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._keep,), name="prefect-board", daemon=True)
        self._thread.start()

    def show(self, key: str, make: Make) -> None:
        """Shows what `make` gives at the next tick, unless something newer comes for `key`; `make` runs on the board's thread."""
        with self._lock:
            self._pending[key] = make

    def source(self, key: str, make: Make) -> None:
        """Shows at every tick what `make` gives, where it has changed."""
        with self._lock:
            self._sources[key] = make

    def close(self) -> None:
        """Writes what is left and ends the thread; waits no longer than `FAREWELL_SECONDS`."""
        self._closing.set()
        self._thread.join(FAREWELL_SECONDS)

    def _keep(self) -> None:
        client: SyncPrefectClient | None = None
        while True:
            last = self._closing.wait(self._tick)
            try:
                client = client or get_client(sync_client=True)
                if not last:
                    self._look(client)
                self._write_all(client)
            except Exception as error:  # whatever a server or a proxy can do
                _log.debug("Prefect was not reached: %r", error)
            if last:
                return

    def _write_all(self, client: SyncPrefectClient) -> None:
        with self._lock:
            waiting, self._pending = {**self._sources, **self._pending}, {}
        for key, make in waiting.items():
            try:
                self._write(client, key, make())
            except Exception as error:
                _log.debug("%s was not shown in Prefect: %r", key, error)
                with self._lock:
                    if key not in self._sources:
                        self._pending.setdefault(key, make)

    def _write(self, client: SyncPrefectClient, key: str, shown: Shown | None) -> None:
        if shown is None:
            return
        written = self._written.get(key)
        if written is None:
            made = client.create_artifact(
                ArtifactCreate(key=shown.key, type=shown.kind, data=shown.data, description=shown.description, flow_run_id=self._run)
            )
            self._written[key] = (made.id, shown)
        elif written[1] != shown:
            client.update_artifact(written[0], ArtifactUpdate(data=shown.data, description=shown.description))
            self._written[key] = (written[0], shown)

    def _look(self, client: SyncPrefectClient) -> None:
        for run in self._runs:
            state: Any = client.read_flow_run(run).state
            if state is not None and (state.is_cancelling() or state.is_cancelled()):
                self.cancelled = True
