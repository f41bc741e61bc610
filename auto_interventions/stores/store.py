"""What a store promises, whatever engine is behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """What a store knows of a value without reading it."""

    key: str
    size: int
    """Bytes of the value."""
    written: int
    """When it was written last: seconds since 1970."""


class Store(Protocol):
    """Bytes by content key, in batches; shared by the threads and processes of all audits on the machine, or of many machines.

    A key names its value's content, so two writers of one key write the same value and the later one may win. Values may be
    lost (a pruned cache), never mixed up: a reader treats every absent value as work to be done. What the bytes of a value mean, and
    whether they are whole, is the reader's to check (`vectors` and `sealed` carry checksums).

    Every method may raise `Interrupted` (the engine gave way; what was written is kept) and `BadInput` (it cannot be used as given).
    """

    @property
    def location(self) -> str:
        """Where it is, for people to read; never holds a password."""
        ...

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in their order; None where there is none."""
        ...

    def put_many(self, items: Mapping[str, bytes], written: int | None = None) -> None:
        """Writes all `items`; once it returns, another process sees them and a kill of this one does not lose them.

        Args:
            items: values by key.
            written: when the values were made (seconds since 1970), where they come from another store; None is now.
        """
        ...

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """What is there, of keys that start with `prefix`, in no promised order. Streams: neither keys nor values are gathered.

        Entries written or deleted meanwhile may or may not be told; all others are.
        """
        ...

    def delete_many(self, keys: Iterable[str]) -> int:
        """Removes `keys`; returns how many of them were there. Streams an iterator of any length."""
        ...

    def compact(self) -> None:
        """Gives the space of deleted entries back to the disk, where the engine keeps it otherwise."""
        ...

    def close(self) -> None:
        """Releases files and connections; the store opens again by itself when it is used again."""
        ...
