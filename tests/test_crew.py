"""How work is cut into chunks."""

from __future__ import annotations

import heapq
import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_interventions import errors
from auto_interventions.crew import MOST_CHUNKS, cut, go_on, wanted


@given(st.lists(st.floats(1, 1000), max_size=500), st.integers(1, 16))
def test_nothing_is_lost_or_doubled(weights: list[float], workers: int) -> None:
    chunks = cut(weights, workers)
    assert sorted(place for chunk in chunks for place in chunk) == list(range(len(weights)))
    assert all(chunks)


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 32])
@pytest.mark.parametrize("pieces", [40, 400, 4_000, 40_000])
def test_nobody_waits_for_the_last(workers: int, pieces: int) -> None:
    """Whoever is free takes the next chunk: the last ends within the largest piece of the ideal, or 2% of it."""
    chance = random.Random(f"{workers} {pieces}")
    weights = [chance.uniform(0.5, 2) for _ in range(pieces)]
    chunks = [sum(weights[place] for place in chunk) for chunk in cut(weights, workers)]
    ends = [0.0] * workers
    for chunk in chunks:
        heapq.heappush(ends, heapq.heappop(ends) + chunk)
    ideal = sum(weights) / workers
    assert max(ends) <= ideal + max(2.0, 0.02 * ideal)
    assert len(chunks) <= 2 * MOST_CHUNKS
    assert max(chunks) <= max(ideal / 8, 2.0) + 2.0


def test_a_chunk_that_nobody_waits_for_ends() -> None:
    go_on()
    token = wanted.set(lambda: False)
    try:
        with pytest.raises(errors.Interrupted):
            go_on()
    finally:
        wanted.reset(token)


def test_our_errors_travel() -> None:
    """They are pickled on their way from a worker."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AutoInterventionsError)]
    assert len(kinds) >= 10
    for kind in kinds:
        back = pickle.loads(pickle.dumps(kind("one sentence")))
        assert (type(back), str(back), back.exit_code) == (kind, "one sentence", kind.exit_code)
