"""What every partition can do, whatever made it, and what both kinds share.

A cluster is a row: its number means the same cluster from round to round, until it dies. A row whose cluster died may be given to a new
one; `born` tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from auto_interventions.errors import ClusteringError
from auto_interventions.records import FloatArray, FloatMatrix, IntArray

NUMBERS_AT_ONCE = 8_000_000  # distances held at once: 32 MB
NOT_LIVING = -1


class Partition(Protocol):
    """An immutable partition of vectors into clusters; learning gives a new one."""

    @property
    def clusters(self) -> int:
        """How many rows there are: labels lie in 0 … clusters − 1."""
        ...

    @property
    def centroids(self) -> FloatMatrix:
        """(clusters, dimension) float32: the mean of each cluster's vectors."""
        ...

    @property
    def mass(self) -> FloatArray:
        """(clusters,) weight of the vectors learned in each cluster."""
        ...

    @property
    def born(self) -> IntArray:
        """(clusters,) the step of learning at which each row's cluster was born; −1: it died and the row is empty."""
        ...

    @property
    def step(self) -> int:
        """How often the partition learned."""
        ...

    def assign(self, vectors: FloatMatrix) -> IntArray:
        """The cluster (n,) of each of `vectors` (n, dimension), −1 where it lies in none.

        Raises:
            ClusteringError: vectors of another dimension, or not finite.
        """
        ...

    def nearest(self, vectors: FloatMatrix) -> tuple[IntArray, FloatArray]:
        """The cluster (n,) of each of `vectors` and the squared distance (n,) to its centroid, NaN where it lies in none."""
        ...

    def margin(self, vectors: FloatMatrix) -> FloatArray:
        """How near (n,) each of `vectors` lies to the boundary between its two nearest clusters: 1 − (d₂ − d₁)/(d₂ + d₁) in [0, 1], with d₁
        ≤ d₂ its distances to them. 1: exactly between; 0: at its cluster, or there is no second one.
        """
        ...

    def inertia(self, vectors: FloatMatrix) -> float:
        """Mean squared distance of the assigned `vectors` to their centroids: lower is tighter. NaN if none is assigned."""
        ...

    def learn(self, vectors: FloatMatrix, wanted: int, seed: int, weights: FloatArray | None = None) -> Partition:
        """The partition that has also learned `vectors` (n, dimension), with up to `wanted` clusters; clusters keep their rows.

        `weights` (n,) ≥ 0 undo unequal sampling; None: all alike. The cost grows with n, not with what was learned before.

        Raises:
            ClusteringError: vectors of another dimension, or not finite.
        """
        ...

    def polished(self, vectors: FloatMatrix, seed: int, weights: FloatArray | None = None, thorough: bool = True) -> Partition:
        """The partition after one more look at all vectors, as good as one made from them at once; clusters keep their rows. Not
        `thorough`: what a tenth of the time allows.
        """
        ...


def turnover(previous: Partition | None, partition: Partition) -> tuple[int, int]:
    """How many clusters were born and how many died since `previous` (None: at the start all are born)."""
    if previous is None:
        return int((partition.born != NOT_LIVING).sum()), 0
    rows = max(previous.clusters, partition.clusters)
    before, after = (np.full(rows, NOT_LIVING) for _ in range(2))
    before[: previous.clusters], after[: partition.clusters] = previous.born, partition.born
    changed = before != after
    return int((changed & (after != NOT_LIVING)).sum()), int((changed & (before != NOT_LIVING)).sum())


def living(partition: Partition) -> int:
    """How many clusters live."""
    return int((partition.born != NOT_LIVING).sum())


def check_vectors(vectors: FloatMatrix, dimension: int | None = None) -> None:
    """Raises ClusteringError unless `vectors` is a finite matrix, with `dimension` columns if given. Works in chunks."""
    if vectors.ndim != 2:
        raise ClusteringError(f"vectors to cluster are a matrix (texts, dimension), not of shape {vectors.shape}; check the encoder")
    if dimension is not None and vectors.shape[1] != dimension:
        raise ClusteringError(
            f"vectors of dimension {vectors.shape[1]} do not fit a partition of dimension {dimension}; use one `embedding.model` for all"
        )
    for part in chunks(len(vectors), vectors.shape[1]):
        finite = np.isfinite(vectors[part]).all(axis=1)
        if not finite.all():
            row = part.start + int(np.flatnonzero(~finite)[0])
            raise ClusteringError(f"vector {row} of {len(vectors)} is not finite; check `embedding.model` on the text it belongs to")


def check_weights(weights: FloatArray | None, count: int) -> FloatArray:
    """The weights (count,), ones for None.

    Raises:
        ValueError: not one finite number ≥ 0 a vector, or all of them 0.
    """
    if weights is None:
        return np.ones(count)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (count,) or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"weights are one finite number ≥ 0 for each of {count} vectors, not an array of shape {weights.shape}")
    if count and not weights.any():
        raise ValueError("all weights are 0: there is nothing to learn from")
    return weights


def chunks(rows: int, width: int) -> Iterator[slice]:
    """Slices of `rows` rows, each of at most `NUMBERS_AT_ONCE` numbers at `width` numbers a row."""
    at_once = max(1, NUMBERS_AT_ONCE // max(1, width))
    for begin in range(0, rows, at_once):
        yield slice(begin, min(begin + at_once, rows))


def distances_in_chunks(vectors: FloatMatrix, centroids: FloatMatrix) -> Iterator[tuple[slice, FloatMatrix]]:
    """Squared distances (rows of the chunk, len(centroids)), chunk by chunk."""
    for part in chunks(len(vectors), max(len(centroids), vectors.shape[1])):
        yield part, squared_distances(vectors[part], centroids)


def squared_distances(a: FloatMatrix, b: FloatMatrix) -> FloatMatrix:
    """(len(a), len(b)) squared Euclidean distances, never negative."""
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    squares = np.einsum("ij,ij->i", a, a)[:, np.newaxis] + np.einsum("ij,ij->i", b, b)
    return np.maximum(squares - 2 * (a @ b.T), 0)


def closeness(first: FloatArray, second: FloatArray) -> FloatArray:
    """1 − (d₂ − d₁)/(d₂ + d₁) = 2 d₁/(d₁ + d₂) of distances d₁ ≤ d₂ (n,); 0 where both are 0 or d₂ is infinite."""
    total = first + second
    return np.divide(2 * first, total, out=np.zeros(len(first)), where=(total > 0) & np.isfinite(total))
