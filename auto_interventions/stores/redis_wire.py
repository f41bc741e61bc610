"""How entries lie in a Redis: names of keys, heads of values, and both as they stand in a command on the wire.

**Keys.** `vector/v1/…` is kept under `{namespace:07}vector/v1/…`. What is in braces is all that Redis Cluster hashes, so the keys of one of
the 64 buckets (CRC-32 of the key) share a slot, and MGET and MSET may name them together. Without braces every key would have a slot
of its own and a batch of 1000 would be 1000 commands; with one bucket a whole project would lie on one node. 64 buckets spread over
up to a dozen nodes within some 20% and make a batch of 1000 at most 64 commands, sent as one pipeline a node. A server that is no
cluster pays a few bytes a key and nothing else: there, commands cross buckets, and its dump can be moved to a cluster.

**Values.** A 16-byte head before each value: magic `AIR` and version, CRC-32 of the key, length of head and value, time of writing
(Redis keeps none, and removal by age needs it). A value that was cut, that another program wrote, or that a confused connection
handed to the wrong question does not fit its head and is a miss. The value's own bytes are not summed again: `vectors` and `sealed`
carry a checksum each, and a second one would cost more than all the rest that we do for a vector (0.5 to 0.9 µs).

**Commands** to a server alone are made here, byte for byte: that takes half the time of redis-py's packing (with hiredis), which would
copy each value once more to put its head on.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from auto_interventions.stores.store import Entry

BUCKETS = 64
HEAD_BYTES = 16

_MAGIC = b"AIR\x01"
_MARK = struct.Struct("<4sII")  # what a reader knows beforehand: one comparison finds whatever is not ours
_HEAD = struct.Struct("<4sIII")


def tagged(keys: Iterable[str]) -> tuple[list[bytes], list[int]]:
    """The bytes of `keys`, and their CRC-32: the tags by which buckets and heads go."""
    raw = [key.encode() for key in keys]
    return raw, list(map(zlib.crc32, raw))


def wrap(value: bytes, tag: int, written: int) -> bytes:
    """`value` behind its head; `written` in seconds since 1970."""
    return _HEAD.pack(_MAGIC, tag, HEAD_BYTES + len(value), written) + value


def unwrap(reply: list[bytes | None], tags: list[int]) -> list[bytes | None]:
    """The values without their heads, None where the head is not that of the key. Empties `reply`."""
    # Each value goes as soon as its copy without the head is there: the next copy takes its place in memory, still in the cache.
    reply.reverse()
    take, mark = reply.pop, _MARK.pack
    return [
        value[HEAD_BYTES:] if (value := take()) is not None and value.startswith(mark(_MAGIC, tag, len(value))) else None for tag in tags
    ]


def entry_of(name: bytes, head: object) -> Entry | None:
    """What the head under `name` tells; None where it is none of ours: another type, other bytes, or gone since it was listed."""
    if not isinstance(head, bytes) or len(head) < HEAD_BYTES:
        return None
    key = name.split(b"}", 1)[1]
    magic, tag, size, written = _HEAD.unpack_from(head)
    return Entry(key.decode(), size - HEAD_BYTES, written) if magic == _MAGIC and tag == zlib.crc32(key) else None


class Names:
    """What Redis calls the keys of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._prefixes = [f"{{{namespace}:{bucket:02}}}".encode() for bucket in range(BUCKETS)]

    def probes(self) -> list[bytes]:
        """A name in every bucket that no key has: what is there is no entry."""
        return [prefix + b"probe" for prefix in self._prefixes]

    def pattern(self, prefix: str) -> str:
        """What SCAN matches: all keys that start with `prefix`."""
        return f"{{{_literal(self._namespace)}:[0-9][0-9]}}{_literal(prefix)}*"

    def of(self, raw: list[bytes], tags: list[int]) -> list[bytes]:
        """The names of keys."""
        prefixes = self._prefixes
        return [prefixes[tag % BUCKETS] + key for key, tag in zip(raw, tags, strict=True)]

    def mget(self, raw: list[bytes], tags: list[int]) -> bytes:
        """An MGET, as it is sent."""
        return b"*%d\r\n$4\r\nMGET%b\r\n" % (len(raw) + 1, b"".join(self._on_the_wire(raw, tags)))

    def mset(self, raw: list[bytes], tags: list[int], values: list[bytes], written: int) -> bytes:
        """An MSET of values with their heads, as it is sent."""
        head = _HEAD.pack
        pairs = [
            b"%b\r\n$%d\r\n%b%b" % (name, size := HEAD_BYTES + len(value), head(_MAGIC, tag, size, written), value)
            for name, tag, value in zip(self._on_the_wire(raw, tags), tags, values, strict=True)
        ]
        return b"*%d\r\n$4\r\nMSET%b\r\n" % (2 * len(pairs) + 1, b"".join(pairs))

    def _on_the_wire(self, raw: list[bytes], tags: list[int]) -> list[bytes]:
        """The names, each after the end of the line before and the line of its length; keys of a batch are of few lengths."""
        starts = {length: [b"\r\n$%d\r\n%b" % (len(prefix) + length, prefix) for prefix in self._prefixes] for length in set(map(len, raw))}
        return [starts[len(key)][tag % BUCKETS] + key for key, tag in zip(raw, tags, strict=True)]


def _literal(text: str) -> str:
    """`text` in a pattern of Redis, standing for itself."""
    return "".join("\\" + letter if letter in "*?[]^\\" else letter for letter in text)
