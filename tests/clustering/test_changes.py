from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.clustering import ChangeEvidence, classified, cluster_shares, kmeans
from auto_interventions.clustering.changes import difference_interval, flips_log_e
from auto_interventions.clustering.kmeans import KMeansPartition
from auto_interventions.clustering.shares import ClusterShares
from auto_interventions.inference import e_bh
from auto_interventions.inference.proportion import wilson_interval
from auto_interventions.records import IntArray


def rows(born: list[int]) -> KMeansPartition:
    return KMeansPartition(np.zeros((len(born), 2), np.float32), np.zeros(len(born)), np.array(born))


def shares_of(base: IntArray, intervention: IntArray, clusters: int) -> ClusterShares:
    prompts = [str(row) for row in range(len(base))]
    return cluster_shares(base, intervention, prompts, prompts, clusters)


def test_counts_the_pairs_with_one_text_in_a_cluster() -> None:
    evidence = ChangeEvidence.start().bet(rows([0, 0, 0]), np.array([0, 1, -1, 2]), np.array([1, 1, 0, -1]))
    assert evidence.gains.tolist() == [1, 1, 0]
    assert evidence.losses.tolist() == [1, 0, 1]
    assert evidence.log_e[0] == pytest.approx(np.log(0.5))


def test_evidence_is_the_beta_mixture_and_symmetric() -> None:
    random = np.random.default_rng(0)
    bias = random.beta(0.5, 0.5, 400_000)
    for gains, losses in ((3, 0), (5, 2), (0, 4)):
        mixed = float(np.mean((2 * bias) ** gains * (2 * (1 - bias)) ** losses))
        assert np.exp(flips_log_e(np.array([gains]), np.array([losses])))[0] == pytest.approx(mixed, rel=0.02)
        assert flips_log_e(np.array([gains]), np.array([losses])) == flips_log_e(np.array([losses]), np.array([gains]))
    assert flips_log_e(np.array([0]), np.array([0]))[0] == pytest.approx(0.0, abs=1e-12)


def test_peeking_at_every_flip_is_allowed() -> None:
    flips = np.random.default_rng(0).random((4_000, 400)) < 0.5
    gains = np.cumsum(flips, axis=1)
    e = flips_log_e(gains, np.arange(1, 401) - gains)
    ever = float((e.max(axis=1) >= np.log(20)).mean())
    assert 0.005 < ever <= 0.05


def test_a_cluster_born_in_a_dead_ones_row_starts_anew_and_the_dead_one_still_counts() -> None:
    first = ChangeEvidence.start().bet(rows([0, 0]), np.array([1] * 20), np.array([0] * 20))
    assert first.log_e.min() > 8
    after = first.followed(rows([0, 2, 2]))
    assert after.gains.tolist() == [20, 0, 0]
    assert after.losses.tolist() == [0, 0, 0]
    assert after.buried == pytest.approx(first.log_e[1:])
    assert len(after.family) == 4
    assert after.followed(rows([0, 2, 2])).buried.tolist() == after.buried.tolist()
    with pytest.raises(ValueError, match="does not continue"):
        after.followed(rows([0]))
    with pytest.raises(ValueError, match="4 labels of the base's texts but 3"):
        first.bet(rows([0, 0]), np.zeros(4, np.int64), np.zeros(3, np.int64))


def test_new_lost_grown_shrunk_and_unchanged() -> None:
    random = np.random.default_rng(0)
    base = random.choice(6, 3_000, p=[0.0, 0.1, 0.1, 0.2, 0.3, 0.3])
    intervention = random.choice(6, 3_000, p=[0.1, 0.0, 0.2, 0.1, 0.3, 0.3])
    evidence = ChangeEvidence.start().bet(rows([0] * 6), base, intervention)
    changes = classified(shares_of(base, intervention, 6), e_bh(evidence.family, 0.05), 0.05)
    assert changes.change == ("new", "lost", "grown", "shrunk", "unchanged", "unchanged")
    assert 0.07 < changes.lower[0] < 0.1 < changes.upper[0] < 0.13
    assert changes.lower[4] < 0 < changes.upper[4]


def test_without_evidence_or_with_an_interval_over_zero_nothing_changed() -> None:
    base, intervention = np.repeat([0, 1], 50), np.repeat([1, 0], [80, 20])
    shares = shares_of(base, intervention, 2)
    assert classified(shares, np.array([False, False]), 0.05).change == ("unchanged", "unchanged")
    assert classified(shares, np.array([True, True]), 0.05).change == ("shrunk", "grown")
    alike = shares_of(base, base[::-1].copy(), 2)
    assert classified(alike, np.array([True, True]), 0.05).change == ("unchanged", "unchanged")


def test_edges() -> None:
    nothing = np.empty(0, np.int64)
    empty = classified(shares_of(nothing, nothing, 2), np.array([False, False]), 0.05)
    assert (empty.lower.tolist(), empty.upper.tolist()) == ([-1.0, -1.0], [1.0, 1.0])
    one = classified(shares_of(np.array([0]), np.array([1]), 2), np.array([True, True]), 0.05)
    assert one.change == ("unchanged", "unchanged")
    assert classified(shares_of(nothing, nothing, 0), np.zeros(0, bool), 0.05).change == ()
    with pytest.raises(ValueError, match="1 rejections for 2 clusters"):
        classified(shares_of(nothing, nothing, 2), np.array([True]), 0.05)
    with pytest.raises(ValueError, match="alpha must lie"):
        classified(shares_of(nothing, nothing, 1), np.array([True]), 1.0)
    assert wilson_interval(np.array([0.0, 1.0]), 0.0, 2.0)[1].tolist() == [1.0, 1.0]
    assert wilson_interval(np.array([0.0]), 100.0, 2.0)[1][0] == pytest.approx(4 / 104)


def test_intervals_hold_for_all_clusters_at_once_under_unequal_sampling() -> None:
    """Rare and common clusters, a stratum drawn ten times too often, prompts with one to three texts: the true differences of shares of
    the uniform population are covered, all at once, in 95% of audits or a little more."""
    random = np.random.default_rng(0)
    audits, clusters, counts = 400, 12, np.array([400, 60, 40])
    base = random.dirichlet(np.full(clusters, 0.5), size=3)
    intervention = 0.8 * base + 0.2 * random.dirichlet(np.full(clusters, 0.5), size=3)
    pool = np.array([0.2, 0.4, 0.4])
    truth = pool @ (intervention - base)
    strata = np.repeat(np.arange(3), counts)
    texts = 1 + np.arange(len(strata)) % 3
    of_text, prompts = np.repeat(strata, texts), np.repeat(np.arange(len(strata)), texts).astype(str).tolist()
    weights = {str(prompt): pool[stratum] / counts[stratum] for prompt, stratum in enumerate(strata.tolist())}
    covered = 0
    for _ in range(audits):
        labels = [(random.random((len(of_text), 1)) > np.cumsum(side, axis=1)[of_text]).sum(axis=1) for side in (base, intervention)]
        changes = classified(
            cluster_shares(*(np.minimum(own, clusters - 1) for own in labels), prompts, prompts, clusters, weights),
            np.zeros(clusters, bool),
            0.05,
        )
        covered += bool(((changes.lower <= truth) & (truth <= changes.upper)).all())
    assert covered / audits >= 0.94
    assert covered < audits, "intervals that never miss are too wide"


def test_intervals_shrink_with_the_prompts() -> None:
    def width(count: int) -> float:
        labels = np.arange(count) % 4
        lower, upper = difference_interval(shares_of(labels, np.roll(labels, 1), 4), 3.0)
        return float((upper - lower).max())

    assert width(40) > 1.8 * width(400) > 3.2 * width(4_000)


def test_identical_models_are_called_changed_in_at_most_alpha_of_audits_peeking_under_greedy_sampling() -> None:
    """Each round goes to the strata where the clusters so far seem to differ most, and is looked at: any look counts."""
    audits = 60
    false = 0
    for audit in range(audits):
        random = np.random.default_rng(audit)
        centres = random.normal(size=(8, 3))
        likely = random.dirichlet(np.full(8, 0.4), size=6)  # strata differ, models do not

        def texts(strata: IntArray, random: np.random.Generator = random, centres=centres, likely=likely) -> np.ndarray:  # type: ignore[no-untyped-def]
            kinds = (random.random((len(strata), 1)) > np.cumsum(likely, axis=1)[strata]).sum(axis=1)
            return (centres[np.minimum(kinds, 7)] + random.normal(scale=0.4, size=(len(strata), 3))).astype(np.float32)

        drawn = np.arange(60) % 6
        base, intervention = texts(drawn), texts(drawn)
        partition = kmeans(np.concatenate([base, intervention]), 8, seed=audit)
        evidence, moved = ChangeEvidence.start(), np.zeros((6, 8))
        found = False
        for _ in range(4):
            favourite = np.abs(moved).max(axis=1)
            drawn = random.choice(6, 60, p=(favourite + 0.1) / (favourite + 0.1).sum())
            base, intervention = texts(drawn), texts(drawn)
            labels = partition.assign(base), partition.assign(intervention)
            evidence = evidence.bet(partition, *labels)
            np.add.at(moved, (drawn, labels[1]), 1)
            np.add.at(moved, (drawn, labels[0]), -1)
            found |= bool(e_bh(evidence.family, 0.05).any())
            partition = partition.learn(np.concatenate([base, intervention]), 8, seed=audit)
        false += found
    assert false <= 0.05 * audits + 1.64 * np.sqrt(0.05 * 0.95 * audits)
