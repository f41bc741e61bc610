"""k-means partitions that are the same for the same vectors and seed, and keep their identities from round to round.

Lloyd's algorithm with k-means++ starts (Arthur & Vassilvitskii 2007) up to `_FULL_LIMIT` vectors, mini-batches (Sculley 2010)
beyond, both by scikit-learn. The vectors of both models are clustered together: one partition for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from auto_interventions.clustering.threads import one_thread
from auto_interventions.errors import ClusteringError
from auto_interventions.fingerprint import generator, seed_of
from auto_interventions.records import FloatArray, FloatMatrix, IntArray

_FULL_LIMIT = 30_000  # vectors; above, mini-batches are several times faster at about 98% of the quality
_MANY_STARTS_LIMIT = 50_000_000  # vectors × clusters × dimensions; below, ten starts take well under a second
_CHUNK_NUMBERS = 8_000_000  # distances held at once: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """A partition of the vector space by its nearest centroid; `centroids` is (clusters, dimension) float32.

    A cluster's identity is its row.
    """

    centroids: FloatMatrix

    @property
    def clusters(self) -> int:
        """How many clusters there are; fewer than asked for where fewer vectors differ."""
        return len(self.centroids)

    def assign(self, vectors: FloatMatrix) -> IntArray:
        """The cluster (n,) of each of `vectors` (n, dimension); ties go to the lower number. Works in chunks.

        Raises:
            ClusteringError: vectors of another dimension, or not finite.
        """
        return self.nearest(vectors)[0]

    def nearest(self, vectors: FloatMatrix) -> tuple[IntArray, FloatArray]:
        """The cluster (n,) of each of `vectors` and the squared distance (n,) to its centroid.

        Raises:
            ClusteringError: vectors of another dimension, or not finite.
        """
        _check(vectors)
        if vectors.shape[1] != self.centroids.shape[1]:
            raise ClusteringError(
                f"vectors of dimension {vectors.shape[1]} do not fit a partition of dimension {self.centroids.shape[1]}; "
                "use one `embedding.model` for all"
            )
        labels, distances = np.empty(len(vectors), dtype=np.int64), np.empty(len(vectors))
        with one_thread():
            for rows, block in _distances(vectors, self.centroids):
                labels[rows] = block.argmin(axis=1)
                distances[rows] = block[np.arange(len(block)), labels[rows]]
        return labels, distances

    def inertia(self, vectors: FloatMatrix) -> float:
        """Mean squared distance of `vectors` to their centroids: lower is tighter."""
        return float(self.nearest(vectors)[1].mean())

    def lineage(self, previous: Partition) -> IntArray:
        """For each cluster (clusters,) the cluster of `previous` that it continues, −1 for a new one.

        The one-to-one matching with the least sum of squared distances between centroids (Kuhn 1955).
        """
        from scipy.optimize import linear_sum_assignment

        with one_thread():
            cost = _squared_distances(self.centroids, previous.centroids)
            rows, columns = linear_sum_assignment(cost)
        origin = np.full(self.clusters, -1, dtype=np.int64)
        origin[rows] = columns
        return origin

    def matched_to(self, previous: Partition) -> Partition:
        """This partition with its clusters renumbered so that each keeps the number it had in `previous`.

        New clusters get the numbers after the old ones. Where there are fewer clusters than before, the survivors close
        ranks in their old order; `lineage` then says who is who.
        """
        origin = self.lineage(previous)
        order = np.argsort(np.where(origin < 0, previous.clusters, origin), kind="stable")
        return Partition(self.centroids[order])


def kmeans(vectors: FloatMatrix, clusters: int, seed: int, start: FloatMatrix | None = None, backend: str = "auto") -> Partition:
    """A partition of `vectors` (n, dimension) into `clusters`, the same bits for the same vectors, seed and machine.

    `start` (any number of centroids, dimension) warms the start: clusters keep its order; centroids that are missing are drawn
    far from the others, those that are too many are the emptiest. Without it the largest cluster is number 0. Where fewer than
    `clusters` vectors differ, each different one is a cluster: all texts alike give one.

    Raises:
        ClusteringError: more clusters than vectors, no vectors, vectors that are not finite, an unknown backend.
    """
    if backend not in ("auto", "sklearn"):
        raise ClusteringError(f"`clustering.backend: {backend}` is not in this version; use `auto` or `sklearn`")
    _check(vectors)
    if not len(vectors):
        raise ClusteringError("there are no texts to cluster; give the audit prompts that the models answer")
    if not 1 <= clusters <= len(vectors):
        raise ClusteringError(f"`clustering.clusters` is {clusters} but there are {len(vectors)} texts; give 1 to {len(vectors)}")
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    with one_thread("sklearn.cluster"):
        distinct = _distinct(vectors, clusters)
        if distinct is not None and start is None:
            return _largest_first(Partition(distinct), vectors)
        if distinct is not None and start is not None:
            return Partition(distinct).matched_to(Partition(np.ascontiguousarray(start, dtype=np.float32)))
        if start is None:
            return _largest_first(_fit(vectors, clusters, seed, None), vectors)
        return _fit(vectors, clusters, seed, _resized(np.asarray(start, dtype=np.float32), vectors, clusters, seed))


def _fit(vectors: FloatMatrix, clusters: int, seed: int, start: FloatMatrix | None) -> Partition:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    common: dict[str, Any] = {
        "n_clusters": clusters,
        "random_state": seed_of("kmeans", seed) % 2**32,
        "init": "k-means++" if start is None else start,
        "n_init": 1,
    }
    if len(vectors) > _FULL_LIMIT:
        model = MiniBatchKMeans(batch_size=max(4096, 4 * clusters), max_no_improvement=20, **common)
    else:
        if start is None and len(vectors) * clusters * vectors.shape[1] < _MANY_STARTS_LIMIT:
            common["n_init"] = 10
        model = KMeans(max_iter=100, algorithm="lloyd", **common)
    model.fit(vectors)
    return Partition(np.ascontiguousarray(model.cluster_centers_, dtype=np.float32))


def _check(vectors: FloatMatrix) -> None:
    if vectors.ndim != 2:
        raise ClusteringError(f"vectors to cluster are a matrix (texts, dimension), not of shape {vectors.shape}; check the encoder")
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ClusteringError(f"vector {row} of {len(vectors)} is not finite; check `embedding.model` on the text it belongs to")


def _distinct(vectors: FloatMatrix, clusters: int) -> FloatMatrix | None:
    """The different rows in order of appearance if there are at most `clusters` of them, else None."""
    seen: dict[bytes, int] = {}
    for row in range(len(vectors)):
        seen.setdefault(vectors[row].tobytes(), row)
        if len(seen) > clusters:
            return None
    return vectors[list(seen.values())]


def _largest_first(partition: Partition, vectors: FloatMatrix) -> Partition:
    sizes = np.bincount(partition.assign(vectors), minlength=partition.clusters)
    return Partition(partition.centroids[np.argsort(-sizes, kind="stable")])


def _resized(start: FloatMatrix, vectors: FloatMatrix, clusters: int, seed: int) -> FloatMatrix:
    """`start` with exactly `clusters` rows: the emptiest leave, new ones are drawn as k-means++ would go on."""
    if start.ndim != 2 or not len(start) or start.shape[1] != vectors.shape[1]:
        raise ClusteringError(
            f"start centroids of shape {start.shape} do not fit vectors of dimension {vectors.shape[1]}; leave `start` out"
        )
    if len(start) > clusters:
        sizes = np.bincount(Partition(start).assign(vectors), minlength=len(start))
        return start[np.sort(np.argsort(-sizes, kind="stable")[:clusters])]
    random = generator("kmeans start", seed)
    distances = Partition(start).nearest(vectors)[1]
    while len(start) < clusters:
        chosen = vectors[int(np.searchsorted(np.cumsum(distances), random.random() * distances.sum()))][np.newaxis]
        start = np.concatenate([start, chosen])
        distances = np.minimum(distances, _squared_distances(vectors, chosen)[:, 0])
    return start


def _distances(vectors: FloatMatrix, centroids: FloatMatrix) -> Iterator[tuple[slice, FloatMatrix]]:
    rows = max(1, _CHUNK_NUMBERS // max(1, len(centroids)))
    for begin in range(0, len(vectors), rows):
        part = slice(begin, begin + rows)
        yield part, _squared_distances(vectors[part], centroids)


def _squared_distances(a: FloatMatrix, b: FloatMatrix) -> FloatMatrix:
    """(len(a), len(b)) squared Euclidean distances, never negative."""
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    squares = np.einsum("ij,ij->i", a, a)[:, np.newaxis] + np.einsum("ij,ij->i", b, b)
    return np.maximum(squares - 2 * (a @ b.T), 0)
