from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.comparing.clusters import compare_clusters
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatMatrix


def blobs(clusters: int = 4, each: int = 60, spread: float = 0.1) -> tuple[FloatMatrix, FloatMatrix]:
    """Vectors around corners of a cube, and the corners."""
    random = generator("test-compare-clusters", clusters)
    centres = random.choice([-1.0, 1.0], (64, 12))
    centres = np.unique(centres, axis=0)[:clusters].astype(np.float32)
    vectors = np.repeat(centres, each, axis=0) + random.normal(0, spread, (clusters * each, 12))
    return vectors.astype(np.float32), centres


def strata(vectors: FloatMatrix, each: int = 60) -> list[str]:
    """One stratum a corner."""
    return [f"corner {row // each}" for row in range(len(vectors))]


def test_the_same_partition_keeps_everything() -> None:
    vectors, centres = blobs()
    compared = compare_clusters(vectors, strata(vectors), centres[::-1], centres, centres, seed=0)
    for share in compared.kept(compared.active).values():
        assert share == pytest.approx(1.0)
    assert compared.exhaustive.agreement == compared.active.agreement == 1.0
    assert compared.exhaustive.strata == compared.active.strata == 1.0
    assert compared.exhaustive.inertia == pytest.approx(12 * 0.01, rel=0.1)
    variance = float(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert compared.exhaustive.explained == pytest.approx(1 - compared.exhaustive.inertia / variance)


def test_a_worse_partition_keeps_less() -> None:
    vectors, centres = blobs()
    merged = np.concatenate([centres[:2].mean(axis=0, keepdims=True), centres[2:]])
    compared = compare_clusters(vectors, strata(vectors), merged, centres, centres, seed=0)
    kept = compared.kept(compared.active)
    assert all(share is not None and share < 0.95 for share in kept.values()), kept
    assert compared.kept(compared.again) == pytest.approx({"inertia": 1, "explained": 1, "silhouette": 1, "strata": 1, "agreement": 1})


def test_centroids_at_random_keep_little() -> None:
    vectors, centres = blobs(clusters=8)
    random = generator("test-compare-clusters", "random")
    compared = compare_clusters(vectors, strata(vectors), random.normal(0, 0.2, (8, 12)).astype(np.float32), centres, centres, seed=0)
    kept = compared.kept(compared.active)
    assert kept["inertia"] is not None
    assert kept["inertia"] < 0.1
    assert kept["explained"] is not None
    assert kept["explained"] < 0.4


def test_degenerate_texts_have_figures() -> None:
    vectors = np.ones((10, 3), dtype=np.float32)
    compared = compare_clusters(vectors, strata(vectors), vectors[:1], vectors[:1], vectors[:1], seed=0)
    assert compared.active.explained == 0.0
    assert compared.kept(compared.active) == {"inertia": None, "explained": None, "silhouette": None, "strata": 1.0, "agreement": 1.0}


def test_agreement_with_strata_is_a_figure_of_its_own() -> None:
    vectors, centres = blobs()
    pairs = [f"two corners {row // 120}" for row in range(len(vectors))]
    finer = compare_clusters(vectors, pairs, centres, centres[::2], centres[::2], seed=0)
    assert finer.exhaustive.strata == 1.0
    assert finer.active.strata == pytest.approx(0.5, abs=0.1), "each stratum is two clusters"
    alone = compare_clusters(vectors, ["all"] * len(vectors), centres, centres, centres, seed=0)
    assert alone.active.strata == 0.0
    assert alone.kept(alone.active)["strata"] is None, "one stratum says nothing"
    with pytest.raises(ValueError, match="240 vectors need as many strata, not 3"):
        compare_clusters(vectors, ["a", "b", "c"], centres, centres, centres, seed=0)


def test_no_texts_is_an_error() -> None:
    with pytest.raises(ValueError, match="held-out"):
        compare_clusters(np.zeros((0, 3), dtype=np.float32), [], *[np.ones((1, 3), dtype=np.float32)] * 3, seed=0)
