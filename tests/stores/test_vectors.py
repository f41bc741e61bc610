from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from auto_interventions.stores.vectors import pack_many, pack_vector, unpack_many, unpack_vector

floats = st.one_of(
    arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(0, 40)), elements=st.floats(width=32)),
    arrays(np.float16, st.tuples(st.integers(1, 8), st.integers(0, 40)), elements=st.floats(width=16)),
)


@given(floats)
def test_round_trip_is_exact_bit_by_bit(vectors: np.ndarray) -> None:
    found, hit = unpack_many(pack_many(vectors), vectors.shape[1])
    assert hit.all()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), vectors.astype(np.float32).view(np.uint32))


@given(st.data())
def test_any_changed_byte_is_a_miss(data: st.DataObject) -> None:
    value = bytearray(pack_vector(np.arange(1, 9, dtype=np.float32)))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))
    assert unpack_vector(bytes(value), 8) is None


@given(st.binary(max_size=100))
def test_foreign_bytes_are_a_miss(value: bytes) -> None:
    assert unpack_vector(value, 8) is None


def test_truncated_longer_and_other_dimensions_are_a_miss() -> None:
    value = pack_vector(np.ones(8, dtype=np.float32))
    assert unpack_vector(value, 8) is not None
    for wrong in (value[:-1], value + b"\0", value[:16], b""):
        assert unpack_vector(wrong, 8) is None
    assert unpack_vector(value, 7) is None
    assert unpack_vector(value, 4) is None


def test_a_batch_mixes_number_formats_misses_and_damage() -> None:
    single, half = np.float32([1, 2, 3]), np.float16([4, 5, 6])
    damaged = pack_vector(single)[:-1] + b"\x99"
    found, hit = unpack_many([None, pack_vector(half), damaged, pack_vector(single), b"x"], 3)
    assert hit.tolist() == [False, True, False, True, False]
    assert found.tolist() == [[0, 0, 0], [4, 5, 6], [0, 0, 0], [1, 2, 3], [0, 0, 0]]


def test_an_empty_batch() -> None:
    found, hit = unpack_many([], 384)
    assert found.shape == (0, 384)
    assert len(hit) == 0
    assert pack_many(np.empty((0, 384), dtype=np.float32)) == []


def test_big_endian_arrays_are_written_little_endian() -> None:
    assert pack_vector(np.array([1, 2], dtype=">f4")) == pack_vector(np.array([1, 2], dtype="<f4"))


@pytest.mark.parametrize("wrong", [np.ones((2, 2), np.float32), np.ones(3, np.float64), np.ones(3, np.int32)])
def test_only_float_vectors_are_packed(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"dimension|float32 or float16"):
        pack_vector(wrong)
