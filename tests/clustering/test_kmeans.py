from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from auto_interventions.clustering import Partition, kmeans, stability
from auto_interventions.errors import ClusteringError
from auto_interventions.records import FloatMatrix, IntArray


def blobs(count: int, each: int, seed: int = 0, dimension: int = 32, spread: float = 0.05) -> tuple[FloatMatrix, IntArray]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count, dimension))
    labels = random.permutation(np.repeat(np.arange(count), each))
    vectors = centres[labels] + random.normal(scale=spread, size=(count * each, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def test_recovers_planted_blobs() -> None:
    vectors, labels = blobs(7, 60)
    partition = kmeans(vectors, 7, seed=1)
    assert stability(partition.assign(vectors), labels) == 1.0
    assert partition.inertia(vectors) < 0.01


def test_recovers_planted_blobs_in_mini_batches() -> None:
    vectors, labels = blobs(20, 2_000, dimension=16)
    partition = kmeans(vectors, 20, seed=0)
    assert stability(partition.assign(vectors), labels) > 0.85
    np.testing.assert_array_equal(partition.centroids, kmeans(vectors, 20, seed=0).centroids)


def test_the_same_bits_whatever_the_threads() -> None:
    code = """
import hashlib, numpy as np
from auto_interventions.clustering import kmeans
found = hashlib.sha256()
for rows in (500, 31_000):  # Lloyd, mini-batches
    vectors = np.random.default_rng(3).normal(size=(rows, 24)).astype("f4")
    partition = kmeans(vectors, 12, seed=5)
    found.update(partition.centroids.tobytes() + partition.assign(vectors).tobytes())
print(found.hexdigest())
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env={"OMP_NUM_THREADS": threads}, stdout=subprocess.PIPE, text=True)
        for threads in ("1", "2")
    ]
    one, two = (run.communicate(timeout=120)[0] for run in runs)
    assert len(one) == 65
    assert one == two


def test_another_seed_is_another_start() -> None:
    vectors = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    assert not np.array_equal(kmeans(vectors, 10, seed=0).centroids, kmeans(vectors, 10, seed=1).centroids)


def test_the_largest_cluster_is_number_zero() -> None:
    vectors = np.float32([[0, 1]] * 5 + [[1, 0]] * 20 + [[1, 1]] * 9) + np.random.default_rng(0).normal(scale=0.01, size=(34, 2))
    assert np.bincount(kmeans(vectors.astype(np.float32), 3, seed=0).assign(vectors.astype(np.float32))).tolist() == [20, 9, 5]


def test_a_warm_start_keeps_identities_and_finds_a_new_blob() -> None:
    vectors, labels = blobs(5, 50)
    old = kmeans(vectors[labels != 4], 4, seed=0)
    new = kmeans(vectors, 5, seed=0, start=old.centroids)
    np.testing.assert_array_equal(new.assign(vectors[labels != 4]), old.assign(vectors[labels != 4]))
    assert set(new.assign(vectors[labels == 4])) == {4}
    fewer = kmeans(vectors, 3, seed=0, start=old.centroids)
    assert fewer.clusters == 3


def test_matching_gives_permuted_clusters_their_old_numbers() -> None:
    vectors, _ = blobs(6, 40)
    old = kmeans(vectors, 6, seed=0)
    shuffled = Partition(old.centroids[[3, 1, 5, 0, 2, 4]] + np.float32(0.001))
    assert shuffled.lineage(old).tolist() == [3, 1, 5, 0, 2, 4]
    np.testing.assert_array_equal(shuffled.matched_to(old).assign(vectors), old.assign(vectors))


def test_matching_appends_births_and_closes_ranks_after_deaths() -> None:
    old = Partition(np.float32([[0, 0], [10, 0], [0, 10]]))
    grown = Partition(np.float32([[50, 50], [0, 10.1], [0.1, 0], [10, 0.1]]))
    assert grown.lineage(old).tolist() == [-1, 2, 0, 1]
    np.testing.assert_allclose(grown.matched_to(old).centroids, [[0.1, 0], [10, 0.1], [0, 10.1], [50, 50]], rtol=1e-6)
    shrunk = Partition(np.float32([[0, 10.1], [0.1, 0]]))
    np.testing.assert_allclose(shrunk.matched_to(old).centroids, [[0.1, 0], [0, 10.1]], rtol=1e-6)


def test_assignment_in_chunks_is_the_nearest_centroid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[kmeans.__module__], "_CHUNK_NUMBERS", 70)
    random = np.random.default_rng(0)
    vectors, centroids = random.normal(size=(101, 5)).astype(np.float32), random.normal(size=(9, 5)).astype(np.float32)
    labels, distances = Partition(centroids).nearest(vectors)
    exact = ((vectors[:, None].astype(float) - centroids[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(labels, exact.argmin(axis=1))
    np.testing.assert_allclose(distances, exact.min(axis=1), atol=1e-5)
    assert Partition(centroids).assign(np.empty((0, 5), np.float32)).shape == (0,)


def test_all_texts_alike_are_one_cluster() -> None:
    vectors = np.tile(np.float32([[0.6, 0.8]]), (40, 1))
    partition = kmeans(vectors, 8, seed=0)
    assert partition.clusters == 1
    assert set(partition.assign(vectors)) == {0}


def test_fewer_different_texts_than_clusters_are_a_cluster_each() -> None:
    vectors = np.float32([[1, 0]] * 2 + [[0, 1]] * 7 + [[0.6, 0.8]] * 4)
    partition = kmeans(vectors, 5, seed=0)
    assert partition.clusters == 3
    assert np.bincount(partition.assign(vectors)).tolist() == [7, 4, 2]
    warm = kmeans(vectors, 5, seed=0, start=np.float32([[0.6, 0.8], [1, 0], [0, 1]]))
    np.testing.assert_array_equal(warm.centroids, np.float32([[0.6, 0.8], [1, 0], [0, 1]]))


def test_more_clusters_than_texts() -> None:
    with pytest.raises(ClusteringError, match=r"`clustering\.clusters` is 100 but there are 40 texts; give 1 to 40"):
        kmeans(np.eye(40, dtype=np.float32), 100, seed=0)
    with pytest.raises(ClusteringError, match="there are no texts to cluster"):
        kmeans(np.empty((0, 4), np.float32), 1, seed=0)
    with pytest.raises(ClusteringError, match="is 0"):
        kmeans(np.eye(4, dtype=np.float32), 0, seed=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_named(bad: float) -> None:
    vectors = np.eye(6, dtype=np.float32)
    vectors[4, 2] = bad
    with pytest.raises(ClusteringError, match="vector 4 of 6 is not finite"):
        kmeans(vectors, 2, seed=0)
    with pytest.raises(ClusteringError, match="vector 4 of 6 is not finite"):
        Partition(np.eye(6, dtype=np.float32)).assign(vectors)


def test_what_does_not_fit_is_told() -> None:
    vectors = np.eye(6, dtype=np.float32)
    with pytest.raises(ClusteringError, match="dimension 3 do not fit a partition of dimension 6"):
        Partition(vectors).assign(vectors[:, :3])
    with pytest.raises(ClusteringError, match="start centroids"):
        kmeans(vectors, 2, seed=0, start=vectors[:2, :3])
    with pytest.raises(ClusteringError, match="backend: cuml` is not in this version"):
        kmeans(vectors, 2, seed=0, backend="cuml")


def test_partitions_made_in_several_threads_are_the_ones_made_in_one() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_info

    vectors = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)
    alone = [kmeans(vectors, 10, seed=seed).centroids for seed in range(4)]
    before = [library["num_threads"] for library in threadpool_info()]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: kmeans(vectors, 10, seed=seed).centroids, range(4)))
    np.testing.assert_array_equal(together, alone)
    assert [library["num_threads"] for library in threadpool_info()] == before
