from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.clustering import silhouette, stability


def test_stability_of_identical_partitions_is_one_whatever_the_names() -> None:
    labels = np.random.default_rng(0).integers(0, 9, 500)
    assert stability(labels, labels) == 1.0
    assert stability(labels, (labels + 3) % 9) == pytest.approx(1.0)
    assert stability(np.zeros(50, np.int64), np.zeros(50, np.int64)) == 1.0


def test_stability_of_unrelated_partitions_is_about_zero() -> None:
    random = np.random.default_rng(0)
    values = [stability(random.integers(0, 5, 300), random.integers(0, 5, 300)) for _ in range(50)]
    assert abs(float(np.mean(values))) < 0.01


def test_stability_leaves_out_what_has_no_label() -> None:
    a, b = np.array([0, 0, 1, 1, -1, 2]), np.array([5, 5, 7, 7, 5, -1])
    assert stability(a, b) == 1.0
    assert stability(np.array([-1, 0]), np.array([0, -1])) == 1.0
    with pytest.raises(ValueError, match="cannot be compared"):
        stability(a, b[:3])


def test_silhouette_tells_tight_from_random_and_repeats() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 500)
    tight = (np.eye(4)[labels] + random.normal(scale=0.05, size=(2000, 4))).astype(np.float32)
    assert silhouette(tight, labels, seed=0) > 0.8
    assert abs(silhouette(tight, random.permutation(labels), seed=0)) < 0.1
    assert silhouette(tight, labels, seed=0, sample=100) == silhouette(tight, labels, seed=0, sample=100)
    assert silhouette(tight, labels, seed=0, sample=100) == pytest.approx(silhouette(tight, labels, seed=0, sample=2000), abs=0.05)


def test_silhouette_is_zero_where_it_is_not_defined() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert silhouette(vectors, np.zeros(3, np.int64), seed=0) == 0.0
    assert silhouette(vectors, np.arange(3), seed=0) == 0.0
    assert silhouette(vectors, np.array([-1, -1, -1]), seed=0) == 0.0
