"""What a store promises, whatever engine is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Store(Protocol):
    """Bytes by content key, in batches; shared by the threads and processes of all audits on the machine.

    A key names its value's content, so two writers of one key write the same value and the later one may win. Values may be
    lost (a pruned cache), never mixed up: a reader treats every absent value as work to be done.
    """

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in their order; None where there is none."""
        ...

    def put_many(self, items: Mapping[str, bytes]) -> None:
        """Writes all `items`; once it returns, another process sees them and a kill does not lose them."""
        ...

    def close(self) -> None:
        """Releases files and connections; the store opens again by itself when it is used again."""
        ...
