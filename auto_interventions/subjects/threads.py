"""Who computes on a CPU: every batch on one thread, several batches side by side.

A matrix product that several threads share sums in another order for each number of them: above 30 million weights the logits of
fp32 differed in the last bits between one, two and three threads (docs/speed.md). With one thread a batch, texts are the same
with any number of cores. It is the faster way, too: the matrices of small models are not worth sharing, on a busy machine the threads of
one batch wait for each other (10,311 tokens/s with one thread, 1,625 with two; 656K weights, batch 64, two cores at load 7), and
batches side by side keep all cores at work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


@cache
def cores() -> int:
    """How many threads torch would use: cores, unless OMP_NUM_THREADS or a caller said otherwise before the first model ran.

    Asked once: `torch.set_num_threads` is partly global (new threads inherit what any thread set last), so later answers may be our own.
    """
    return torch.get_num_threads()


@contextmanager
def one_thread(device: torch.device) -> Generator[None]:
    """What runs on a CPU inside this block runs on the calling thread alone."""
    if device.type != "cpu":
        yield
        return
    threads = cores()
    torch.get_num_threads()  # a thread takes the number that others set last when it first asks, and would forget ours
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(device: torch.device, work: Callable[[_Piece], _Result], pieces: Sequence[_Piece]) -> Iterator[tuple[_Piece, _Result]]:
    """Each piece with what `work` makes of it, as they end: on a CPU one piece a core at a time, elsewhere one after the other.

    `work` must use `one_thread` where it computes. When the caller stops, or a piece fails, the pieces at work end and no other begins.
    """
    workers = min(cores(), len(pieces)) if device.type == "cpu" else 1
    if workers <= 1:
        for piece in pieces:
            yield piece, work(piece)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="batch") as pool:
        running: dict[Future[_Result], _Piece] = {}
        waiting = iter(pieces)
        try:
            while True:
                for piece in waiting:
                    running[pool.submit(work, piece)] = piece
                    if len(running) == workers:
                        break
                if not running:
                    return
                for ended in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(ended), ended.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
