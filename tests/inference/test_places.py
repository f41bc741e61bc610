"""Places: evidence of holding in some strata is an e-value however the strata were chosen, and it is believed where it is."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.fingerprint import generator
from auto_interventions.inference.places import evidence_everywhere, evidence_of_places, locate, recurrence

STRATA = 40
CHECKS = 600


def forward(seen: np.ndarray) -> np.ndarray:
    return np.ones(len(seen))


def sums(count: np.ndarray, won: np.ndarray, lost: np.ndarray) -> np.ndarray:
    return np.stack([count, won - lost, won + lost], axis=-1).astype(np.float64)


def test_the_evidence_keeps_its_rate_when_pairs_follow_it() -> None:
    """Coin flips; each of 60 rounds asks the stratum that stands best, or a random one. By Ville the largest e-value of all rounds is ≥ 10
    in at most a tenth of the checks; and their mean is at most 1."""
    random = generator("test-places", "null")
    won, lost = np.zeros((2, CHECKS, STRATA))
    rows, highest = np.arange(CHECKS), np.full(CHECKS, -np.inf)
    for _ in range(60):
        asked = np.where(random.random(CHECKS) < 0.5, (won - lost).argmax(axis=1), random.integers(0, STRATA, CHECKS))
        wins = random.random(CHECKS) < 0.5
        won[rows, asked] += wins
        lost[rows, asked] += ~wins
        evidence = evidence_of_places(won, lost)
        highest = np.maximum(highest, evidence)
    values = np.exp(evidence)
    assert values.mean() <= 1 + 3 * values.std() / np.sqrt(CHECKS)
    assert (highest >= np.log(10)).mean() <= 0.1 + 2.5 * np.sqrt(0.1 * 0.9 / CHECKS)


@pytest.mark.parametrize("affected", [1, 4, 16])
def test_it_sees_a_rise_in_some_strata_before_all_strata_together_show_it(affected: int) -> None:
    """Twelve pairs a stratum, a rise of 0.4 from 0.2: against evidence everywhere and in the best stratum, less log S for the choice."""
    random = generator("test-places", "power", affected)
    rise = np.where(np.arange(STRATA) < affected, 0.4, 0.0)
    gained, had = random.random((2, CHECKS, STRATA, 12))
    difference = (gained < 0.2 + rise[:, None]).astype(int) - (had < 0.2)
    won, lost = (difference > 0).sum(axis=-1), (difference < 0).sum(axis=-1)
    some = evidence_of_places(won, lost)
    assert np.median(some) > np.median(evidence_everywhere(won.sum(axis=1), lost.sum(axis=1)))
    best = np.max([evidence_everywhere(won[:, stratum], lost[:, stratum]) for stratum in range(STRATA)], axis=0)
    assert np.median(some) > np.median(best - np.log(STRATA))


def test_edges_of_the_evidence() -> None:
    nothing = np.zeros((2, STRATA))
    np.testing.assert_allclose(evidence_of_places(nothing, nothing), 0.0, atol=1e-12)
    assert evidence_of_places(np.zeros((0, STRATA)), np.zeros((0, STRATA))).shape == (0,)
    won = nothing.copy()
    won[:, 3] = 1_000
    certain = evidence_of_places(won, nothing)
    assert np.isfinite(certain).all()
    limited = evidence_of_places(won, nothing, np.where(won > 0, 2.0, 0.0))
    assert (limited < 2).all(), "what one prompt can show is bounded"
    assert (limited > 0).all()
    assert (evidence_of_places(nothing, won) < 0).all()
    assert (evidence_of_places(nothing, won) > np.log(0.5)).all(), "one stratum's losses cost no more than the share that it had"


@pytest.mark.parametrize(("base", "rise", "pairs"), [(0.0, 0.3, 12), (0.2, 0.4, 30)])
def test_the_affected_strata_are_found(base: float, rise: float, pairs: int) -> None:
    random = generator("test-places", "locate", pairs)
    affected = np.arange(STRATA) < 4
    rates = np.where(affected, base + rise, base)
    difference = (random.random((50, STRATA, pairs)) < rates[:, None]).astype(int) - (random.random((50, STRATA, pairs)) < base)
    seen = sums(np.full((50, STRATA), pairs), (difference > 0).sum(axis=-1), (difference < 0).sum(axis=-1))
    places = locate(seen, forward(seen))
    inside, outside = places.growth[:, affected], places.growth[:, ~affected]
    assert np.median(inside) > 20 * np.median(outside)
    assert np.median(places.mean[:, affected]) == pytest.approx(rise, rel=0.5)
    assert np.median(places.mean[:, ~affected]) < 0.05
    backward = locate(seen * np.array([1.0, -1.0, 1.0]), -forward(seen))
    np.testing.assert_allclose(backward.growth, places.growth)


def test_what_holds_everywhere_is_believed_everywhere() -> None:
    random = generator("test-places", "everywhere")
    won, lost = random.binomial(60, 0.2, (30, STRATA)), random.binomial(60, 0.1, (30, STRATA))
    places = locate(sums(np.full((30, STRATA), 60), won, lost), np.ones(30))
    assert np.median(places.growth.min(axis=1) / places.growth.max(axis=1)) > 0.8


def test_edges_of_locating() -> None:
    empty = np.zeros((2, STRATA, 3))
    one = np.array([[[10.0, 8.0, 8.0]]])
    unlikely = sums(np.full((1, STRATA), 5.0), np.zeros((1, STRATA)), np.full((1, STRATA), 5.0))  # lost always
    graded = np.tile(np.array([20.0, 3.0, 0.9]), (1, STRATA, 1))  # payoffs of 0.15: their squares are less than their sum
    for seen, by_model in ((empty, None), (one, None), (unlikely, None), (graded, np.array([True]))):
        places = locate(seen, forward(seen), by_model)
        for values in (places.growth, places.mean, places.second):
            assert values.shape == seen.shape[:2]
            assert np.isfinite(values).all()
            assert (values >= 0).all()
        assert (places.second > 0).all()
    assert locate(np.zeros((0, STRATA, 3)), np.zeros(0)).growth.shape == (0, STRATA)
    assert locate(one, np.ones(1)).mean[0, 0] == pytest.approx(0.75, abs=0.1)


def test_words_of_a_topic_are_found_where_they_are_and_promise_nothing() -> None:
    """Won and lost alike in five strata, and nowhere else; beside it one that is only won there."""
    count, won, lost = np.full((2, STRATA), 40.0), np.zeros((2, STRATA)), np.zeros((2, STRATA))
    won[:, :5], lost[0, :5] = 5, 4
    topical, real = locate(sums(count, won, lost), np.ones(2)).growth[:, :5].mean(axis=1)
    assert topical < 0.2 * real


def found_by(wins: int, pairs: int, fresh_wins: int, fresh: int) -> float:
    """`recurrence` of a check that won in one stratum, where fresh pairs were asked since."""
    count = np.zeros((2, 1, STRATA))
    count[0], count[1, 0, 0] = pairs, fresh
    won = np.zeros((2, 1, STRATA))
    won[:, 0, 0] = wins, fresh_wins
    before, since = (sums(*one, np.zeros((1, STRATA))) for one in zip(count, won, strict=True))
    return float(recurrence(before, since, np.ones(1))[0])


def test_what_does_not_come_up_again_is_disowned_by_pairs_that_show_nothing() -> None:
    assert found_by(4, 30, 0, 0) == pytest.approx(0.0, abs=1e-9)
    assert found_by(4, 30, 0, 30) < 0
    assert found_by(4, 30, 0, 200) < found_by(4, 30, 0, 100) < -3
    assert found_by(4, 30, 3, 60) > 5, "a third of the rate that it was found at, and far more than it has elsewhere"


def test_recurrence_knows_the_direction_and_the_places() -> None:
    before, since = np.zeros((2, 2, STRATA, 3))
    before[..., 0], since[..., 0] = 20, 20
    before[:, :3, 1:], before[1, :3, 1] = 6, -6  # more in the intervention, more in the base
    since[:, :3, 1:], since[1, :3, 1] = 5, -5
    both = recurrence(before, since, np.array([1.0, -1.0]))
    assert both[0] == pytest.approx(both[1])
    assert both[0] > 10
    elsewhere = np.roll(since, 20, axis=1)
    assert recurrence(before, elsewhere, np.array([1.0, -1.0])).max() < 0


def test_recurrence_tells_the_found_from_the_luckiest() -> None:
    """The best 200 of 3,800 that chance made, and 200 that hold in five strata; chosen for how they looked, asked as often again."""
    random = generator("test-places", "recurrence")
    usual = np.full((2, 2, 4_000, STRATA), 0.02)
    usual[:, 0, 3_800:, :5] = 0.15  # won there, before and since
    won, lost, fresh_won, fresh_lost = random.binomial(30, usual).reshape(4, 4_000, STRATA)
    lucky = np.argsort(-evidence_of_places(won[:3_800], lost[:3_800]))[:200]
    chosen = np.append(lucky, np.arange(3_800, 4_000))
    count = np.full((400, STRATA), 30)
    nats = recurrence(sums(count, won[chosen], lost[chosen]), sums(count, fresh_won[chosen], fresh_lost[chosen]), np.ones(400))
    assert np.median(nats[:200]) < 0
    assert np.median(nats[200:]) > 5
    assert (nats[:200] > nats[200:].mean()).mean() < 0.02
