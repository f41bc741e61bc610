"""What a local worker does when it starts (Dask's `preload`): Ctrl-C in the terminal is for the audit, which ends its workers itself."""

from __future__ import annotations

import signal
import threading


def dask_setup(worker: object) -> None:
    """Called by Dask in the worker's process."""
    del worker
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
