"""k-means that learns as texts come: the same bits for the same vectors and seed, and clusters that keep their rows.

The first vectors start it: Lloyd's algorithm from k-means++ (Arthur & Vassilvitskii 2007). Later ones are learned in mini-batches
(Sculley 2010): each centroid is the weighted mean of all vectors that were ever assigned to it (scikit-learn's
`MiniBatchKMeans.partial_fit`, and the same rule on a GPU: `backends`). New clusters are drawn from the new vectors as k-means++ would
go on; a centroid that no text is nearest to any more is drawn anew. `polished` ends it with Lloyd's algorithm from where they are.

The vectors of both models are clustered together, and nothing here knows which is whose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auto_interventions.clustering.backends import Backend, Engine, chosen, engine_of
from auto_interventions.clustering.partition import check_vectors, check_weights, closeness
from auto_interventions.clustering.swapping import swaps
from auto_interventions.clustering.threads import one_thread
from auto_interventions.errors import ClusteringError
from auto_interventions.fingerprint import generator
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
        backend: who computes it.
    """

    centroids: FloatMatrix
    mass: FloatArray
    born: IntArray
    step: int = 0
    backend: Backend = "sklearn"

    @staticmethod
    def at(centroids: FloatMatrix, backend: Backend = "sklearn") -> KMeansPartition:
        """A partition by given centroids, that has learned nothing."""
        count, born = len(centroids), np.zeros(len(centroids), dtype=np.int64)
        return KMeansPartition(np.ascontiguousarray(centroids, dtype=np.float32), np.zeros(count), born, backend=backend)

    @property
    def engine(self) -> Engine:
        """What computes it."""
        return engine_of(self.backend)

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
        with one_thread():
            return self.engine.nearest(vectors, self.centroids)

    def margin(self, vectors: FloatMatrix) -> FloatArray:
        """See `Partition.margin`; distances to centroids."""
        check_vectors(vectors, self.centroids.shape[1])
        if self.clusters < 2:
            return np.zeros(len(vectors))
        with one_thread():
            _, first, second = self.engine.two_nearest(vectors, self.centroids)
        return closeness(np.sqrt(first), np.sqrt(second))

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
                polished = replace(polished, centroids=self.engine.lloyd(polished.centroids, some, own, iterations))
                polished = polished._swapped(some, own, _SWEEPS if thorough else 1, iterations)
            if len(rows) < len(vectors):
                polished = replace(polished, centroids=_fitted(polished, vectors, weights, iterations, random))
            return polished.weighed(vectors, weights)

    def _swapped(self, vectors: FloatMatrix, weights: FloatArray, sweeps: int, iterations: int) -> KMeansPartition:
        """After swaps that pay, each sweep followed by Lloyd's algorithm; a swapped cluster died, and one was born in its row."""
        best = self
        for _ in range(sweeps if self.clusters > 1 else 0):
            removed, split, kept, new, inertia = swaps(best.centroids, vectors, weights, self.engine)
            if not len(removed):
                break
            centroids, born = best.centroids.copy(), best.born.copy()
            centroids[split], centroids[removed], born[removed] = kept, new, self.step
            moved = replace(best, centroids=self.engine.lloyd(centroids, vectors, weights, iterations), born=born)
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
        new = self.engine.drawn(kept, vectors, weights, len(rows), random)
        rows = rows[: len(new)]
        centroids, mass, born = self.centroids.copy(), self.mass.copy(), self.born.copy()
        centroids[rows], mass[rows], born[rows] = new, 0.0, self.step
        return replace(self, centroids=centroids, mass=mass, born=born)

    def _grown(self, vectors: FloatMatrix, weights: FloatArray, wanted: int, random: np.random.Generator) -> KMeansPartition:
        """With up to `wanted` clusters."""
        new = self.engine.drawn(self.centroids, vectors, weights, wanted - self.clusters, random)
        return replace(
            self,
            centroids=np.concatenate([self.centroids, new]),
            mass=np.concatenate([self.mass, np.zeros(len(new))]),
            born=np.concatenate([self.born, np.full(len(new), self.step, dtype=np.int64)]),
        )


def kmeans(
    vectors: FloatMatrix, clusters: int, seed: int, weights: FloatArray | None = None, iterations: int = 100, backend: str = "sklearn"
) -> KMeansPartition:
    """A partition of `vectors` (n, dimension; float32, or a memory map of any float) into `clusters`, the largest first.

    Many vectors are read in chunks: a random sample of them starts it, the others are learned, and what a few seconds allow is
    polished. Where fewer than `clusters` vectors differ, each different one is a cluster: all texts alike give one.

    Args:
        weights: (n,) ≥ 0, undo unequal sampling; None: all alike.
        iterations: of Lloyd's algorithm at most.
        backend: see `backends.chosen`; by default the one that every machine has.

    Raises:
        ClusteringError: more clusters than vectors, no vectors, vectors that are not finite, a backend that is not there.
    """
    by = chosen(backend)
    check_vectors(vectors)
    if not len(vectors):
        raise ClusteringError("there are no texts to cluster; give the audit prompts that the models answer")
    if not 1 <= clusters <= len(vectors):
        raise ClusteringError(f"`clustering.clusters` is {clusters} but there are {len(vectors)} texts; give 1 to {len(vectors)}")
    weights = check_weights(weights, len(vectors))
    with one_thread("sklearn.cluster"):
        distinct = _distinct(vectors, clusters)
        if distinct is not None:
            return _largest_first(KMeansPartition.at(distinct, by).weighed(vectors, weights))
        rows = _some(len(vectors), max(_START_LIMIT, _PER_CLUSTER * clusters), generator("kmeans start", seed, len(vectors)))
        whole = len(rows) == len(vectors)
        first = iterations if whole else min(iterations, _START_ITERATIONS)
        some = np.asarray(vectors[rows], dtype=np.float32)
        starts = 10 if some.size * clusters < _MANY_STARTS_LIMIT else 1
        started = KMeansPartition.at(engine_of(by).started(some, clusters, seed, weights[rows], first, starts), by)
        return _largest_first(
            started.weighed(vectors, weights) if whole else started.polished(vectors, seed, weights, iterations=iterations)
        )


def _fitted(
    partition: KMeansPartition, vectors: FloatMatrix, weights: FloatArray, iterations: int, random: np.random.Generator
) -> FloatMatrix:
    """The centroids after Lloyd's algorithm on all `vectors`, or two passes of mini-batches where they are too many for it."""
    if vectors.size * partition.clusters <= _LLOYD_LIMIT:
        return partition.engine.lloyd(partition.centroids, vectors, weights, iterations)
    for _ in range(_PASSES):
        fresh = replace(partition, mass=np.zeros(partition.clusters))
        partition = replace(partition, centroids=_mini_batches(fresh, vectors, weights, random))
    return partition.centroids


def _some(count: int, most: int, random: np.random.Generator) -> IntArray:
    """At most `most` of `count` row numbers, drawn evenly, in order."""
    return np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))


def _mini_batches(partition: KMeansPartition, vectors: FloatMatrix, weights: FloatArray, random: np.random.Generator) -> FloatMatrix:
    """The centroids after `vectors`, in chunks in a random order of blocks."""
    size = max(_CHUNK, 4 * partition.clusters)
    begins = random.permutation(np.arange(0, len(vectors), size)).tolist()
    return partition.engine.mini_batches(partition.centroids, partition.mass, vectors, weights, begins, size)


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
