from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_interventions.fingerprint import generator
from auto_interventions.inference.fixed import benjamini_hochberg, paired_p_values

ALPHA = 0.05


def by_enumeration(differences: list[float]) -> float:
    sums = [
        abs(sum(sign * abs(d) for sign, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    return float(np.mean(np.array(sums) >= abs(sum(differences)) - 1e-9))


@given(st.lists(st.sampled_from([-1.0, -0.75, -0.5, -1 / 3, 0.0, 0.25, 0.5, 2 / 3, 1.0]), min_size=1, max_size=10))
def test_it_is_the_share_of_all_signs(differences: list[float]) -> None:
    assert paired_p_values(np.array([differences]))[0] == pytest.approx(by_enumeration(differences), rel=1e-6)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=10))
def test_yes_and_no_is_the_sign_test(differences: list[float]) -> None:
    assert paired_p_values(np.array([differences]))[0] == pytest.approx(by_enumeration(differences), rel=1e-12)


def test_few_prompts_and_no_difference() -> None:
    assert paired_p_values(np.zeros((3, 0))).tolist() == [1, 1, 1]
    assert paired_p_values(np.zeros((2, 500))).tolist() == [1, 1]
    assert paired_p_values(np.full((1, 4), np.nan)).tolist() == [1]
    assert paired_p_values(np.array([[1.0], [-0.3]])).tolist() == [1, 1]  # one prompt says nothing
    np.testing.assert_allclose(paired_p_values(np.array([[1.0, 1.0], [0.5, -0.5]])), [0.5, 1.0])
    assert paired_p_values(np.zeros((0, 7))).shape == paired_p_values(np.array([])).shape == (0,)


def test_missing_prompts_are_left_out_and_sides_count_alike() -> None:
    row = np.array([1.0, 1.0, 0.5, -0.5, 1.0, np.nan, np.nan])
    p = paired_p_values(np.array([row, -row]))
    assert p[0] == p[1] == paired_p_values(row[None, :5])[0]


def test_far_tails_stay_positive_and_below_the_bound() -> None:
    rows = np.array([np.ones(3000), np.tile([1.0, 0.5, 0.5], 1000), np.tile([1.0, 1.0, -0.5], 1000)])
    p = paired_p_values(rows)
    assert np.all(p > 0)
    assert np.all(p <= 2 * np.exp(-(rows.sum(axis=1) ** 2) / (2 * (rows**2).sum(axis=1))) + 1e-300)


@pytest.mark.parametrize(
    ("prompts", "rate", "pairs"),
    [(4, 0.5, 1), (40, 0.02, 1), (400, 0.005, 1), (400, 0.3, 1), (100, 0.05, 3), (2000, 0.2, 4), (100, 0.1, 62)],
)
def test_level_under_the_null(prompts: int, rate: float, pairs: int) -> None:
    """P(p ≤ u) ≤ u where both models show a sentence at the same rate, rare ones too. 2,000 audits; 3 standard errors."""
    random = generator("test-fixed", prompts, rate)
    p = np.concatenate(
        [
            paired_p_values((random.binomial(pairs, rate, (500, prompts)) - random.binomial(pairs, rate, (500, prompts))) / pairs)
            for _ in range(4)
        ]
    )
    for level in (0.001, 0.01, 0.05, 0.2):
        assert np.mean(p <= level) <= level + 3 * np.sqrt(level / len(p))
    if prompts * rate * pairs > 20:  # and it is no more careful than the lattice of its values makes it
        assert np.mean(p <= 0.2) > 0.12


def test_level_for_graded_scores_off_the_lattice() -> None:
    random = generator("test-fixed", "graded")
    p = paired_p_values(random.beta(0.5, 2, (2000, 60)) - random.beta(0.5, 2, (2000, 60)))
    assert 0.03 < np.mean(p <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 / 2000)


def test_a_real_difference_is_seen() -> None:
    random = generator("test-fixed", "power")
    differences = (random.random((200, 1000)) < 0.08).astype(float) - (random.random((200, 1000)) < 0.03)
    assert np.mean(paired_p_values(differences) <= 0.001) > 0.9


def test_false_discovery_rate_and_power() -> None:
    """40 sentences, 6 planted, sharing prompts: BH's false discovery proportion ≤ α + 3 standard errors, power > 0.9."""
    proportions: list[float] = []
    powers: list[float] = []
    for simulation in range(300):
        random = generator("test-bh", simulation)
        rates = np.tile(random.uniform(0.02, 0.3, (1, 200)), (40, 1))
        after = rates.copy()
        after[:6] += 0.25
        draws = random.random((2, 20, 200)).repeat(2, axis=1)  # neighbours share their luck: positive dependence
        differences = (draws[1] < after).astype(float) - (draws[0] < rates)
        found = benjamini_hochberg(paired_p_values(differences), ALPHA)
        proportions.append(found[6:].sum() / max(1, found.sum()))
        powers.append(found[:6].mean())
    assert np.mean(proportions) <= ALPHA + 3 * np.std(proportions) / np.sqrt(300)
    assert np.mean(powers) > 0.9


def test_nothing_is_found_in_identical_models() -> None:
    """Any rejection at all, 60 sentences: ≤ α + 3 standard errors of 600 audits."""
    hits = 0
    for simulation in range(600):
        random = generator("test-bh-null", simulation)
        rates = random.uniform(0.01, 0.4, (60, 1))
        differences = (random.random((60, 150)) < rates).astype(float) - (random.random((60, 150)) < rates)
        hits += bool(benjamini_hochberg(paired_p_values(differences), ALPHA).any())
    assert hits / 600 <= ALPHA + 3 * np.sqrt(ALPHA / 600)


@given(st.lists(st.floats(0, 1), max_size=20), st.sampled_from([0.01, 0.05, 0.2]))
def test_benjamini_hochberg_is_its_definition(p_values: list[float], alpha: float) -> None:
    count, best = len(p_values), 0
    for k in range(1, count + 1):
        if sorted(p_values)[k - 1] <= alpha * k / count:
            best = k
    rejected = benjamini_hochberg(p_values, alpha)
    assert rejected.sum() >= best
    assert {p for p, hit in zip(p_values, rejected, strict=True) if hit} == set(sorted(p_values)[:best])


@pytest.mark.parametrize("bad", [[np.nan], [-0.1], [1.1]])
def test_p_values_are_checked(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="p-values"):
        benjamini_hochberg(bad, ALPHA)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="shape"):
        paired_p_values(np.zeros(3))
    with pytest.raises(ValueError, match="lie in"):
        paired_p_values(np.array([[1.5]]))
    for alpha in (0.0, 1.0):
        with pytest.raises(ValueError, match="alpha"):
            benjamini_hochberg([0.5], alpha)


def test_sixty_sentences_on_fifty_thousand_prompts_take_seconds() -> None:
    random = generator("test-fixed", "speed")
    differences = (random.binomial(2, 0.2, (60, 50_000)) - random.binomial(2, 0.2, (60, 50_000))) / 2
    started = time.perf_counter()
    paired_p_values(differences)
    assert time.perf_counter() - started < 8
