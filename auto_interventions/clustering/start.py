"""The one place that knows which algorithms there are."""

from __future__ import annotations

from typing import Literal

from auto_interventions.clustering.density import hdbscan
from auto_interventions.clustering.kmeans import kmeans
from auto_interventions.clustering.partition import Partition
from auto_interventions.records import FloatArray, FloatMatrix

Algorithm = Literal["kmeans", "hdbscan"]


def start_partition(
    algorithm: Algorithm, vectors: FloatMatrix, wanted: int, seed: int, weights: FloatArray | None = None, backend: str = "sklearn"
) -> Partition:
    """A partition made from the first `vectors` (n ≥ 1, dimension), of at most `wanted` ≤ n clusters, that can learn more.

    Raises:
        ClusteringError: more clusters than vectors, no vectors, vectors that are not finite, a backend that is not there.
    """
    if algorithm == "hdbscan":
        return hdbscan(vectors, wanted, seed, weights, backend)
    return kmeans(vectors, wanted, seed, weights, backend=backend)
