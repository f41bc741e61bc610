"""Serves the folder of runs over HTTP, so that the Prefect UI can link reports. Read only, and by default for this machine only."""

from __future__ import annotations

import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from auto_interventions.errors import Interrupted

_HERE = ("127.0.0.1", "localhost", "::1")


class Pages:
    """A folder at `url`, until `stop`."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        """Starts serving; `port` 0 takes a free one.

        Raises:
            Interrupted: the port is taken.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._server = ThreadingHTTPServer((host, port), partial(_Handler, directory=str(folder.resolve()), only_here=host in _HERE))
        except OSError as error:
            raise Interrupted(f"port {port} of {host} cannot be served on ({error.strerror}); give another --reports-port") from error
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_address[1]}"
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True, name="pages").start()

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    """GET and HEAD of files below the folder: none that is hidden, none that a link leads to elsewhere."""

    server_version, sys_version = "auto-interventions", ""

    def __init__(self, *arguments: Any, only_here: bool, **named: Any) -> None:
        self.only_here = only_here
        super().__init__(*arguments, **named)

    def send_head(self) -> Any:
        """See the base class."""
        if not self._for_us():
            # A page of somebody else's whose name was pointed at this machine: the browser would let it read what we answer.
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        folder, path = Path(self.directory).resolve(), Path(self.translate_path(self.path)).resolve()
        if not path.is_relative_to(folder) or any(part.startswith(".") for part in path.relative_to(folder).parts):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """See the base class."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _for_us(self) -> bool:
        """Whether the request was sent to this server by its address, or by a name of this machine."""
        host = self.headers.get("Host", "").rpartition(":")[0].strip("[]").lower()
        return not self.only_here or host in _HERE


if __name__ == "__main__":  # python -m auto_interventions.flows.pages FOLDER HOST PORT (compose.yaml)
    Pages(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    threading.Event().wait()
