from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_interventions.fingerprint import generator
from auto_interventions.inference import (
    bet_many,
    e_bh,
    explored_log_e,
    gate_is_open,
    log_e_values,
    log_mean_exp,
    overall_log_e,
    start_log_wealth,
)

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
        explored_log_e(0.0, bad)
    with pytest.raises(ValueError, match="NaN"):
        overall_log_e(0.0, bad, ALPHA)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, 2.0])
def test_alpha_is_a_probability(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        e_bh(np.zeros(2), alpha)
    with pytest.raises(ValueError, match="alpha"):
        gate_is_open(0.0, alpha)
    with pytest.raises(ValueError, match="alpha"):
        overall_log_e(0.0, [0.0], alpha)


def test_exploring_stakes_two_thirds() -> None:
    expected = (10 + np.mean([1, 3]) + 1) / 3
    assert explored_log_e(np.log(10), np.log([1, 3])) == pytest.approx(np.log(expected))
    assert explored_log_e(0.0, []) == pytest.approx(0.0, abs=1e-12)
    assert explored_log_e(9000.0, [0.0]) == pytest.approx(9000 - np.log(3))
    assert log_mean_exp([]) == 0


def test_what_exploring_left_is_staked_on_the_hypotheses_unless_the_gate_is_open() -> None:
    wealths = [2.0, 4.0, 6.0]
    assert overall_log_e(np.log(0.5), np.log(wealths), ALPHA) == pytest.approx(np.log(0.5 * 4))
    assert overall_log_e(np.log(19.9), np.log(wealths), ALPHA) == pytest.approx(np.log(19.9 * 4))
    assert overall_log_e(np.log(20.0), np.log(wealths), ALPHA) == pytest.approx(np.log(20 - 1 / 3 + 4 / 3))
    assert overall_log_e(np.log(20.0), np.log(wealths), ALPHA, np.array([0.5, 0.2, 0.1])) == pytest.approx(np.log(20 - 1 / 3 + 2.6 / 3))
    assert overall_log_e(9000.0, [-np.inf], ALPHA) == pytest.approx(9000)
    assert overall_log_e(0.0, [9000.0], ALPHA) == 9000
    for explored in (-3.0, 0.0, 2.0, 40.0):
        assert overall_log_e(explored, [], ALPHA) == pytest.approx(explored)


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
    """Family-wise: three families of nulls, a look after every fourth payoff, strata while exploring, hypotheses from then on; P(the gate
    ever opens) ≤ α, and the capital of whoever stops at the first opening, or at the end, is 1 on average at most."""
    random = generator("test-ebh", "gate")
    ends, opened = [], 0
    for _ in range(simulations := 1000):
        payoffs = random.choice([-1.0, 0.0, 1.0], (9, 80), p=[0.25, 0.5, 0.25])
        explored, tested = start_log_wealth(4, True), start_log_wealth(5, True)
        log_e = before = 0.0
        for look in range(0, 160, 4):
            if look < 80:
                explored = bet_many(explored, payoffs[:4, look : look + 4])
                wealths = log_e_values(explored)
                log_e = before = explored_log_e(float(wealths[0]), wealths[1:])
            else:
                tested = bet_many(tested, payoffs[4:, look - 80 : look - 76])
                log_e = overall_log_e(before, log_e_values(tested), ALPHA)
            if gate_is_open(log_e, ALPHA):
                opened += 1
                break
        ends.append(np.exp(log_e))
    assert 0 < opened / simulations <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / simulations)
    assert np.mean(ends) <= 1 + 3 * np.std(ends) / np.sqrt(simulations)


def test_the_gate_holds_nothing_back_that_e_bh_would_reject_where_exploring_lost_nothing() -> None:
    shares = np.array([0.1, 0.2, 0.7])
    for log_e in (np.log(20 / 0.1) + 1e-9, 0.0, 0.0), (0.0, np.log(20 / 0.2) + 1e-9, 0.0):
        assert e_bh(log_e, ALPHA, shares).sum() == 1
        assert gate_is_open(overall_log_e(0.0, log_e, ALPHA, shares), ALPHA)
