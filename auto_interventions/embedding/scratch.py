"""Room for many vectors: in memory as long as they are few, else in a file that nobody else sees and that ends with the process.

The operating system keeps the file's pages in memory while there is room and drops them when there is not: two million vectors of 384
dimensions are 3 GB on the disk and as much memory as is to spare.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from auto_interventions.errors import Interrupted
from auto_interventions.records import FloatMatrix

IN_MEMORY_BYTES = 64 << 20
CHUNK_ROWS = 8_192


def room_for(rows: int, dimension: int, folder: Path) -> FloatMatrix:
    """(rows, dimension) float32 to be filled; in a file in `folder` above `IN_MEMORY_BYTES`.

    Raises:
        Interrupted: the disk has no room for it.
    """
    size = rows * dimension * 4
    if size <= IN_MEMORY_BYTES:
        return np.empty((rows, dimension), dtype=np.float32)
    with tempfile.TemporaryFile(dir=folder, prefix=".vectors.") as file:
        try:
            # Reserved now: a full disk under a memory map is a signal that kills the process.
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise Interrupted(
                f"{folder}: {size / 1e9:.1f} GB for vectors cannot be reserved ({error.strerror}); free disk space, then start the same "
                "audit again"
            ) from error
        return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, dimension))


def joined(blocks: list[FloatMatrix], folder: Path) -> FloatMatrix:
    """The rows of all `blocks`, one below the other; copied a chunk at a time."""
    whole = room_for(sum(len(block) for block in blocks), blocks[0].shape[1], folder)
    at = 0
    for block in blocks:
        for begin in range(0, len(block), CHUNK_ROWS):
            part = block[begin : begin + CHUNK_ROWS]
            whole[at : at + len(part)] = part
            at += len(part)
    return whole
