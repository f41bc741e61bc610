from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_moons

from auto_interventions.clustering import hdbscan, living, stability, turnover
from auto_interventions.clustering.partition import NOT_LIVING
from tests.clustering.worlds import blobs


def test_clusters_follow_the_dense_places_whatever_their_shape() -> None:
    vectors, labels = make_moons(800, noise=0.04, random_state=0)
    partition = hdbscan(vectors.astype(np.float32), 6, seed=0)
    found = partition.assign(vectors.astype(np.float32))
    assert living(partition) >= 2
    for row in range(partition.clusters):
        assert len(set(labels[found == row].tolist())) == 1, "no cluster reaches over the gap between the moons"


def test_fresh_vectors_of_a_cluster_are_assigned_to_it() -> None:
    vectors, _ = blobs(5, 100, seed=0)
    fresh, labels = blobs(5, 100, seed=1)
    found = hdbscan(vectors, 5, seed=0).assign(fresh)
    assert (found >= 0).mean() > 0.9
    assert stability(found, labels) > 0.99


def test_what_lies_apart_is_in_no_cluster() -> None:
    vectors, labels = blobs(4, 100, dimension=8)
    random = np.random.default_rng(0)
    stray = random.normal(size=(100, 8))
    stray = (stray / np.linalg.norm(stray, axis=1, keepdims=True)).astype(np.float32)
    partition = hdbscan(np.concatenate([vectors, stray]), 4, seed=0)
    assert stability(partition.assign(vectors), labels) > 0.99
    assert (partition.assign(stray) < 0).mean() > 0.5
    labels_far, distances = partition.nearest(np.full((3, 8), 9, np.float32))
    assert labels_far.tolist() == [-1] * 3
    assert np.isnan(distances).all()
    assert np.isnan(partition.inertia(np.full((3, 8), 9, np.float32)))


def test_no_dense_place_is_no_cluster_or_few() -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    partition = hdbscan(vectors, 20, seed=0)
    assert (partition.assign(vectors) < 0).mean() > 0.5


def test_at_most_as_many_clusters_as_asked_for_the_largest() -> None:
    vectors, labels = blobs(6, 60)
    keep = (labels > 2) | (np.random.default_rng(0).random(len(labels)) < 0.5)
    partition = hdbscan(vectors[keep], 3, seed=0)
    assert living(partition) == 3
    found = partition.assign(vectors[keep])
    assert set(labels[keep][found >= 0].tolist()) == {3, 4, 5}


def test_it_looks_at_a_bounded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auto_interventions.clustering.density._SAMPLE", 300)
    vectors, labels = blobs(5, 400)
    partition = hdbscan(vectors[:500], 5, seed=0)
    looks = 0
    for begin in range(500, 2_000, 100):
        later = partition.learn(vectors[begin : begin + 100], 5, seed=0)
        looks += later.look is not partition.look
        partition = later
    assert len(partition.sample) == 300
    assert looks == 3  # at 800, 1200 and 1800 vectors: it costs no more than what is new
    assert stability(partition.assign(vectors), labels) > 0.99


def test_heavier_vectors_are_likelier_in_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auto_interventions.clustering.density._SAMPLE", 200)
    vectors = np.concatenate([np.zeros((900, 2)), np.ones((100, 2))]).astype(np.float32)
    weights = np.concatenate([np.full(900, 0.5 / 0.9), np.full(100, 0.5 / 0.1)])
    held = np.mean([hdbscan(vectors, 2, seed, weights).sample[:, 0].mean() for seed in range(10)])
    # Without replacement 200 of weight ½ : ½ give the light group a little more than half.
    assert 0.3 < held < 0.5
    assert hdbscan(vectors, 2, 0).sample[:, 0].mean() == pytest.approx(0.1, abs=0.05)


def test_a_cluster_that_is_not_found_again_dies_and_its_row_is_free() -> None:
    vectors, labels = blobs(4, 50)
    partition = hdbscan(vectors[labels < 3], 4, seed=0)
    row = int(partition.assign(vectors[labels == 0])[0])
    without = partition.polished(vectors[(labels == 1) | (labels == 2)], seed=0)
    assert turnover(partition, without) == (0, 1)
    assert without.born[row] == NOT_LIVING
    assert set(without.assign(vectors[labels == 0]).tolist()) == {-1}
    again = without.polished(vectors[labels > 0], seed=0)
    assert turnover(without, again) == (1, 0)
    assert again.born[row] == again.step, "the free row is taken before a new one"
    assert again.clusters == 3
