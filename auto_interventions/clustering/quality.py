"""How good and how stable a partition is."""

from __future__ import annotations

import numpy as np

from auto_interventions.clustering.threads import one_thread
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatMatrix, IntArray


def stability(a: IntArray, b: IntArray) -> float:
    """Adjusted Rand index of two labelings (n,) of the same items (Hubert & Arabie 1985): 1 the same up to names, 0 by chance.

    Items with a negative label in either (not embedded) do not count; fewer than two items are perfectly stable.

    Raises:
        ValueError: labelings of different lengths.
    """
    from sklearn.metrics import adjusted_rand_score

    if a.shape != b.shape:
        raise ValueError(f"labelings of {a.shape} and {b.shape} items cannot be compared")
    labelled = (a >= 0) & (b >= 0)
    if labelled.sum() < 2:
        return 1.0
    return float(adjusted_rand_score(a[labelled], b[labelled]))


def silhouette(vectors: FloatMatrix, labels: IntArray, seed: int, sample: int = 1000) -> float:
    """Mean silhouette (Rousseeuw 1987) of a seeded sample of at most `sample` labelled vectors, in [−1, 1].

    0.0 where it is not defined: fewer than two clusters in the sample, or every vector its own cluster.
    """
    rows = np.flatnonzero(labels >= 0)
    if len(rows) > sample:
        rows = np.sort(generator("silhouette", seed, len(rows)).choice(rows, sample, replace=False))
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return 0.0
    with one_thread("sklearn.metrics"):
        from sklearn.metrics import silhouette_score

        return float(silhouette_score(vectors[rows], labels[rows]))
