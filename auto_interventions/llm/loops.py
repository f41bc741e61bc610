"""One event loop a process, in a thread of its own: connections of the SDKs belong to the loop that made them; callers have many."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def _loop() -> asyncio.AbstractEventLoop:
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():  # a fork has the parent's memory, not its thread
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="chat models", daemon=True).start()
            _running = (os.getpid(), loop)
        return _running[1]


def submit(work: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
    """Starts `work` in the loop."""
    return asyncio.run_coroutine_threadsafe(work, _loop())


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result of `work`; a KeyboardInterrupt of the caller cancels it.

    Raises:
        RuntimeError: called from the loop itself, which would wait for itself.
    """
    if threading.current_thread().name == "chat models":
        work.close()
        raise RuntimeError("ask_many was called in the chat models' own event loop; await ask_all there")
    future = submit(work)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
