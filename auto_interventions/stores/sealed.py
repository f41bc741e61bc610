"""JSON values as bytes with a checksum: what a disk or a network bent is a miss, never an answer.

`AIJ`, format version (1 byte), CRC-32 of the rest (uint32, little-endian), UTF-8 JSON.
"""

from __future__ import annotations

import json
import struct
import zlib

_MAGIC = b"AIJ\x01"
_HEADER = struct.Struct("<4sI")


def seal(value: object) -> bytes:
    """JSON-native `value` as bytes; lone surrogates (which a tokenizer can leave) survive."""
    payload = json.dumps(value, separators=(",", ":")).encode("ascii")
    return _HEADER.pack(_MAGIC, zlib.crc32(payload)) + payload


def unseal(value: bytes | None) -> object | None:
    """What `seal` was given; None where `value` is absent, damaged or foreign."""
    if value is None or len(value) < _HEADER.size:
        return None
    magic, checksum = _HEADER.unpack_from(value)
    payload = value[_HEADER.size :]
    if magic != _MAGIC or zlib.crc32(payload) != checksum:
        return None
    try:
        return json.loads(payload)
    except ValueError:
        return None
