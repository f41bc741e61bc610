"""One thread for numerical libraries, so that the same vectors give the same bits.

With several threads the order in which partial sums are added depends on who finishes first, and k-means can amplify the last
bit into another partition.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock

_TURN = RLock()  # the limit is the process's: a second thread that left the block would lift it for the first


@contextmanager
def one_thread(*libraries: str) -> Generator[None]:
    """BLAS and OpenMP use one thread inside this block.

    One caller is inside at a time (it may enter again). Only what is loaded can be held: `libraries` are imported first, so
    that they bring their OpenMP along.
    """
    for library in libraries:
        import_module(library)
    from threadpoolctl import threadpool_limits

    with _TURN, threadpool_limits(limits=1), warnings.catch_warnings():
        # Fewer different texts than clusters is no fault: the empty ones are told as such.
        warnings.filterwarnings("ignore", message="Number of distinct clusters", module="sklearn")
        yield
