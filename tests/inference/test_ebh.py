from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_interventions.fingerprint import generator
from auto_interventions.inference import bet_many, e_bh, gate_is_open, log_e_values, log_mean_exp, overall_log_e, start_log_wealth

ALPHA = 0.05


@given(st.lists(st.floats(-5, 12), max_size=30), st.sampled_from([0.01, 0.05, 0.2]))
def test_it_is_the_definition(log_e: list[float], alpha: float) -> None:
    """Self-consistent and largest: every rejected e-value is ≥ H/(α k̂), and no larger k is self-consistent."""
    count = len(log_e)
    rejected = e_bh(np.array(log_e), alpha)
    best = 0
    for k in range(1, count + 1):
        if np.sort(log_e)[::-1][k - 1] >= np.log(count / alpha) - np.log(k):
            best = k
    assert rejected.sum() == best
    assert not best or np.min(np.array(log_e)[rejected]) >= np.max(np.array(log_e)[~rejected], initial=-np.inf)


def test_ends_of_the_scale() -> None:
    assert e_bh(np.array([]), ALPHA).shape == (0,)
    np.testing.assert_array_equal(e_bh(np.array([5000.0, -np.inf, 0.0]), ALPHA), [True, False, False])
    np.testing.assert_array_equal(e_bh(np.array([4.0, 4.0]), ALPHA), [True, True])  # 2/0.05/2 = 20 < e⁴
    np.testing.assert_array_equal(e_bh(np.array([np.inf]), ALPHA), [True])
    assert not e_bh(np.zeros(1000), ALPHA).any()


@pytest.mark.parametrize("bad", [np.array([np.nan, 1.0]), np.array([np.nan])])
def test_nan_is_an_error(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="NaN"):
        e_bh(bad, ALPHA)
    with pytest.raises(ValueError, match="NaN"):
        overall_log_e(0.0, bad, [])


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, 2.0])
def test_alpha_is_a_probability(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        e_bh(np.zeros(2), alpha)
    with pytest.raises(ValueError, match="alpha"):
        gate_is_open(0.0, alpha)


def test_overall_is_a_mean_of_three_means() -> None:
    expected = (10 + np.mean([1, 3]) + np.mean([2, 4, 6])) / 3
    assert overall_log_e(np.log(10), np.log([1, 3]), np.log([2, 4, 6])) == pytest.approx(np.log(expected))
    assert overall_log_e(0.0, [], []) == pytest.approx(0.0, abs=1e-12)
    assert overall_log_e(9000.0, [0.0], []) == pytest.approx(9000 - np.log(3))
    assert log_mean_exp([]) == 0


def test_gate_opens_at_one_over_alpha() -> None:
    assert gate_is_open(np.log(20.0) + 1e-9, ALPHA)
    assert not gate_is_open(np.log(19.9), ALPHA)


def dependent_payoffs(simulation: int, nulls: int, planted: int) -> np.ndarray:
    """Payoffs of sentences that share texts, (H, 150): nulls are copies of few coins, planted ones lean to +1."""
    random = generator("test-ebh", simulation)
    coins = random.choice([-1.0, 0.0, 1.0], (3, 150), p=[0.2, 0.6, 0.2])
    null = coins[np.arange(nulls) % 3] * random.choice([-1.0, 1.0], (nulls, 1))
    return np.concatenate([null, random.choice([-1.0, 0.0, 1.0], (planted, 150), p=[0.05, 0.6, 0.35])])


def test_false_discovery_rate_under_dependence_while_peeking() -> None:
    """Stops at the first look with a rejection: the worst time for a fixed-n test. FDR ≤ α·H₀/H + 3 standard errors."""
    proportions, hits = [], 0
    for simulation in range(300):
        payoffs = dependent_payoffs(simulation, nulls=30, planted=6)
        log_wealth = start_log_wealth(36, True)
        for look in range(0, 150, 10):
            log_wealth = bet_many(log_wealth, payoffs[:, look : look + 10])
            rejected = e_bh(log_e_values(log_wealth), ALPHA)
            if rejected.any():
                break
        proportions.append(rejected[:30].sum() / max(rejected.sum(), 1))
        hits += int(rejected[30:].any())
    assert np.mean(proportions) <= ALPHA + 3 * np.std(proportions) / np.sqrt(300)
    assert hits > 270


def test_gate_keeps_a_global_null_silent_at_any_look() -> None:
    """Family-wise: three families of nulls, a look after every payoff; P(gate ever opens) ≤ α."""
    random = generator("test-ebh", "gate")
    opened, simulations = 0, 300
    for _ in range(simulations):
        payoffs = random.choice([-1.0, 0.0, 1.0], (9, 80), p=[0.25, 0.5, 0.25])
        log_wealth = start_log_wealth(9, True)
        for look in range(0, 80, 4):
            log_wealth = bet_many(log_wealth, payoffs[:, look : look + 4])
            log_e = log_e_values(log_wealth)
            if gate_is_open(overall_log_e(float(log_e[0]), log_e[1:4], log_e[4:]), ALPHA):
                opened += 1
                break
    assert opened / simulations <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / simulations)
