from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.clustering import KMeansPartition, kmeans, stability, turnover
from auto_interventions.errors import ClusteringError
from tests.clustering.worlds import blobs

MODULE = sys.modules[kmeans.__module__]


def test_recovers_planted_blobs() -> None:
    vectors, labels = blobs(7, 60)
    partition = kmeans(vectors, 7, seed=1)
    assert stability(partition.assign(vectors), labels) == 1.0
    assert partition.inertia(vectors) < 0.06


def test_many_vectors_are_read_in_chunks_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = blobs(20, 1_000, dimension=16)
    whole = kmeans(vectors, 20, seed=0).inertia(vectors)
    np.save(tmp_path / "vectors.npy", vectors.astype(np.float16))
    held = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    monkeypatch.setattr(MODULE, "_START_LIMIT", 2_000)
    monkeypatch.setattr(MODULE, "_LLOYD_LIMIT", 1)
    monkeypatch.setattr(MODULE, "_CHUNK", 512)
    partition = kmeans(held, 20, seed=0)
    assert stability(partition.assign(held), labels) > 0.9
    assert partition.inertia(vectors) < 1.1 * whole
    assert partition.mass.sum() == len(vectors)
    np.testing.assert_array_equal(partition.centroids, kmeans(held, 20, seed=0).centroids)


def test_another_seed_is_another_start() -> None:
    vectors = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    assert not np.array_equal(kmeans(vectors, 10, seed=0).centroids, kmeans(vectors, 10, seed=1).centroids)


def test_the_largest_cluster_is_number_zero() -> None:
    vectors = np.float32([[0, 1]] * 5 + [[1, 0]] * 20 + [[1, 1]] * 9) + np.random.default_rng(0).normal(scale=0.01, size=(34, 2))
    assert np.bincount(kmeans(vectors.astype(np.float32), 3, seed=0).assign(vectors.astype(np.float32))).tolist() == [20, 9, 5]


def test_learning_is_the_running_mean_of_each_cluster() -> None:
    start = KMeansPartition.at(np.float32([[0, 0], [10, 0]])).learn(np.float32([[1, 0], [9, 0], [11, 0]]), 2, seed=0)
    np.testing.assert_allclose(start.centroids, [[1, 0], [10, 0]], atol=1e-4)
    assert start.mass.tolist() == [1, 2]
    later = start.learn(np.float32([[4, 0], [13, 3]]), 2, seed=0, weights=np.array([2.0, 4.0]))
    np.testing.assert_allclose(later.centroids, [[3, 0], [12, 2]], atol=1e-4)
    assert later.mass.tolist() == [3, 6]
    assert later.born.tolist() == [0, 0]


def test_weights_give_the_partition_of_the_population() -> None:
    """A group drawn nine times too often: with weights, inertia on uniform held-out vectors is that of a uniform sample."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(60, 16))

    def drawn(counts: tuple[int, int]) -> np.ndarray:
        which = np.concatenate([random.integers(0, 30, counts[0]), random.integers(30, 60, counts[1])])
        return (centres[which] + random.normal(scale=0.6, size=(sum(counts), 16))).astype(np.float32)

    held, uniform, unequal = drawn((2000, 2000)), drawn((1000, 1000)), drawn((1800, 200))
    weights = np.concatenate([np.full(1800, 1 / 1.8), np.full(200, 1 / 0.2)])
    fair, blind, weighted = (
        float(np.mean([kmeans(some, 20, seed, own).inertia(held) for seed in range(3)]))
        for some, own in ((uniform, None), (unequal, None), (unequal, weights))
    )
    assert weighted < 0.5 * (fair + blind)
    assert weighted < 1.06 * fair


def test_learning_in_rounds_is_as_good_as_all_at_once() -> None:
    random = np.random.default_rng(1)
    centres = random.normal(size=(150, 32))
    vectors, held = (
        (centres[random.integers(0, 150, count)] + random.normal(scale=0.7, size=(count, 32))).astype(np.float32)
        for count in (6_000, 3_000)
    )
    partition = kmeans(vectors[:1_500], 60, seed=0)
    for begin in range(1_500, 6_000, 500):
        partition = partition.learn(vectors[begin : begin + 500], 60, seed=0)
    once = kmeans(vectors, 60, seed=0).inertia(held)
    assert partition.inertia(held) < 1.03 * once
    assert partition.polished(vectors, seed=0).inertia(held) < 1.01 * once


def test_clusters_grow_with_the_texts_and_keep_their_rows() -> None:
    vectors, labels = blobs(30, 40, dimension=16)
    partition = kmeans(vectors[:100], 10, seed=0)
    for begin in range(100, 1_200, 100):
        after = partition.learn(vectors[begin : begin + 100], min(30, begin // 5), seed=0)
        born, died = turnover(partition, after)
        assert died == 0
        assert born == after.clusters - partition.clusters
        np.testing.assert_array_equal(after.born[: partition.clusters], partition.born)
        partition = after
    assert partition.clusters == 30
    assert stability(partition.polished(vectors, seed=0).assign(vectors), labels) > 0.85


def test_a_dead_centroid_is_drawn_anew_and_counted() -> None:
    vectors, labels = blobs(6, 100)
    far = np.zeros((1, 32), np.float32)
    far[0, 0] = 50
    stale = KMeansPartition(
        np.concatenate([kmeans(vectors[labels != 5], 5, seed=0).centroids, far]), np.full(6, 100.0), np.zeros(6, np.int64)
    )
    learned = stale.learn(vectors, 6, seed=0)
    assert turnover(stale, learned) == (1, 1)
    assert learned.born.tolist() == [0, 0, 0, 0, 0, 1]
    assert set(learned.assign(vectors[labels == 5]).tolist()) == {5}
    rare = KMeansPartition(stale.centroids, np.array([100, 100, 100, 100, 100, 2.0]), stale.born)
    assert turnover(rare, rare.learn(vectors, 6, seed=0)) == (0, 0), "a rare cluster is not dead because it was not drawn once"
    polished = stale.polished(vectors, seed=0)
    assert turnover(stale, polished) == (1, 1)
    assert stability(polished.assign(vectors), labels) == 1.0


def test_polishing_moves_a_centroid_from_where_two_share_a_cluster_to_where_two_clusters_share_one() -> None:
    vectors, labels = blobs(6, 100)
    means = np.stack([vectors[labels == label].mean(axis=0) for label in range(6)])
    # Clusters 0 and 1 share a centroid, cluster 5 has two: Lloyd's algorithm stays there.
    bad = np.concatenate([[(means[0] + means[1]) / 2], means[2:], means[5:] + 0.01]).astype(np.float32)
    stuck = KMeansPartition.at(bad)
    polished = stuck.polished(vectors, seed=0)
    assert stability(polished.assign(vectors), labels) == 1.0
    assert turnover(stuck, polished) == (1, 1)
    assert stability(stuck.polished(vectors, seed=0, thorough=False).assign(vectors), labels) == 1.0
    again = polished.polished(vectors, seed=0)
    assert turnover(polished, again) == (0, 0)


def test_polishing_leaves_each_centroid_the_mean_of_its_texts() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    weights = np.random.default_rng(1).uniform(0.1, 3, 500)
    partition = kmeans(vectors[:100], 8, seed=0).polished(vectors, seed=0, weights=weights)
    labels = partition.assign(vectors)
    for row in range(8):
        own = labels == row
        np.testing.assert_allclose(partition.centroids[row], np.average(vectors[own], axis=0, weights=weights[own]), atol=0.05)
        assert partition.mass[row] == pytest.approx(weights[own].sum())


def test_assignment_in_chunks_is_the_nearest_centroid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auto_interventions.clustering.partition.NUMBERS_AT_ONCE", 70)
    random = np.random.default_rng(0)
    vectors, centroids = random.normal(size=(101, 5)).astype(np.float32), random.normal(size=(9, 5)).astype(np.float32)
    partition = KMeansPartition.at(centroids)
    labels, distances = partition.nearest(vectors)
    exact = ((vectors[:, None].astype(float) - centroids[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(labels, exact.argmin(axis=1))
    np.testing.assert_allclose(distances, exact.min(axis=1), atol=1e-5)
    first, second = np.sqrt(np.sort(exact, axis=1)[:, :2].T)
    np.testing.assert_allclose(partition.margin(vectors), 1 - (second - first) / (second + first), atol=1e-5)


def test_fewer_different_texts_than_clusters_are_a_cluster_each() -> None:
    vectors = np.float32([[1, 0]] * 2 + [[0, 1]] * 7 + [[0.6, 0.8]] * 4)
    partition = kmeans(vectors, 5, seed=0)
    assert partition.clusters == 3
    assert np.bincount(partition.assign(vectors)).tolist() == [7, 4, 2]
    assert partition.learn(vectors, 5, seed=0).clusters == 3
    new = partition.learn(np.float32([[-1, 0], [-1, 0]]), 5, seed=0)
    assert new.clusters == 4
    np.testing.assert_allclose(new.centroids[3], [-1, 0], atol=1e-5)


def test_a_matrix_is_needed() -> None:
    with pytest.raises(ClusteringError, match="not of shape"):
        kmeans(np.zeros(4, np.float32), 1, seed=0)


def test_partitions_made_in_several_threads_are_the_ones_made_in_one() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_info

    vectors = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)

    def made(seed: int) -> np.ndarray:
        return kmeans(vectors[:300], 10, seed=seed).learn(vectors[300:], 12, seed).centroids

    alone = [made(seed) for seed in range(4)]
    before = [library["num_threads"] for library in threadpool_info()]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(made, range(4)))
    np.testing.assert_array_equal(together, alone)
    assert [library["num_threads"] for library in threadpool_info()] == before
