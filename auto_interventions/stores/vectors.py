"""Vectors as bytes: raw little-endian floats behind a 16-byte header. No pickle: foreign bytes can do nothing.

Header: magic `AIV` and format version (4 bytes), dtype (1 byte: `f` float32, `e` float16), 3 zero bytes, dimension (uint32),
CRC-32 of everything else (uint32). Bytes that do not fit in any way are no vector (None): the caller counts a miss and
computes the vector again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auto_interventions.records import BoolArray, FloatMatrix

_MAGIC = b"AIV\x01"
_HEADER = struct.Struct("<4sc3xI")
_HEADER_BYTES = _HEADER.size + 4
_DTYPES = {b"f": np.dtype("<f4"), b"e": np.dtype("<f2")}

Floats = NDArray[np.float32] | NDArray[np.float16]


def pack_vector(vector: Floats) -> bytes:
    """One vector (dimension,) as bytes.

    Raises:
        ValueError: not a one-dimensional float32 or float16 array.
    """
    if vector.ndim != 1:
        raise ValueError(f"a vector has one dimension, not {vector.ndim}")
    return pack_many(vector[np.newaxis])[0]


def pack_many(vectors: Floats) -> list[bytes]:
    """The rows of `vectors` (n, dimension), float32 or float16, as bytes.

    Raises:
        ValueError: not a matrix, or of another dtype.
    """
    if vectors.ndim != 2:
        raise ValueError(f"a batch of vectors has two dimensions, not {vectors.ndim}")
    code = next((code for code, dtype in _DTYPES.items() if dtype == vectors.dtype.newbyteorder("<")), None)
    if code is None:
        raise ValueError(f"vectors are float32 or float16, not {vectors.dtype}")
    head = _HEADER.pack(_MAGIC, code, vectors.shape[1])
    start = zlib.crc32(head)
    rows = np.ascontiguousarray(vectors, dtype=_DTYPES[code])
    payloads = [row.tobytes() for row in rows]
    return [b"".join((head, zlib.crc32(payload, start).to_bytes(4, "little"), payload)) for payload in payloads]


def unpack_vector(value: bytes, dimension: int) -> NDArray[np.float32] | None:
    """The vector (dimension,) float32 in `value`; None where `value` is damaged, foreign, or of another dimension."""
    vectors, hit = unpack_many([value], dimension)
    return vectors[0] if hit[0] else None


def unpack_many(values: Sequence[bytes | None], dimension: int) -> tuple[FloatMatrix, BoolArray]:
    """The vectors (n, dimension) float32 in `values`, and which of them are there (n,).

    Rows of absent, damaged and foreign values, and of vectors of another dimension, are zero and not marked.
    """
    vectors: FloatMatrix | None = None
    hit = np.zeros(len(values), dtype=np.bool_)
    for code, dtype in _DTYPES.items():
        head = _HEADER.pack(_MAGIC, code, dimension)
        size = _HEADER_BYTES + dimension * dtype.itemsize
        shaped = {row: value for row, value in enumerate(values) if value is not None and len(value) == size and value.startswith(head)}
        if not shaped:
            continue
        floats, sound = _unpack_shaped(b"".join(shaped.values()), head, size, dtype)
        if len(shaped) == len(values) and sound.all():  # a warm cache: nothing to scatter
            return floats.astype(np.float32), sound
        rows = np.array(list(shaped))[sound]
        vectors = np.zeros((len(values), dimension), dtype=np.float32) if vectors is None else vectors
        vectors[rows] = floats[sound]
        hit[rows] = True
    return np.zeros((len(values), dimension), dtype=np.float32) if vectors is None else vectors, hit


def _unpack_shaped(raw: bytes, head: bytes, size: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], BoolArray]:
    """The floats (n, dimension) of n values of `size` bytes each, one behind the other, and whose checksums hold (n,)."""
    view, start = memoryview(raw), zlib.crc32(head)
    table = np.frombuffer(raw, dtype=np.uint8).reshape(-1, size)
    told = np.ascontiguousarray(table[:, _HEADER.size : _HEADER_BYTES]).view("<u4")[:, 0]
    sums = [zlib.crc32(view[begin + _HEADER_BYTES : begin + size], start) for begin in range(0, len(raw), size)]
    return table[:, _HEADER_BYTES:].view(dtype), told == np.array(sums, dtype=np.uint32)
