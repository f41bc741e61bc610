"""Room for vectors: the same numbers in memory and in a file, nothing left on the disk, a full disk told at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auto_interventions.embedding import StoredEncoder, joined, room_for, scratch
from auto_interventions.errors import Interrupted
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatMatrix


def test_few_vectors_are_in_memory(tmp_path: Path) -> None:
    room = room_for(10, 4, tmp_path)
    assert room.shape == (10, 4)
    assert not isinstance(room, np.memmap)


def test_many_vectors_are_in_a_file_that_nobody_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "IN_MEMORY_BYTES", 0)
    room = room_for(1_000, 8, tmp_path)
    assert isinstance(room, np.memmap)
    assert not list(tmp_path.iterdir())
    values = generator("scratch").random((1_000, 8)).astype(np.float32)
    room[:] = values
    assert (np.asarray(room) == values).all()


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_joined_blocks_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(scratch, "IN_MEMORY_BYTES", limit)
    monkeypatch.setattr(scratch, "CHUNK_ROWS", 7)
    blocks: list[FloatMatrix] = [generator(size).random((size, 3)).astype(np.float32) for size in (20, 0, 1, 7)]
    assert (joined(blocks, tmp_path) == np.concatenate(blocks)).all()


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="cannot be reserved"):
        room_for(10**13, 384, tmp_path)
    assert not list(tmp_path.iterdir())


class Numbers:
    """An encoder whose vectors are the text's number."""

    dimension = 3
    fingerprint = "numbers"

    def encode(self, texts: list[str], progress: object = None) -> FloatMatrix:
        return np.array([[float(text)] * 3 for text in texts], dtype=np.float32).reshape(-1, 3)


def test_an_encoder_fills_the_room_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "IN_MEMORY_BYTES", 0)
    texts = [str(number % 50) for number in range(120)]
    room = room_for(len(texts), 3, tmp_path)
    given = StoredEncoder(Numbers(), None).encode(texts, None, room)
    assert given is room
    assert (given[:, 0] == [float(text) for text in texts]).all()
