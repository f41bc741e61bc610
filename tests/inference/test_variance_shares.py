"""Variance shares: known shares are recovered, intervals hold them, few runs say little, and the edges."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest

from auto_interventions.inference.variance_shares import RESIDUAL, variance_shares
from auto_interventions.records import FloatArray

FACTORS = ("run", "stratum", "sentence")
Spread = Mapping[str, float]  # standard deviation of each component, named by its factors' first letters in order
TYPICAL: Spread = {"h": 0.2, "sh": 0.08, "rh": 0.04, "s": 0.03, "r": 0.02, "rsh": 0.06}
EVEN: Spread = dict.fromkeys(("r", "s", "h", "rs", "rh", "sh", "rsh"), 0.1)


def table(random: np.random.Generator, shape: tuple[int, int, int], spread: Spread, heavy: bool = False) -> FloatArray:
    """Effects of every factor and combination; `heavy`: those of sentences are Laplace's instead of normal."""
    values = np.zeros(shape)
    for chosen in [chosen for size in (1, 2, 3) for chosen in combinations(range(3), size)]:
        name = "".join("rsh"[axis] for axis in chosen)
        sizes = [shape[axis] if axis in chosen else 1 for axis in range(3)]
        drawn = random.laplace(scale=np.sqrt(0.5), size=sizes) if heavy and name in ("h", "sh") else random.standard_normal(sizes)
        values = values + spread.get(name, 0.0) * drawn
    return values


def truth(spread: Spread) -> dict[str, float]:
    parts = {name: value**2 for name, value in spread.items()}
    first = {letter: sum(part for name, part in parts.items() if name[0] == letter and name != "rsh") for letter in "rsh"}
    whole = sum(parts.values())
    return dict(zip((*FACTORS, RESIDUAL), [first[letter] / whole for letter in "rsh"] + [parts.get("rsh", 0.0) / whole], strict=True))


def test_every_component_is_estimated_without_bias() -> None:
    random = np.random.default_rng(0)
    spread = {"r": 0.3, "s": 0.1, "h": 0.4, "rs": 0.1, "rh": 0.2, "sh": 0.15, "rsh": 0.25}
    found = [variance_shares(table(random, (4, 5, 6), spread), FACTORS).components for _ in range(250)]
    for name, value in spread.items():
        key = " × ".join(FACTORS["rsh".index(letter)] for letter in name)
        estimates = np.array([one[key].variance for one in found])
        assert abs(estimates.mean() - value**2) < 4 * estimates.std() / np.sqrt(len(estimates)), key


@pytest.mark.parametrize(
    ("spread", "heavy", "shape"), [(TYPICAL, False, (3, 8, 15)), (EVEN, False, (3, 8, 15)), (TYPICAL, True, (4, 6, 20))]
)
def test_known_shares_are_recovered_and_the_intervals_hold_them(spread: Spread, heavy: bool, shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(1)
    found = [variance_shares(table(random, shape, spread, heavy), FACTORS, seed=number).sources for number in range(120)]
    for name, share in truth(spread).items():
        told = [one[name] for one in found]
        assert np.mean([one.share or 0.0 for one in told]) == pytest.approx(share, abs=0.06), name
        assert np.mean([one.interval[0] <= share <= one.interval[1] for one in told]) >= 0.88, name


def test_runs_that_do_not_differ_may_have_no_share() -> None:
    random = np.random.default_rng(2)
    found = [variance_shares(table(random, (5, 8, 20), {"h": 0.2, "sh": 0.1, "rsh": 0.05}), FACTORS).sources["run"] for _ in range(100)]
    assert np.mean([one.interval[0] == 0 for one in found]) >= 0.9
    assert np.mean([one.interval[1] for one in found]) < 0.05


def test_two_runs_say_less_of_the_runs_share_than_six() -> None:
    random = np.random.default_rng(3)
    widths = [
        np.mean([np.ptp(variance_shares(table(random, (runs, 8, 15), EVEN), FACTORS).sources["run"].interval) for _ in range(30)])
        for runs in (2, 6)
    ]
    assert widths[0] > 0.6
    assert widths[1] < 0.75 * widths[0]


def test_two_factors_and_the_order_of_the_factors() -> None:
    random = np.random.default_rng(4)
    values = 0.1 * random.standard_normal((4, 1)) + 0.3 * random.standard_normal((1, 30)) + 0.01 * random.standard_normal((4, 30))
    told = variance_shares(values, ("run", "sentence"))
    assert set(told.components) == {"run", "sentence", "run × sentence"}
    assert sum(one.share or 0.0 for one in told.sources.values()) == pytest.approx(1)
    turned = variance_shares(values.T, ("sentence", "run"))
    for name in ("run", "sentence", RESIDUAL):
        assert turned.sources[name].variance == pytest.approx(told.sources[name].variance)
    assert told.shape == (4, 30)


def test_values_that_are_all_equal_have_no_shares() -> None:
    told = variance_shares(np.full((3, 4, 5), 0.1), FACTORS)
    assert told.variance == pytest.approx(0)
    assert {(one.share, one.interval) for one in told.sources.values()} == {(None, (0.0, 1.0))}


@pytest.mark.parametrize(
    ("values", "factors", "alpha", "message"),
    [
        (np.zeros(5), ("run",), 0.05, "two factors"),
        (np.zeros((1, 5)), ("run", "sentence"), 0.05, "two levels"),
        (np.array([[0.0, np.nan], [1.0, 2.0]]), ("run", "sentence"), 0.05, "every cell"),
        (np.zeros((2, 2)), ("run", "run"), 0.05, "differently"),
        (np.zeros((2, 2)), ("run", RESIDUAL), 0.05, "none of them"),
        (np.zeros((2, 2)), ("run", "sentence"), 1.0, "alpha"),
    ],
)
def test_tables_that_say_nothing_are_refused(values: FloatArray, factors: tuple[str, ...], alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variance_shares(values, factors, alpha)
