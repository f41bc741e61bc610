"""HDBSCAN (Campello, Moulavi & Sander 2013) that learns as texts come: clusters are where texts lie densely.

scikit-learn's or cuML's (`backends`) looks at a bounded sample of all vectors learned, on at most `_AXES` principal components, and looks
again when half as many again were learned: so the cost grows with the new vectors. Any vector belongs to the cluster of the sample's
nearest vector if it lies within that cluster's reach, else to none. Clusters are the leaves of HDBSCAN's tree: its other rule ("eom")
puts nearly all sentence embeddings into one. A cluster found again is the one it shares most of the sample with (Kuhn 1955), and keeps
its row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auto_interventions.clustering.backends import Backend, Engine, chosen, engine_of
from auto_interventions.clustering.partition import (
    NOT_LIVING,
    check_vectors,
    check_weights,
    closeness,
    distances_in_chunks,
)
from auto_interventions.clustering.threads import one_thread
from auto_interventions.errors import ClusteringError
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatArray, FloatMatrix, IntArray

_SAMPLE = 5_000  # vectors it looks at: a second or two on one core
_AXES = 16
_AGAIN = 1.5  # it looks again when so many times as many vectors were learned as the last time
_SMALLEST = 5  # texts of a cluster at least
_NEIGHBOURS = 5
_REACH = 0.95  # share of a cluster's own vectors that lie within its reach of the next one
_SAME = 0.2  # of the vectors in either (Jaccard): below, two clusters are not the same one


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was seen at the last look.

    Attributes:
        mean, axes: (dimension,), (dimension, a) the principal components.
        places: (s, a) the sample on them.
        labels: (s,) its clusters, −1 for none.
        reach: (clusters,) distance within which a vector belongs to a member's cluster.
        learned: vectors learned by then.
    """

    mean: FloatMatrix
    axes: FloatMatrix
    places: FloatMatrix
    labels: IntArray
    reach: FloatArray
    learned: int


@dataclass(frozen=True, slots=True, eq=False)
class DensityPartition:
    """A partition by dense regions. See `partition.Partition`.

    `sample` (s, dimension) with its random `keys` (s,): the smallest keys of all vectors learned (Efraimidis & Spirakis 2006: a sample
    without replacement in which heavier vectors are likelier).
    """

    centroids: FloatMatrix
    mass: FloatArray
    born: IntArray
    step: int
    look: Look
    sample: FloatMatrix
    keys: FloatArray
    learned: int
    backend: Backend = "sklearn"

    @property
    def engine(self) -> Engine:
        """What computes it."""
        return engine_of(self.backend)

    @property
    def clusters(self) -> int:
        """Rows; those of clusters that died are empty."""
        return len(self.centroids)

    def assign(self, vectors: FloatMatrix) -> IntArray:
        """See `Partition.assign`."""
        check_vectors(vectors, self.sample.shape[1])
        with one_thread():
            nearest, squares = self.engine.nearest(self._placed(vectors), self.look.places)
        found = self.look.labels[nearest]
        # The root in float32, as the reach was measured.
        distance = np.sqrt(squares.astype(np.float32))
        within = (found >= 0) & (distance <= np.where(found >= 0, self.look.reach[found] if self.clusters else 0.0, -1.0))
        return np.where(within, found, -1)

    def nearest(self, vectors: FloatMatrix) -> tuple[IntArray, FloatArray]:
        """See `Partition.nearest`."""
        labels = self.assign(vectors)
        distances = np.full(len(vectors), np.nan)
        held = np.flatnonzero(labels >= 0)
        if len(held):
            offsets = np.asarray(vectors[held], dtype=np.float32) - self.centroids[labels[held]]
            distances[held] = np.einsum("ij,ij->i", offsets, offsets)
        return labels, distances

    def margin(self, vectors: FloatMatrix) -> FloatArray:
        """See `Partition.margin`; distances to the nearest member of the sample in each cluster, on the principal components."""
        check_vectors(vectors, self.sample.shape[1])
        members = np.flatnonzero(self.look.labels >= 0)
        members = members[np.argsort(self.look.labels[members], kind="stable")]
        present, starts = np.unique(self.look.labels[members], return_index=True)
        if len(present) < 2:
            return np.zeros(len(vectors))
        with one_thread():
            first, second = self.engine.two_nearest_groups(self._placed(vectors), self.look.places[members], starts)
        return closeness(np.sqrt(first), np.sqrt(second))

    def inertia(self, vectors: FloatMatrix) -> float:
        """See `Partition.inertia`."""
        distances = self.nearest(vectors)[1]
        held = distances[np.isfinite(distances)]
        return float(held.mean()) if len(held) else float("nan")

    def learn(self, vectors: FloatMatrix, wanted: int, seed: int, weights: FloatArray | None = None) -> DensityPartition:
        """See `Partition.learn`."""
        check_vectors(vectors, self.sample.shape[1])
        if not len(vectors):
            return self
        weights = check_weights(weights, len(vectors))
        labels = self.assign(vectors)
        added = np.bincount(labels[labels >= 0], weights=weights[labels >= 0], minlength=self.clusters)
        sample, keys = _sampled((self.sample, self.keys), vectors, weights, generator("density sample", seed, self.step))
        after = replace(self, step=self.step + 1, mass=self.mass + added, sample=sample, keys=keys, learned=self.learned + len(vectors))
        return after.looked_again(wanted) if after.learned >= _AGAIN * self.look.learned else after

    def polished(self, vectors: FloatMatrix, seed: int, weights: FloatArray | None = None, thorough: bool = True) -> DensityPartition:
        """See `Partition.polished`: one more look, at a sample of `vectors` by their weights; as many clusters as before at most. Nothing
        if not thorough.
        """
        check_vectors(vectors, self.sample.shape[1])
        if not len(vectors) or not thorough:
            return self
        weights = check_weights(weights, len(vectors))
        none = (np.empty((0, vectors.shape[1]), dtype=np.float32), np.empty(0))
        sample, keys = _sampled(none, vectors, weights, generator("density polish", seed, self.step))
        again = replace(self, step=self.step + 1, sample=sample, keys=keys).looked_again(max(1, self.clusters))
        labels = again.assign(vectors)
        return replace(again, mass=np.bincount(labels[labels >= 0], weights=weights[labels >= 0], minlength=again.clusters))

    def looked_again(self, wanted: int) -> DensityPartition:
        """After HDBSCAN on the sample as it is now; clusters found again keep their rows, new ones take empty or new rows."""
        mean, axes = _components(self.sample)
        places = np.ascontiguousarray((self.sample - mean) @ axes, dtype=np.float32)
        found = _found(places, wanted, self.engine)
        rows = _rows(found, self.assign(self.sample), self.born)
        labels = np.where(found >= 0, rows[found] if len(rows) else -1, -1)
        count = max(self.clusters, int(rows.max(initial=-1)) + 1)
        born = np.full(count, NOT_LIVING, dtype=np.int64)
        kept = rows[rows < self.clusters]
        born[rows] = self.step
        born[kept] = np.where(self.born[kept] != NOT_LIVING, self.born[kept], self.step)
        centroids, mass = np.zeros((count, self.sample.shape[1]), dtype=np.float32), np.zeros(count)
        centroids[: self.clusters], mass[: self.clusters] = self.centroids, np.where(born[: self.clusters] == self.born, self.mass, 0.0)
        for row in rows.tolist():
            centroids[row] = self.sample[labels == row].mean(axis=0, dtype=np.float64)
        look = Look(mean, axes, places, labels, _reaches(places, labels, count), self.learned)
        return replace(self, centroids=centroids, mass=mass, born=born, look=look)

    def _placed(self, vectors: FloatMatrix) -> FloatMatrix:
        return np.asarray((np.asarray(vectors, dtype=np.float32) - self.look.mean) @ self.look.axes, dtype=np.float32)


def hdbscan(
    vectors: FloatMatrix, clusters: int, seed: int, weights: FloatArray | None = None, backend: str = "sklearn"
) -> DensityPartition:
    """A partition of `vectors` (n, dimension) by HDBSCAN into at most `clusters`, perhaps none; `weights` as in `Partition.learn`.

    Raises:
        ClusteringError: no vectors, more clusters than vectors, vectors that are not finite, a backend that is not there.
    """
    by = chosen(backend)
    check_vectors(vectors)
    if not len(vectors):
        raise ClusteringError("there are no texts to cluster; give the audit prompts that the models answer")
    if not 1 <= clusters <= len(vectors):
        raise ClusteringError(f"`clustering.clusters` is {clusters} but there are {len(vectors)} texts; give 1 to {len(vectors)}")
    weights = check_weights(weights, len(vectors))
    dimension = vectors.shape[1]
    none, nothing = np.empty((0, dimension), dtype=np.float32), np.empty(0)
    sample, keys = _sampled((none, nothing), vectors, weights, generator("density sample", seed))
    zero = np.empty(0, dtype=np.int64)
    blank = Look(
        np.zeros(dimension, np.float32), np.zeros((dimension, 1), np.float32), np.zeros((1, 1), np.float32), np.array([-1]), nothing, 0
    )
    with one_thread("sklearn.cluster"):
        first = DensityPartition(none, nothing, zero, 0, blank, sample, keys, len(vectors), by).looked_again(clusters)
    labels = first.assign(vectors)
    return replace(first, mass=np.bincount(labels[labels >= 0], weights=weights[labels >= 0], minlength=first.clusters))


def _sampled(
    held: tuple[FloatMatrix, FloatArray], vectors: FloatMatrix, weights: FloatArray, random: np.random.Generator
) -> tuple[FloatMatrix, FloatArray]:
    """The `_SAMPLE` vectors of the smallest keys among those held and the new ones: exponential, with the weight as rate."""
    with np.errstate(divide="ignore"):
        fresh = random.exponential(size=len(vectors)) / weights
    keys = np.concatenate([held[1], fresh])
    chosen = np.argsort(keys, kind="stable")[:_SAMPLE]
    chosen = np.sort(chosen[np.isfinite(keys[chosen])])
    old, new = chosen[chosen < len(held[1])], chosen[chosen >= len(held[1])] - len(held[1])
    return np.concatenate([held[0][old], np.asarray(vectors[new], dtype=np.float32)]), keys[chosen]


def _components(sample: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
    """Mean and the first principal axes of `sample`, as many as there is variance on, at most `_AXES` and at least one."""
    with one_thread():
        mean = sample.mean(axis=0, dtype=np.float64)
        centred = sample - mean
        variances, components = np.linalg.eigh(centred.T @ centred / max(len(sample), 1))
    kept = max(1, int((variances[::-1][:_AXES] > 1e-10).sum()))
    return mean.astype(np.float32), np.ascontiguousarray(components[:, ::-1][:, :kept], dtype=np.float32)


def _found(places: FloatMatrix, wanted: int, engine: Engine) -> IntArray:
    """HDBSCAN's labels (s,) of the sample, −1 for none: at most `wanted` clusters, the largest, which comes first."""
    smallest = max(_SMALLEST, len(places) // (5 * wanted))
    if len(places) < 2 * _SMALLEST or not np.ptp(places, axis=0).any():
        return np.zeros(len(places), dtype=np.int64)  # too few to tell, or all alike: one cluster
    with one_thread("sklearn.cluster"):
        found = engine.dense(places, smallest, _NEIGHBOURS)
    sizes = np.bincount(found[found >= 0])
    order = np.argsort(-sizes, kind="stable")[:wanted]
    rank = np.full(len(sizes) + 1, -1, dtype=np.int64)  # the last one stands for "none"
    rank[order] = np.arange(len(order))
    return rank[found]


def _rows(found: IntArray, before: IntArray, born: IntArray) -> IntArray:
    """The row of each cluster found: that of the old cluster it goes on from, else an empty one, else a new one."""
    from scipy.optimize import linear_sum_assignment

    count, old = int(found.max(initial=-1)) + 1, len(born)
    both = (found >= 0) & (before >= 0)
    shared = np.zeros((count, old))
    np.add.at(shared, (found[both], before[both]), 1)
    sizes = np.bincount(found[found >= 0], minlength=count)[:, np.newaxis] + np.bincount(before[before >= 0], minlength=old)
    likeness = shared / np.maximum(sizes - shared, 1)
    rows = np.full(count, -1, dtype=np.int64)
    for new, row in zip(*linear_sum_assignment(-likeness), strict=True):
        if likeness[new, row] >= _SAME:
            rows[new] = row
    free = [row for row in range(old) if born[row] == NOT_LIVING and row not in set(rows.tolist())]
    unmatched = np.flatnonzero(rows < 0)
    rows[unmatched] = (free + list(range(old, old + count)))[: len(unmatched)]
    return rows


def _reaches(places: FloatMatrix, labels: IntArray, count: int) -> FloatArray:
    """(count,) the distance to the next member of their cluster that 95% of its members keep; 0 for an empty row."""
    reach = np.zeros(count)
    for row in np.unique(labels[labels >= 0]).tolist():
        own = places[labels == row]
        nearest = np.empty(len(own))
        for rows, block in distances_in_chunks(own, own):
            block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
            nearest[rows] = np.sqrt(block.min(axis=1)) if len(own) > 1 else 0.0
        reach[row] = np.quantile(nearest, _REACH)
    return reach
