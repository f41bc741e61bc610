from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

from auto_interventions.fingerprint import generator
from auto_interventions.inference import Wealth, bet_grouped, bet_many, betting_grid, log_e_values, start_log_wealth
from auto_interventions.inference.betting import best_growth, log_growth

# Payoffs that are symmetric around 0, as swapping the texts of a pair makes them; from a rare sign to a full coin.
NULLS = {
    "coin": lambda random, shape: random.choice([-1.0, 1.0], shape),
    "rare ±1": lambda random, shape: random.choice([-1.0, 0.0, 1.0], shape, p=[0.02, 0.96, 0.02]),
    "uniform": lambda random, shape: random.uniform(-1, 1, shape),
    "small": lambda random, shape: np.clip(random.normal(0, 0.05, shape), -1, 1),
    "scale changes by prompt": lambda random, shape: random.uniform(-1, 1, shape) * random.random((shape[0], 1)),
}


def paths(payoffs: np.ndarray, two_sided: bool) -> np.ndarray:
    """Log-wealth after every payoff, (simulations, n), by the library's own growth rates."""
    growth = np.cumsum(log_growth(payoffs, two_sided), axis=1)
    return logsumexp(growth + start_log_wealth(1, two_sided)[0], axis=2)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("law", NULLS)
def test_under_the_null_the_mean_is_one_and_peeking_is_safe(law: str, two_sided: bool) -> None:
    random = generator("test-betting", law, two_sided)
    log_wealth = paths(NULLS[law](random, (4000, 120)), two_sided)
    early, final = np.exp(log_wealth[:, 9]), np.exp(log_wealth[:, -1])
    for wealth in (early, final):
        assert wealth.mean() <= 1 + 4 * wealth.std() / np.sqrt(len(wealth))
    ever = float((log_wealth.max(axis=1) >= np.log(20)).mean())
    assert ever <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize("two_sided", [False, True])
def test_over_all_swaps_the_mean_is_exactly_one(two_sided: bool) -> None:
    """Every way of swapping the texts of ten pairs, 2¹⁰ sequences of the same sizes: capital averages 1. No simulation error."""
    sizes = generator("test-betting", "swaps").random(10)
    swaps = np.array(list(itertools.product([-1.0, 1.0], repeat=10)))
    final = np.exp(log_e_values(bet_many(start_log_wealth(len(swaps), two_sided), swaps * sizes)))
    assert final.mean() == pytest.approx(1, abs=1e-9)


def test_a_biased_coin_breaks_the_bound() -> None:
    """The simulation above can fail: payoffs that are not symmetric do cross 20."""
    random = generator("test-betting", "biased")
    log_wealth = paths(random.choice([-1.0, 1.0], (500, 120), p=[0.35, 0.65]), two_sided=True)
    assert (log_wealth.max(axis=1) >= np.log(20)).mean() > 0.5


def test_the_mixture_is_a_predictable_bettor() -> None:
    """W_t = W_{t−1} (1 + λ_t x_t) with λ_t known before x_t."""
    wealth = Wealth.start(two_sided=True)
    capital = 1.0
    for payoff in generator("test-betting", "identity").uniform(-1, 1, 200):
        capital *= 1 + wealth.fraction * payoff
        wealth = wealth.bet(np.array([payoff]))
        assert wealth.log_e == pytest.approx(np.log(capital), abs=1e-9)
    assert Wealth.start(two_sided=True).fraction == pytest.approx(0, abs=1e-12)


def test_power_in_both_directions_and_only_one_when_one_sided() -> None:
    rise = generator("test-betting", "rise").choice([-1.0, 0.0, 1.0], 400, p=[0.05, 0.75, 0.2])
    assert Wealth.start(two_sided=True).bet(rise).log_e > np.log(1000)
    assert Wealth.start(two_sided=True).bet(-rise).log_e == pytest.approx(Wealth.start(two_sided=True).bet(rise).log_e)
    assert Wealth.start(two_sided=False).bet(rise).log_e > np.log(1000)
    assert Wealth.start(two_sided=False).bet(-rise).log_e < 0


def test_ties_and_abstentions_are_no_bets() -> None:
    payoffs = np.array([0.5, -0.2, 1.0])
    padded = np.array([0.0, 0.5, np.nan, -0.2, 0.0, 1.0, np.nan])
    assert Wealth.start(two_sided=True).bet(padded).log_e == pytest.approx(Wealth.start(two_sided=True).bet(payoffs).log_e, abs=1e-12)
    assert Wealth.start(two_sided=True).bet(np.full(9, np.nan)).log_e == 0
    assert Wealth.start(two_sided=True).bet(np.zeros(0)).log_e == 0


@pytest.mark.parametrize("payoff", [1.0001, -2.0, np.inf])
def test_a_payoff_beyond_the_stake_is_refused(payoff: float) -> None:
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        Wealth.start(two_sided=True).bet(np.array([payoff]))


def test_evidence_of_many_pairs_does_not_overflow() -> None:
    log_e = Wealth.start(two_sided=True).bet(np.ones(5000)).log_e
    assert 3000 < log_e < 5000
    assert Wealth.start(two_sided=False).bet(-np.ones(5000)).log_e < -200


def test_bet_many_equals_one_by_one_in_any_batches() -> None:
    payoffs = generator("test-betting", "many").uniform(-1, 1, (3, 50))
    payoffs[1, 7] = np.nan
    together = bet_many(start_log_wealth(3, True), payoffs)
    split = bet_many(bet_many(start_log_wealth(3, True), payoffs[:, :20]), payoffs[:, 20:])
    np.testing.assert_allclose(together, split)
    singles = [Wealth.start(two_sided=True).bet(row).log_e for row in payoffs]
    np.testing.assert_allclose(log_e_values(together), singles)
    assert bet_many(start_log_wealth(0, True), np.zeros((0, 5))).shape == (0, len(betting_grid(True)))
    with pytest.raises(ValueError, match="shape"):
        bet_many(start_log_wealth(3, True), payoffs[:2])


def test_bet_grouped_feeds_each_stratum_its_own_pairs() -> None:
    random = generator("test-betting", "grouped")
    payoffs, groups = random.uniform(-1, 1, (2, 60)), random.integers(0, 4, 60)
    start = np.tile(start_log_wealth(2, False), (5, 1, 1))
    grown = bet_grouped(start, payoffs, groups)
    for group in range(4):
        np.testing.assert_allclose(grown[group], bet_many(start[group], payoffs[:, groups == group]))
    np.testing.assert_array_equal(grown[4], start[4])


def test_several_bettors_share_one_capital() -> None:
    payoffs = np.stack([np.ones(10), -np.ones(10)])
    both = Wealth.start(two_sided=False, bettors=2).bet(payoffs)
    alone = [np.exp(Wealth.start(two_sided=False).bet(row).log_e) for row in payoffs]
    assert np.exp(both.log_e) == pytest.approx(np.mean(alone))


def test_an_informed_prior_is_where_the_capital_starts() -> None:
    payoffs = np.tile(np.r_[np.ones(6), np.zeros(100)], (2, 1))
    even = np.full(len(betting_grid(False)), 1 / len(betting_grid(False)))
    bold = even * np.linspace(0.2, 1.8, len(even))
    start = start_log_wealth(2, False, np.stack([even, bold / bold.sum()]))
    np.testing.assert_allclose(log_e_values(start), 0, atol=1e-12)
    np.testing.assert_allclose(start[0], start_log_wealth(1, False)[0])
    plain, informed = log_e_values(bet_many(start, payoffs))
    assert informed > plain + 0.2


@pytest.mark.parametrize(
    ("prior", "what"),
    [(np.full((1, 5), 0.2), "shape"), (np.full((1, 6), 0.2), "sum to 1"), (np.array([[0.0, 0.2, 0.2, 0.2, 0.2, 0.2]]), "above 0")],
)
def test_a_prior_that_is_none(prior: np.ndarray, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        start_log_wealth(1, False, prior)
    with pytest.raises(ValueError, match="above 0"):
        start_log_wealth(1, False, np.full((1, 6), np.nan))


@pytest.mark.parametrize(("mean", "second"), [(0.0, 0.4), (0.02, 0.02), (0.1, 0.3), (0.3, 0.5), (0.7, 0.9)])
def test_the_best_bettor_grows_as_the_best_stake_does(mean: float, second: float) -> None:
    stakes = np.linspace(0, 1, 20_001)[:-1]
    won, lost = (second + mean) / 2, (second - mean) / 2
    best = (won * np.log1p(stakes) + lost * np.log1p(-stakes)).max()
    assert best_growth(np.array(mean), np.array(second)) == pytest.approx(best, abs=2e-6 + 1e-4 * mean)


def test_where_nothing_was_ever_paid_nothing_is_promised() -> None:
    grown = best_growth(np.array([0.5, 0.5, 0.0]), np.array([0.0, 1e-6, 0.0]))
    np.testing.assert_allclose(grown, [0.0, np.log(2) * 1e-6, 0.0], atol=1e-12)
