"""The engine of every machine: numpy and scikit-learn, on one thread (`threads.one_thread`, which the caller holds)."""

from __future__ import annotations

from typing import Any

import numpy as np

from auto_interventions.clustering.partition import distances_in_chunks, squared_distances
from auto_interventions.fingerprint import seed_of
from auto_interventions.records import FloatArray, FloatMatrix, IntArray


class CpuEngine:
    """See `engine.Engine`."""

    def nearest(self, vectors: FloatMatrix, centroids: FloatMatrix) -> tuple[IntArray, FloatArray]:
        """See `Engine.nearest`."""
        labels, distances = np.empty(len(vectors), dtype=np.int64), np.empty(len(vectors))
        for rows, block in distances_in_chunks(vectors, centroids):
            labels[rows] = block.argmin(axis=1)
            distances[rows] = block[np.arange(len(block)), labels[rows]]
        return labels, distances

    def two_nearest(self, vectors: FloatMatrix, centroids: FloatMatrix) -> tuple[IntArray, FloatArray, FloatArray]:
        """See `Engine.two_nearest`."""
        labels, first, second = np.empty(len(vectors), dtype=np.int64), np.empty(len(vectors)), np.empty(len(vectors))
        for rows, block in distances_in_chunks(vectors, centroids):
            labels[rows] = block.argmin(axis=1)
            first[rows], second[rows] = np.partition(block, 1, axis=1)[:, :2].T
        return labels, first, second

    def two_nearest_groups(self, vectors: FloatMatrix, members: FloatMatrix, starts: IntArray) -> tuple[FloatArray, FloatArray]:
        """See `Engine.two_nearest_groups`."""
        first, second = np.empty(len(vectors)), np.empty(len(vectors))
        for rows, block in distances_in_chunks(vectors, members):
            first[rows], second[rows] = np.partition(np.minimum.reduceat(block, starts, axis=1), 1, axis=1)[:, :2].T
        return first, second

    def started(self, vectors: FloatMatrix, clusters: int, seed: int, weights: FloatArray, iterations: int, starts: int) -> FloatMatrix:
        """See `Engine.started`."""
        from sklearn.cluster import KMeans

        several: Any = starts
        random_state = seed_of("kmeans", seed) % 2**32
        model = KMeans(
            n_clusters=clusters, random_state=random_state, init="k-means++", n_init=several, max_iter=iterations, algorithm="lloyd"
        )
        model.fit(vectors, sample_weight=weights)
        return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)

    def lloyd(self, centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, iterations: int) -> FloatMatrix:
        """See `Engine.lloyd`."""
        from sklearn.cluster import KMeans

        start: dict[str, Any] = {"init": centroids, "n_init": 1}
        model = KMeans(n_clusters=len(centroids), max_iter=iterations, algorithm="lloyd", **start)
        model.fit(np.asarray(vectors, dtype=np.float32), sample_weight=weights)
        return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)

    def mini_batches(
        self, centroids: FloatMatrix, mass: FloatArray, vectors: FloatMatrix, weights: FloatArray, begins: list[int], size: int
    ) -> FloatMatrix:
        """See `Engine.mini_batches`.

        The old centroids come first, each as a vector with the weight of all it stands for: so the running means go on where they were.
        """
        from sklearn.cluster import MiniBatchKMeans

        start: dict[str, Any] = {"init": centroids, "n_init": 1}
        model = MiniBatchKMeans(n_clusters=len(centroids), reassignment_ratio=0, compute_labels=False, **start)
        model.partial_fit(centroids, sample_weight=np.maximum(mass, 1e-6))
        for begin in begins:
            part = slice(begin, begin + size)
            model.partial_fit(np.asarray(vectors[part], dtype=np.float32), sample_weight=weights[part])
        return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)

    def drawn(
        self, centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, count: int, random: np.random.Generator
    ) -> FloatMatrix:
        """See `Engine.drawn`."""
        new = np.empty((0, vectors.shape[1]), dtype=np.float32)
        if count <= 0:
            return new
        distances = self.nearest(vectors, centroids)[1] if len(centroids) else np.ones(len(vectors))
        tries = tries_of(len(centroids) + count)
        while len(new) < count:
            rows = drawn_rows(distances, weights, tries, random)
            if not len(rows):
                break
            after = np.minimum(distances, squared_distances(np.asarray(vectors[rows], dtype=np.float32), vectors))
            best = int(np.argmin(after @ weights))
            new, distances = np.concatenate([new, np.asarray(vectors[rows[best : best + 1]], dtype=np.float32)]), after[best]
        return new

    def dense(self, places: FloatMatrix, smallest: int, neighbours: int) -> IntArray:
        """See `Engine.dense`."""
        from sklearn.cluster import HDBSCAN

        model = HDBSCAN(min_cluster_size=smallest, min_samples=neighbours, cluster_selection_method="leaf", copy=True)  # pyright: ignore[reportArgumentType]
        return np.asarray(model.fit(places.astype(np.float64)).labels_, dtype=np.int64)


def tries_of(clusters: int) -> int:
    """Of how many candidates greedy k-means++ takes the best (as scikit-learn does)."""
    return 2 + int(np.log(clusters))


def drawn_rows(distances: FloatArray, weights: FloatArray, tries: int, random: np.random.Generator) -> IntArray:
    """Rows (tries,) in proportion to weight × squared distance (n,); none where no vector is left that lies anywhere else."""
    share = np.cumsum(weights * np.where(distances > 1e-9, distances, 0.0))
    if not share[-1] > 0:
        return np.empty(0, dtype=np.int64)
    return np.minimum(np.searchsorted(share, random.random(tries) * share[-1], side="right"), len(distances) - 1)
