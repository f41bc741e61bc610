"""Prefect's settings for an audit, and its server.

A flow needs an API. Where `PREFECT_API_URL` or the active profile names a server, that one is used; else Prefect starts a temporary
one of its own, which takes 10 to 18 s. `begin` starts it in the background, so that the models load meanwhile.
"""

from __future__ import annotations

import os
import threading

from auto_interventions.errors import Interrupted

# Set before prefect is first imported; a user's own setting wins.
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # offline, its telemetry ends in a `database is locked` traceback
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the watcher tells the person; the API keeps the log
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    # One by one these write so slowly that the next flow waits a minute for them (measured: 63 s after 1,000 tasks).
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
}


def configure() -> None:
    """Gives Prefect our settings where the user has none. Call before anything imports prefect."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


class ServerStart:
    """A server that is being started in the background; `wait` before the first flow."""

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._start, name="prefect-server", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        try:
            from prefect.settings import PREFECT_API_URL

            if PREFECT_API_URL.value():
                _reach(PREFECT_API_URL.value())
                return
            from prefect.server.api.server import SubprocessASGIServer

            SubprocessASGIServer().start()
        except BaseException as error:  # carried to the thread that waits
            self._error = error

    def wait(self) -> None:
        """Returns when the server answers.

        Raises:
            Interrupted: it does not.
        """
        self._thread.join()
        if isinstance(self._error, Interrupted):
            raise self._error
        if self._error is not None:
            reason = str(self._error).strip().splitlines()[:1]
            raise Interrupted(
                f"Prefect's server did not start ({''.join(reason)}); start the same audit again, "
                "or name a running server with PREFECT_API_URL"
            ) from self._error


def begin() -> ServerStart:
    """Configures Prefect and starts its server in the background."""
    configure()
    return ServerStart()


def _reach(url: str) -> None:
    import httpx

    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=15).raise_for_status()
    except httpx.HTTPError as error:
        raise Interrupted(
            f"PREFECT_API_URL={url}: no Prefect server answers there ({error}); "
            "start it with `prefect server start`, or unset PREFECT_API_URL"
        ) from error
