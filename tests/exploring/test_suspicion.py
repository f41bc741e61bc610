"""Suspicion: looks where a suggested check has paid again and again, not where chance scattered it, and at every kind of check."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.exploring import suspected
from auto_interventions.fingerprint import generator
from auto_interventions.inference.clumps import with_clumps

STRATA = 50
SIZES = np.full(STRATA, 20.0)


def checks(*hits: dict[int, int], pairs: int = 4) -> np.ndarray:
    """(C, S, 3) payoffs: each check pays 1 in so many of the `pairs` of each stratum."""
    seen = np.zeros((len(hits), STRATA, 3))
    seen[..., 0] = pairs
    for row, paid in enumerate(hits):
        for stratum, count in paid.items():
            seen[row, stratum, 1:] = count
    return seen


def forward(seen: np.ndarray) -> np.ndarray:
    return np.ones(len(seen))


def one_kind(seen: np.ndarray) -> np.ndarray:
    return np.zeros(len(seen), dtype=np.int64)


def votes_of(seen: np.ndarray, leaning: np.ndarray, kinds: np.ndarray, sizes: np.ndarray) -> np.ndarray | None:
    return suspected(seen, leaning, with_clumps(seen, leaning), kinds, sizes)


def test_the_concentrated_check_is_looked_for_where_it_paid() -> None:
    scattered = ({place: 1, place + 9: 1, place + 20: 1} for place in range(20))
    seen = checks({7: 12}, *scattered, pairs=12)
    votes = votes_of(seen, forward(seen), one_kind(seen), SIZES)
    assert votes is not None
    assert votes.sum() == pytest.approx(1)
    assert votes[7] > 0.8


def test_a_check_that_rose_a_little_in_ten_strata_is_looked_for_in_those_ten() -> None:
    """Beside twenty that rose as often in strata of no order."""
    random = generator("test-suspicion", "ten")
    scattered = [dict(zip(*np.unique(random.integers(0, STRATA, 40), return_counts=True), strict=True)) for _ in range(20)]
    seen = checks(dict.fromkeys(range(10), 4), *scattered, pairs=12)
    votes = votes_of(seen, forward(seen), one_kind(seen), SIZES)
    assert votes is not None
    assert votes[:10].sum() > 0.5
    assert votes[:10].min() > 3 * votes[10:].max()


def test_scattered_checks_are_looked_for_nowhere_in_particular() -> None:
    seen = checks(*({place: 1, (place + 9) % STRATA: 1, (place + 20) % STRATA: 1} for place in range(STRATA)))
    votes = votes_of(seen, forward(seen), one_kind(seen), SIZES)
    assert votes is not None
    np.testing.assert_allclose(votes, 1 / STRATA, rtol=1e-6)


def test_each_kind_has_its_own_votes() -> None:
    words, form = checks(*({place: 3} for place in range(40))), checks({45: 3})
    seen = np.concatenate([words, form])
    kinds = np.array([0] * 40 + [1])
    votes = votes_of(seen, forward(seen), kinds, SIZES)
    assert votes is not None
    assert votes[45] == pytest.approx(0.5, abs=0.05)


def test_what_was_refuted_is_looked_for_no_more() -> None:
    seen = checks({7: 3}, {9: 3})
    seen[0, 7] = (40, 3, 3)  # three times in four at first, never again
    fewer = votes_of(seen, forward(seen), one_kind(seen), SIZES)
    assert fewer is not None
    assert fewer[9] > 1.3 * fewer[7]
    seen[0, 7] = (40, -3, 23)  # and later lost
    none = votes_of(seen, forward(seen), one_kind(seen), SIZES)
    assert none is not None
    assert none[9] > 5 * none[7]


def test_the_direction_counts_and_empty_strata_do_not() -> None:
    seen = checks({7: 3})
    assert votes_of(seen, -forward(seen), one_kind(seen), SIZES) is None
    sizes = SIZES.copy()
    sizes[7] = 0
    votes = votes_of(seen, forward(seen), one_kind(seen), sizes)
    assert votes is not None
    assert votes[7] == 0


def test_nothing_suggested_nothing_votes_of() -> None:
    assert votes_of(np.zeros((0, STRATA, 3)), np.zeros(0), np.zeros(0, dtype=np.int64), SIZES) is None
    seen = checks({})
    assert votes_of(seen, forward(seen), one_kind(seen), SIZES) is None
