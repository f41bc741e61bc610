"""One thread for numerical libraries, so that the same vectors give the same bits.

With several threads the order in which partial sums are added depends on who finishes first, and k-means can amplify the last
bit into another partition.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_TURN = RLock()  # the limit is the process's: a second thread that left the block would lift it for the first


@contextmanager
def one_thread(*libraries: str) -> Generator[None]:
    """BLAS and OpenMP use one thread inside this block.

    One caller is inside at a time (it may enter again). Only what is loaded can be held: `libraries` are imported first, so
    that they bring their OpenMP along.
    """
    for library in libraries:
        import_module(library)
    with _TURN, _pools(len(sys.modules)).limit(limits=1), warnings.catch_warnings():
        # Fewer different texts than clusters is no fault: the empty ones are told as such.
        warnings.filterwarnings("ignore", message="Number of distinct clusters", module="sklearn")
        yield


@lru_cache(maxsize=1)
def _pools(modules: int) -> ThreadpoolController:
    """The thread pools of what is loaded, looked for again only once further modules are imported: a look takes 4 ms, and an audit of
    20,000 texts enters the block five hundred times."""
    del modules
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
