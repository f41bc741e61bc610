"""Suspicion: looks where a suggested check has paid again and again, not where chance scattered it, and at every kind of check."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.exploring import suspected
from auto_interventions.fingerprint import generator

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


def test_the_concentrated_check_is_looked_for_where_it_paid() -> None:
    seen = checks({7: 3}, *({place: 1, place + 9: 1, place + 20: 1} for place in range(20)))
    votes = suspected(seen, forward(seen), one_kind(seen), SIZES, (0, 1))
    assert votes is not None
    assert votes.sum() == pytest.approx(1)
    assert votes[7] > 0.9


def test_scattered_checks_give_no_suspicion() -> None:
    seen = checks(*({place: 1, place + 9: 1, place + 20: 1} for place in range(20)))
    assert suspected(seen, forward(seen), one_kind(seen), SIZES, (0, 1)) is None


def test_each_kind_has_its_own_votes() -> None:
    words, form = checks(*({place: 3} for place in range(40))), checks({45: 3})
    seen = np.concatenate([words, form])
    kinds = np.array([0] * 40 + [1])
    votes = suspected(seen, forward(seen), kinds, SIZES, (0, 1))
    assert votes is not None
    assert votes[45] == pytest.approx(0.5, abs=0.05)


def test_what_was_refuted_is_looked_for_no_more() -> None:
    seen = checks({7: 3}, {9: 3})
    seen[0, 7] = (40, 3, 3)  # three times in four at first, never again
    votes = suspected(seen, forward(seen), one_kind(seen), SIZES, (0, 1))
    assert votes is not None
    assert votes[9] > 5 * votes[7]


def test_the_direction_counts_and_empty_strata_do_not() -> None:
    seen = checks({7: 3})
    assert suspected(seen, -forward(seen), one_kind(seen), SIZES, (0, 1)) is None
    sizes = SIZES.copy()
    sizes[7] = 0
    assert suspected(seen, forward(seen), one_kind(seen), sizes, (0, 1)) is None


def test_nothing_suggested_nothing_suspected() -> None:
    assert suspected(np.zeros((0, STRATA, 3)), np.zeros(0), np.zeros(0, dtype=np.int64), SIZES, (0, 1)) is None
    seen = checks({})
    assert suspected(seen, forward(seen), one_kind(seen), SIZES, (0, 1)) is None


def test_it_depends_on_the_seed_alone() -> None:
    rng = generator("suspicion test")
    seen = checks(*({int(place): 2} for place in rng.choice(STRATA, 30, replace=False)))
    once, again, other = (suspected(seen, forward(seen), one_kind(seen), SIZES, (seed, 1)) for seed in (0, 0, 1))
    assert once is not None
    assert again is not None
    assert other is not None
    assert (once == again).all()
    assert (once != other).any()
