"""Clumps: what stands out beyond how unevenly checks are spread anyhow, and no more of it than chance shows where nothing changed."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.fingerprint import generator
from auto_interventions.inference.clumps import evidence_of_clumps, with_clumps
from auto_interventions.inference.places import evidence_of_places

STRATA, CHECKS, PAIRS, WORLDS = 50, 600, 40, 60


def payoffs(won: np.ndarray, lost: np.ndarray, pairs: float = PAIRS) -> np.ndarray:
    return np.stack([np.full(won.shape, float(pairs)), won - lost, won + lost], axis=-1).astype(np.float64)


def words(random: np.random.Generator, topical: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs won and lost of rare words which both models write alike, in some strata much more often than in others."""
    usual = np.exp(random.normal(-5.5, 1, (CHECKS, 1)))
    rates = np.minimum(usual * (random.gamma(1 / topical, topical, (CHECKS, STRATA)) if topical else np.ones((1, STRATA))), 0.5)
    won, lost = random.binomial(PAIRS, rates * (1 - rates), (2, CHECKS, STRATA))
    return won, lost


def leaning(won: np.ndarray, lost: np.ndarray) -> np.ndarray:
    return np.where(won.sum(axis=1) >= lost.sum(axis=1), 1.0, -1.0)


def flips(won: np.ndarray, lost: np.ndarray) -> np.ndarray:
    return np.where(leaning(won, lost) > 0, evidence_of_places(won, lost), evidence_of_places(lost, won))


@pytest.mark.parametrize("topical", [0, 1, 5, 20])
def test_chance_shows_no_more_than_an_e_value_would(topical: float) -> None:
    """Both models alike: the best of K checks exceeds log K + 3 nats in at most exp(−3) of the worlds, as of K e-values."""
    random = generator("test-clumps", "null", topical)
    best = []
    for _ in range(WORLDS):
        won, lost = words(random, topical)
        best.append(with_clumps(payoffs(won, lost), leaning(won, lost)).max())
    allowed = np.exp(-3)
    assert np.mean(np.array(best) > np.log(CHECKS) + 3) <= allowed + 2.5 * np.sqrt(allowed * (1 - allowed) / WORLDS)


@pytest.mark.parametrize("topical", [0, 5])
def test_a_word_of_two_strata_stands_out_sooner(topical: float) -> None:
    random = generator("test-clumps", "power", topical)
    first, first_by_flips = 0, 0
    for _ in range(WORLDS):
        won, lost = words(random, topical)
        won[0], lost[0] = 0, 0
        won[0, :2] = random.binomial(PAIRS, 0.15, 2)
        nats, coins = with_clumps(payoffs(won, lost), leaning(won, lost)), flips(won, lost)
        first += bool(nats[0] == nats.max())
        first_by_flips += bool(coins[0] == coins.max())
    assert first >= 0.9 * WORLDS
    assert first > first_by_flips + 0.1 * WORLDS


def test_a_common_word_that_rises_a_little_in_a_tenth_of_the_strata() -> None:
    """Among rarer words, of which chance makes many stand out, its coins are nothing special; that its rate doubles there is."""
    random = generator("test-clumps", "common")
    strata, pairs, worlds = 100, 80, 40
    ahead, ahead_by_flips = 0, 0
    for _ in range(worlds):
        common = np.exp(random.normal(np.log(0.07), 0.4, (200, 1))) * random.gamma(50, 1 / 50, (200, strata))
        rare = np.minimum(np.exp(random.normal(-5.5, 1, (800, 1))) * random.gamma(1 / 5, 5, (800, strata)), 0.5)
        rates = np.concatenate([common, rare])
        won, lost = random.binomial(pairs, rates * (1 - rates), (2, 1_000, strata))
        risen = rates[0, :10] + 0.09
        won[0, :10] = random.binomial(pairs, risen * (1 - rates[0, :10]))
        lost[0, :10] = random.binomial(pairs, (1 - risen) * rates[0, :10])
        nats, coins = with_clumps(payoffs(won, lost, pairs), leaning(won, lost)), flips(won, lost)
        ahead += int((nats > nats[0]).sum()) < 20
        ahead_by_flips += int((coins > coins[0]).sum()) < 20
    assert ahead >= 0.8 * worlds
    assert ahead > ahead_by_flips + 0.1 * worlds


def test_what_never_came_up_again_loses() -> None:
    """Three times in ten pairs of a stratum, and never in the 190 after those: no coin was flipped since."""
    won = np.zeros((1, STRATA))
    won[0, 0] = 3
    lost, pairs, many = np.zeros_like(won), np.full(STRATA, 10.0), np.full(STRATA, 10.0)
    many[0] = 200.0
    assert evidence_of_clumps(many, won, lost)[0] < evidence_of_clumps(pairs, won, lost)[0] - 3


def test_a_word_of_a_topic_is_no_clump() -> None:
    """As often lost as won where its topic is: rates vary, and nothing rose."""
    won, lost = np.zeros((2, 1, STRATA))
    won[0, :5], lost[0, :5] = 6, 5
    assert evidence_of_clumps(np.full(STRATA, 40.0), won, lost)[0] < 2
    assert evidence_of_clumps(np.full(STRATA, 40.0), won, np.zeros_like(won))[0] > 20


def test_the_sides_may_be_swapped() -> None:
    random = generator("test-clumps", "sides")
    won, lost = words(random, 5)
    forward = leaning(won, lost)
    np.testing.assert_allclose(with_clumps(payoffs(won, lost), forward), with_clumps(payoffs(lost, won), -forward))


def test_edges() -> None:
    assert with_clumps(np.zeros((0, STRATA, 3)), np.zeros(0)).shape == (0,)
    nothing = np.zeros((3, STRATA))
    np.testing.assert_allclose(evidence_of_clumps(np.zeros(STRATA), nothing, nothing), 0.0, atol=1e-12)
    assert np.isfinite(evidence_of_clumps(np.array([5.0]), np.array([[5.0]]), np.array([[0.0]]))).all()
    few = np.zeros((4, STRATA))
    few[0, 0] = 9
    np.testing.assert_allclose(with_clumps(payoffs(few, nothing[:1].repeat(4, axis=0)), np.ones(4)), flips(few, 0 * few))
    alike = np.zeros((50, STRATA))
    assert np.isfinite(with_clumps(payoffs(alike, alike), np.ones(50))).all(), "nothing was decided anywhere"
    certain = np.zeros((200, STRATA))
    certain[0, 0] = 5_000
    assert np.isfinite(with_clumps(payoffs(certain, 0 * certain, 5_000), np.ones(200))).all()
