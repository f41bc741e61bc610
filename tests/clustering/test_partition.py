"""What every partition promises, whatever made it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from auto_interventions.clustering import Partition, living, stability, start_partition, turnover
from auto_interventions.clustering.backends.detecting import why_no_cuml
from auto_interventions.clustering.partition import NOT_LIVING, closeness
from auto_interventions.clustering.start import Algorithm
from auto_interventions.errors import ClusteringError
from tests.clustering.worlds import blobs

ALGORITHMS: tuple[Algorithm, ...] = ("kmeans", "hdbscan")


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> Algorithm:
    return request.param


def test_finds_planted_blobs(algorithm: Algorithm, backend: str) -> None:
    vectors, labels = blobs(7, 60)
    partition = start_partition(algorithm, vectors, 7, seed=1, backend=backend)
    found = partition.assign(vectors)
    assert (found >= 0).mean() > 0.9
    assert stability(found, labels) == pytest.approx(1.0)
    assert living(partition) == 7
    assert partition.inertia(vectors) < 0.1
    assert partition.mass.sum() == pytest.approx((found >= 0).sum())
    np.testing.assert_allclose(partition.centroids[found[0]], vectors[labels == labels[0]].mean(axis=0), atol=0.02)


def test_learning_keeps_rows_and_counts(algorithm: Algorithm, backend: str) -> None:
    vectors, _labels = blobs(6, 80)
    partition = start_partition(algorithm, vectors[:160], 6, seed=0, backend=backend)
    before = partition.assign(vectors)
    for begin in range(160, 480, 80):
        later = partition.learn(vectors[begin : begin + 80], 6, seed=0)
        assert turnover(partition, later) == (0, 0)
        assert later.step == partition.step + 1
        partition = later
    polished = partition.polished(vectors, seed=0)
    after = polished.assign(vectors)
    both = (before >= 0) & (after >= 0)
    assert both.mean() > 0.8
    np.testing.assert_array_equal(before[both], after[both])
    assert polished.mass.sum() == pytest.approx((after >= 0).sum())


def test_a_blob_that_appears_is_born(algorithm: Algorithm, backend: str) -> None:
    vectors, labels = blobs(5, 60)
    early = vectors[labels != 4]
    partition = start_partition(algorithm, early, 4, seed=0, backend=backend)
    old = partition.assign(early)
    grown = partition.learn(vectors[np.concatenate([np.flatnonzero(labels == 4), np.flatnonzero(labels != 4)[:120]])], 5, seed=0)
    assert turnover(partition, grown) == (1, 0)
    assert turnover(None, partition) == (4, 0)
    assert (grown.born == grown.step).sum() == 1
    newborn = int(np.flatnonzero(grown.born == grown.step)[0])
    found = grown.assign(vectors[labels == 4])
    assert set(found[found >= 0].tolist()) == {newborn}
    held = old >= 0
    again = grown.assign(early)
    assert stability(old[held], again[held]) > 0.99
    kept = held & (again >= 0)
    np.testing.assert_array_equal(old[kept], again[kept])


def test_learning_does_not_change_the_partition_it_starts_from(algorithm: Algorithm, backend: str) -> None:
    vectors, _ = blobs(4, 40)
    partition = start_partition(algorithm, vectors[:80], 4, seed=0, backend=backend)
    before = (partition.centroids.copy(), partition.mass.copy(), partition.born.copy())
    partition.learn(vectors[80:], 8, seed=0).polished(vectors, seed=0)
    for old, new in zip(before, (partition.centroids, partition.mass, partition.born), strict=True):
        np.testing.assert_array_equal(old, new)


BITS = """
import hashlib, numpy as np
from auto_interventions.clustering import start_partition
vectors = (np.random.default_rng(3).normal(size=(900, 24)) + 3 * np.eye(24)[np.random.default_rng(1).integers(0, 5, 900)]).astype("f4")
partition = start_partition({algorithm!r}, vectors[:400], 12, seed=5, backend={backend!r})
partition = partition.learn(vectors[400:], 20, seed=5, weights=np.linspace(0.5, 2, 500))
found = partition.centroids.tobytes() + partition.assign(vectors).tobytes() + partition.margin(vectors).tobytes()
found += partition.polished(vectors, 5).centroids.tobytes()
print(hashlib.sha256(found).hexdigest())
"""


@pytest.mark.parametrize("own", ["sklearn", pytest.param("cuml", marks=pytest.mark.gpu)])
def test_the_same_bits_whatever_the_threads(algorithm: Algorithm, own: str) -> None:
    if own == "cuml" and (reason := why_no_cuml()) is not None:
        pytest.skip(f"cuML cannot compute here: {reason}")
    code = BITS.format(algorithm=algorithm, backend=own)
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": threads}, stdout=subprocess.PIPE, text=True)
        for threads in ("1", "2")
    ]
    one, two = (run.communicate(timeout=120)[0] for run in runs)
    assert len(one) == 65
    assert one == two


def test_the_same_twice(algorithm: Algorithm, backend: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(500, 24)).astype(np.float32)
    one, two = (
        start_partition(algorithm, vectors[:300], 12, seed=5, backend=backend).learn(vectors[300:], 20, seed=5).polished(vectors, 5)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.centroids, two.centroids)
    np.testing.assert_array_equal(one.assign(vectors), two.assign(vectors))


def test_margin_is_one_between_two_clusters_and_small_in_one(algorithm: Algorithm, backend: str) -> None:
    random = np.random.default_rng(0)
    centres = np.float32([[-1, 0], [1, 0]])
    vectors = (centres[random.integers(0, 2, 400)] + random.normal(scale=0.1, size=(400, 2))).astype(np.float32)
    partition = start_partition(algorithm, vectors, 2, seed=0, backend=backend)
    assert living(partition) == 2
    inside, between, outside = (float(partition.margin(np.float32([place]))[0]) for place in ((-1, 0), (0, 0), (-3, 0)))
    assert inside < 0.15 < outside < 0.8 < 0.85 < between <= 1
    margins = partition.margin(random.normal(scale=3, size=(500, 2)).astype(np.float32))
    assert margins.min() >= 0
    assert margins.max() <= 1


def test_margin_without_a_second_cluster_is_zero(algorithm: Algorithm, backend: str) -> None:
    alike = np.tile(np.float32([[0.6, 0.8]]), (40, 1))
    partition = start_partition(algorithm, alike, 8, seed=0, backend=backend)
    assert living(partition) == 1
    assert set(partition.assign(alike).tolist()) == {0}
    assert partition.margin(alike).tolist() == [0.0] * 40
    assert living(partition.learn(alike, 8, seed=0).polished(alike, seed=0)) == 1


def test_nothing_new_changes_nothing(algorithm: Algorithm, backend: str) -> None:
    vectors, _ = blobs(3, 30)
    partition = start_partition(algorithm, vectors, 3, seed=0, backend=backend)
    empty = np.empty((0, 32), np.float32)
    assert partition.learn(empty, 3, seed=0) is partition
    assert partition.polished(empty, seed=0) is partition
    assert partition.assign(empty).shape == (0,)
    assert partition.margin(empty).shape == (0,)


def test_what_does_not_fit_is_told(algorithm: Algorithm, backend: str) -> None:
    vectors, _ = blobs(3, 30)
    partition: Partition = start_partition(algorithm, vectors, 3, seed=0, backend=backend)
    for act in (partition.assign, partition.margin, lambda some: partition.learn(some, 3, 0), lambda some: partition.polished(some, 0)):
        with pytest.raises(ClusteringError, match="dimension 3 do not fit a partition of dimension 32"):
            act(vectors[:, :3])
        broken = vectors.copy()
        broken[4, 2] = np.nan
        with pytest.raises(ClusteringError, match="vector 4 of 90 is not finite"):
            act(broken)
    with pytest.raises(ValueError, match="weights are one finite number"):
        partition.learn(vectors, 3, 0, weights=np.ones(4))
    with pytest.raises(ValueError, match="weights are one finite number"):
        partition.learn(vectors, 3, 0, weights=-np.ones(90))
    with pytest.raises(ValueError, match="all weights are 0"):
        partition.polished(vectors, 0, weights=np.zeros(90))


def test_a_start_that_cannot_be_made_is_told(algorithm: Algorithm, backend: str) -> None:
    with pytest.raises(ClusteringError, match=r"`clustering\.clusters` is 100 but there are 40 texts; give 1 to 40"):
        start_partition(algorithm, np.eye(40, dtype=np.float32), 100, seed=0, backend=backend)
    with pytest.raises(ClusteringError, match="there are no texts to cluster"):
        start_partition(algorithm, np.empty((0, 4), np.float32), 1, seed=0, backend=backend)
    with pytest.raises(ClusteringError, match="is 0"):
        start_partition(algorithm, np.eye(4, dtype=np.float32), 0, seed=0, backend=backend)
    with pytest.raises(ClusteringError, match="backend: faiss` is not known; use `auto`, `sklearn` or `cuml`"):
        start_partition(algorithm, np.eye(4, dtype=np.float32), 2, seed=0, backend="faiss")
    broken = np.eye(6, dtype=np.float32)
    broken[4, 2] = np.inf
    with pytest.raises(ClusteringError, match="vector 4 of 6 is not finite"):
        start_partition(algorithm, broken, 2, seed=0, backend=backend)


def test_turnover_tells_a_row_that_was_given_away() -> None:
    class Rows:
        def __init__(self, born: list[int]) -> None:
            self.born = np.array(born)
            self.clusters = len(born)

    old, new = Rows([0, 0, 0, NOT_LIVING]), Rows([0, 3, NOT_LIVING, 3, 3])
    assert turnover(old, new) == (3, 2)  # pyright: ignore[reportArgumentType]
    assert living(new) == 4  # pyright: ignore[reportArgumentType]
    assert turnover(new, Rows([0, 3])) == (0, 2)  # pyright: ignore[reportArgumentType]


def test_closeness_at_its_ends() -> None:
    found = closeness(np.array([0.0, 1.0, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 3.0, 0.0, np.inf]))
    assert found.tolist() == [0.0, 1.0, 0.5, 0.0, 0.0]
