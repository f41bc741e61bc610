"""k-means that learns as texts come: the same bits for the same vectors and seed, and clusters that keep their rows.

The first vectors start it: Lloyd's algorithm from k-means++ (Arthur & Vassilvitskii 2007). Later ones are learned in mini-batches
(Sculley 2010) by scikit-learn's `MiniBatchKMeans.partial_fit`: each centroid is the weighted mean of all vectors that were ever assigned to
it. New clusters are drawn from the new vectors as k-means++ would go on; a centroid that no text is nearest to any more is drawn anew.
`polished` ends it with Lloyd's algorithm from where the centroids are.

The vectors of both models are clustered together, and nothing here knows which is whose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auto_interventions.clustering.partition import check_vectors, check_weights, closeness, distances_in_chunks, squared_distances
from auto_interventions.clustering.swapping import swaps
from auto_interventions.clustering.threads import one_thread
from auto_interventions.errors import ClusteringError
from auto_interventions.fingerprint import generator, seed_of
from auto_interventions.records import FloatArray, FloatMatrix, IntArray

_START_LIMIT = 30_000  # vectors that start it; the others are learned in chunks
_PER_CLUSTER = 30  # vectors a cluster that start it, where there are more clusters than that needs
_START_ITERATIONS = 15  # of Lloyd's algorithm, where more vectors follow
_MANY_STARTS_LIMIT = 50_000_000  # vectors × clusters × dimensions; below, ten starts take well under a second
_LLOYD_LIMIT = 10_000_000_000  # the same; below, an iteration of Lloyd's takes about half a second
_SWEEPS = 8  # of swaps at most
_PAYS = 0.001  # of the inertia: a sweep that saves less is the last, and does not count
_PASSES = 2  # over more vectors than that
_CHUNK = 16_384  # vectors a mini-batch at least
_EXPECTED = 10.0  # a centroid is dead if it draws none where so many were to be expected: by chance once in 22,000


@dataclass(frozen=True, slots=True, eq=False)
class KMeansPartition:
    """A partition of the vector space by its nearest centroid. See `partition.Partition`.

    Attributes:
        centroids: (clusters, dimension) float32. A cluster's identity is its row.
        mass: (clusters,) weight of the vectors learned in each.
        born: (clusters,) step at which each was born.
        step: how often it learned.
    """

    centroids: FloatMatrix
    mass: FloatArray
    born: IntArray
    step: int = 0

    @staticmethod
    def at(centroids: FloatMatrix) -> KMeansPartition:
        """A partition by given centroids, that has learned nothing."""
        count = len(centroids)
        return KMeansPartition(np.ascontiguousarray(centroids, dtype=np.float32), np.zeros(count), np.zeros(count, dtype=np.int64))

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
        """See `Partition.nearest`: every vector lies in a cluster."""
        check_vectors(vectors, self.centroids.shape[1])
        labels, distances = np.empty(len(vectors), dtype=np.int64), np.empty(len(vectors))
        with one_thread():
            for rows, block in distances_in_chunks(vectors, self.centroids):
                labels[rows] = block.argmin(axis=1)
                distances[rows] = block[np.arange(len(block)), labels[rows]]
        return labels, distances

    def margin(self, vectors: FloatMatrix) -> FloatArray:
        """See `Partition.margin`; distances to centroids."""
        check_vectors(vectors, self.centroids.shape[1])
        margins = np.zeros(len(vectors))
        if self.clusters > 1:
            with one_thread():
                for rows, block in distances_in_chunks(vectors, self.centroids):
                    first, second = np.sqrt(np.partition(block, 1, axis=1)[:, :2].T.astype(np.float64))
                    margins[rows] = closeness(first, second)
        return margins

    def inertia(self, vectors: FloatMatrix) -> float:
        """Mean squared distance of `vectors` to their centroids: lower is tighter."""
        return float(self.nearest(vectors)[1].mean())

    def learn(self, vectors: FloatMatrix, wanted: int, seed: int, weights: FloatArray | None = None) -> KMeansPartition:
        """See `Partition.learn`."""
        check_vectors(vectors, self.centroids.shape[1])
        if not len(vectors):
            return self
        weights = check_weights(weights, len(vectors))
        random = generator("kmeans learn", seed, self.step)
        with one_thread("sklearn.cluster"):
            grown = replace(self, step=self.step + 1)._revived(vectors, weights, random)._grown(vectors, weights, wanted, random)
            learned = replace(grown, centroids=_mini_batches(grown, vectors, weights, random)).weighed(vectors, weights)
        return replace(learned, mass=grown.mass + learned.mass)

    def polished(
        self, vectors: FloatMatrix, seed: int, weights: FloatArray | None = None, thorough: bool = True, iterations: int = 100
    ) -> KMeansPartition:
        """See `Partition.polished`: Lloyd's algorithm, at most `iterations`, and swaps (`swapping`), up to eight sweeps of them or one, on
        a sample of 30,000; then on all, or two passes of mini-batches where that would take too long.

        Clusters that hold no vector are drawn anew first. `mass` is then exactly that of `vectors`.
        """
        check_vectors(vectors, self.centroids.shape[1])
        if not len(vectors):
            return self
        weights = check_weights(weights, len(vectors))
        random = generator("kmeans polish", seed, self.step)
        with one_thread("sklearn.cluster"):
            polished = replace(self, step=self.step + 1)
            rows = _some(len(vectors), max(_START_LIMIT, _PER_CLUSTER * self.clusters), random)
            if len(rows) * vectors.shape[1] * self.clusters <= _LLOYD_LIMIT:  # what is wrong with the partition shows on a sample too
                some, own = np.asarray(vectors[rows], dtype=np.float32), weights[rows]
                polished = polished._reborn(np.flatnonzero(polished.weighed(some, own).mass == 0), some, own, random)
                polished = replace(polished, centroids=_lloyd(polished.centroids, some, own, iterations))
                polished = polished._swapped(some, own, _SWEEPS if thorough else 1, iterations)
            if len(rows) < len(vectors):
                polished = replace(polished, centroids=_fitted(polished, vectors, weights, iterations, random))
            return polished.weighed(vectors, weights)

    def _swapped(self, vectors: FloatMatrix, weights: FloatArray, sweeps: int, iterations: int) -> KMeansPartition:
        """After swaps that pay, each sweep followed by Lloyd's algorithm; a swapped cluster died, and one was born in its row."""
        best = self
        for _ in range(sweeps if self.clusters > 1 else 0):
            removed, split, kept, new, inertia = swaps(best.centroids, vectors, weights)
            if not len(removed):
                break
            centroids, born = best.centroids.copy(), best.born.copy()
            centroids[split], centroids[removed], born[removed] = kept, new, self.step
            moved = replace(best, centroids=_lloyd(centroids, vectors, weights, iterations), born=born)
            if not moved.nearest(vectors)[1] @ weights < (1 - _PAYS) * inertia:
                break
            best = moved
        return best

    def weighed(self, vectors: FloatMatrix, weights: FloatArray) -> KMeansPartition:
        """The same the mass of `vectors` and of no others."""
        return replace(self, mass=np.bincount(self.assign(vectors), weights=weights, minlength=self.clusters))

    def _revived(self, vectors: FloatMatrix, weights: FloatArray, random: np.random.Generator) -> KMeansPartition:
        """With dead centroids drawn anew: by their mass ten of the new vectors were to be expected, and there is none."""
        expected = self.mass / max(float(self.mass.sum()), 1e-300) * len(vectors)
        drawn = np.bincount(self.assign(vectors), minlength=self.clusters)
        return self._reborn(np.flatnonzero((drawn == 0) & (expected >= _EXPECTED)), vectors, weights, random)

    def _reborn(self, rows: IntArray, vectors: FloatMatrix, weights: FloatArray, random: np.random.Generator) -> KMeansPartition:
        """With new clusters in `rows`."""
        kept = np.delete(self.centroids, rows, axis=0)
        new = _drawn(kept, vectors, weights, len(rows), random)
        rows = rows[: len(new)]
        centroids, mass, born = self.centroids.copy(), self.mass.copy(), self.born.copy()
        centroids[rows], mass[rows], born[rows] = new, 0.0, self.step
        return replace(self, centroids=centroids, mass=mass, born=born)

    def _grown(self, vectors: FloatMatrix, weights: FloatArray, wanted: int, random: np.random.Generator) -> KMeansPartition:
        """With up to `wanted` clusters."""
        new = _drawn(self.centroids, vectors, weights, wanted - self.clusters, random)
        return replace(
            self,
            centroids=np.concatenate([self.centroids, new]),
            mass=np.concatenate([self.mass, np.zeros(len(new))]),
            born=np.concatenate([self.born, np.full(len(new), self.step, dtype=np.int64)]),
        )


def kmeans(
    vectors: FloatMatrix, clusters: int, seed: int, weights: FloatArray | None = None, iterations: int = 100, backend: str = "auto"
) -> KMeansPartition:
    """A partition of `vectors` (n, dimension; float32, or a memory map of any float) into `clusters`, the largest first.

    Many vectors are read in chunks: a random sample of them starts it, the others are learned, and what a few seconds allow is
    polished. Where fewer than `clusters` vectors differ, each different one is a cluster: all texts alike give one.

    Args:
        weights: (n,) ≥ 0, undo unequal sampling; None: all alike.
        iterations: of Lloyd's algorithm at most.

    Raises:
        ClusteringError: more clusters than vectors, no vectors, vectors that are not finite, an unknown backend.
    """
    if backend not in ("auto", "sklearn"):
        raise ClusteringError(f"`clustering.backend: {backend}` is not in this version; use `auto` or `sklearn`")
    check_vectors(vectors)
    if not len(vectors):
        raise ClusteringError("there are no texts to cluster; give the audit prompts that the models answer")
    if not 1 <= clusters <= len(vectors):
        raise ClusteringError(f"`clustering.clusters` is {clusters} but there are {len(vectors)} texts; give 1 to {len(vectors)}")
    weights = check_weights(weights, len(vectors))
    with one_thread("sklearn.cluster"):
        distinct = _distinct(vectors, clusters)
        if distinct is not None:
            return _largest_first(KMeansPartition.at(distinct).weighed(vectors, weights))
        rows = _some(len(vectors), max(_START_LIMIT, _PER_CLUSTER * clusters), generator("kmeans start", seed, len(vectors)))
        whole = len(rows) == len(vectors)
        first = iterations if whole else min(iterations, _START_ITERATIONS)
        started = KMeansPartition.at(_started(np.asarray(vectors[rows], dtype=np.float32), clusters, seed, weights[rows], first))
        return _largest_first(
            started.weighed(vectors, weights) if whole else started.polished(vectors, seed, weights, iterations=iterations)
        )


def _started(vectors: FloatMatrix, clusters: int, seed: int, weights: FloatArray, iterations: int) -> FloatMatrix:
    from sklearn.cluster import KMeans

    starts: Any = 10 if vectors.size * clusters < _MANY_STARTS_LIMIT else 1
    random_state = seed_of("kmeans", seed) % 2**32
    model = KMeans(n_clusters=clusters, random_state=random_state, init="k-means++", n_init=starts, max_iter=iterations, algorithm="lloyd")
    model.fit(vectors, sample_weight=weights)
    return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)


def _lloyd(centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, iterations: int) -> FloatMatrix:
    from sklearn.cluster import KMeans

    start: dict[str, Any] = {"init": centroids, "n_init": 1}
    model = KMeans(n_clusters=len(centroids), max_iter=iterations, algorithm="lloyd", **start)
    model.fit(np.asarray(vectors, dtype=np.float32), sample_weight=weights)
    return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)


def _fitted(
    partition: KMeansPartition, vectors: FloatMatrix, weights: FloatArray, iterations: int, random: np.random.Generator
) -> FloatMatrix:
    """The centroids after Lloyd's algorithm on all `vectors`, or two passes of mini-batches where they are too many for it."""
    if vectors.size * partition.clusters <= _LLOYD_LIMIT:
        return _lloyd(partition.centroids, vectors, weights, iterations)
    for _ in range(_PASSES):
        fresh = replace(partition, mass=np.zeros(partition.clusters))
        partition = replace(partition, centroids=_mini_batches(fresh, vectors, weights, random))
    return partition.centroids


def _some(count: int, most: int, random: np.random.Generator) -> IntArray:
    """At most `most` of `count` row numbers, drawn evenly, in order."""
    return np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))


def _mini_batches(partition: KMeansPartition, vectors: FloatMatrix, weights: FloatArray, random: np.random.Generator) -> FloatMatrix:
    """The centroids after `vectors`, in chunks in a random order of blocks.

    The old centroids come first, each as a vector with the weight of all it stands for: so the running means go on where they were.
    """
    from sklearn.cluster import MiniBatchKMeans

    size = max(_CHUNK, 4 * partition.clusters)
    start: dict[str, Any] = {"init": partition.centroids, "n_init": 1}
    model = MiniBatchKMeans(n_clusters=partition.clusters, reassignment_ratio=0, compute_labels=False, **start)
    model.partial_fit(partition.centroids, sample_weight=np.maximum(partition.mass, 1e-6))
    for begin in random.permutation(np.arange(0, len(vectors), size)).tolist():
        part = slice(begin, begin + size)
        model.partial_fit(np.asarray(vectors[part], dtype=np.float32), sample_weight=weights[part])
    return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)


def _drawn(centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, count: int, random: np.random.Generator) -> FloatMatrix:
    """At most `count` of `vectors`, drawn as k-means++ would go on from `centroids`; fewer where the vectors are used up.

    Each is the best of a few that are drawn in proportion to their squared distance (greedy k-means++).
    """
    new = np.empty((0, centroids.shape[1]), dtype=np.float32)
    if count <= 0:
        return new
    distances = KMeansPartition.at(centroids).nearest(vectors)[1] if len(centroids) else np.ones(len(vectors))
    tries = 2 + int(np.log(len(centroids) + count))
    while len(new) < count:
        share = np.cumsum(weights * np.where(distances > 1e-9, distances, 0.0))
        if not share[-1] > 0:
            break
        rows = np.minimum(np.searchsorted(share, random.random(tries) * share[-1], side="right"), len(vectors) - 1)
        after = np.minimum(distances, squared_distances(np.asarray(vectors[rows], dtype=np.float32), vectors))
        best = int(np.argmin(after @ weights))
        new, distances = np.concatenate([new, np.asarray(vectors[rows[best : best + 1]], dtype=np.float32)]), after[best]
    return new


def _distinct(vectors: FloatMatrix, clusters: int) -> FloatMatrix | None:
    """The different rows in order of appearance if there are at most `clusters` of them, else None."""
    seen: dict[bytes, int] = {}
    for row in range(len(vectors)):
        seen.setdefault(vectors[row].tobytes(), row)
        if len(seen) > clusters:
            return None
    return np.asarray(vectors[list(seen.values())], dtype=np.float32)


def _largest_first(partition: KMeansPartition) -> KMeansPartition:
    order = np.argsort(-partition.mass, kind="stable")
    return replace(partition, centroids=partition.centroids[order], mass=partition.mass[order])
