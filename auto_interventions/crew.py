"""Who computes beside this process: workers that fill the store.

What is content-addressed (texts, vectors, replies of local chat models) can be computed anywhere: a chunk of it is handed to a worker,
which writes the values into the store under the very keys that this process would have used, and returns counts. Then this process reads
the store as always. So no result can depend on who computed it (docs/decisions/0016). What this page does not know: Dask, models, stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from auto_interventions.errors import Interrupted

# A chunk is at most this share of a worker's part of the work, so that progress is told, and a cancelled run ends, within it.
_SHARE = 8
# Chunks of one call at most, about, and at least so many for each worker where there are many: each costs the scheduler a millisecond.
MOST_CHUNKS = 400
_FOR_EACH = 64

wanted: ContextVar[Callable[[], bool]] = ContextVar("wanted")
"""In a worker at a chunk: says whether anybody still waits for it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Work for one worker at a time. It may be done twice, where a worker dies: what it has written by then it finds in the store."""

    work: Callable[..., Any]
    """A function of a module (it is sent by name); returns something small."""
    given: tuple[Any, ...]
    """Its arguments; they are pickled."""
    weight: float
    """How long it takes, in any unit: the longest are begun first."""
    steps: int
    """What progress counts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What workers compute on."""

    device: str
    """Of the models that write: cpu, cuda, mps."""
    encoder: Literal["fp32", "bf16"]
    """The number format that suits encoders there."""


class Crew(Protocol):
    """Workers."""

    @property
    def facts(self) -> Facts:
        """What they compute on, all alike."""
        ...

    @property
    def workers(self) -> int:
        """How many there are now."""
        ...

    @property
    def local(self) -> bool:
        """Whether they are children of this process."""
        ...

    def run(self, chunks: Sequence[Chunk], progress: Callable[[int], None] | None = None) -> list[Any]:
        """What each chunk returned, in order; `progress` is told the steps of each as it ends.

        Raises:
            AutoInterventionsError: as a chunk raised it.
            Interrupted: the workers, or who leads them, are gone for good; starting again resumes.
        """
        ...

    def require(self, work: Callable[..., Any], *given: Any) -> dict[str, Any]:
        """What `work(*given)` returns on each worker, by the worker's name. Workers that come later do it before their first chunk.

        Raises:
            BadInput: a worker cannot even be asked (this package is not installed there).
            Interrupted: as `run`.
        """
        ...

    def release(self, work: Callable[..., Any], *given: Any) -> None:
        """Workers that come from now on need not do `work(*given)`, which was required."""
        ...


def cut(weights: Sequence[float], workers: int) -> list[list[int]]:
    """Cuts a row of pieces into chunks, as lists of their places; heavy chunks first, single pieces last.

    Each chunk takes its share of what is left, so that all workers end within the smallest piece of each other (guided self-scheduling,
    Polychronopoulos & Kuck 1987).

    >>> cut([1] * 20, 2)
    [[0], [1], [2], [3], [4], [5], [6], [7], [8], [9], [10], [11], [12], [13], [14], [15], [16], [17], [18], [19]]
    >>> [len(chunk) for chunk in cut([1] * 100, 2)]
    [6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 4, 3, 2, 2, 1, 1, 1, 1, 1, 1]
    """
    order = sorted(range(len(weights)), key=lambda place: -weights[place])
    left = total = float(sum(weights))
    least = total / max(MOST_CHUNKS, _FOR_EACH * workers)
    most = max(total / (_SHARE * workers), least)
    chunks: list[list[int]] = []
    begin = 0
    while begin < len(order):
        room = max(min(most, left / (2 * workers)), least)
        end, taken = begin + 1, weights[order[begin]]
        while end < len(order) and taken + weights[order[end]] <= room:
            taken += weights[order[end]]
            end += 1
        chunks.append(order[begin:end])
        begin, left = end, left - taken
    return chunks


def go_on() -> None:
    """Called by a chunk between its pieces.

    Raises:
        Interrupted: nobody waits for it any more.
    """
    if not wanted.get(lambda: True)():
        raise Interrupted("the run that wanted this chunk is over")
