"""What a partition has computed for it: everything that grows with the vectors, and nothing that decides.

An engine knows vectors, weights and centroids; not what a cluster is called, when it was born, or when to look again. Arrays go in and
come out as numpy's, wherever they were meanwhile. The same engine gives the same bits for the same arguments; two engines do not.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from auto_interventions.records import FloatArray, FloatMatrix, IntArray


class Engine(Protocol):
    """Vectors are (n, dimension), float32 or a memory map of any float; distances are squared and Euclidean unless said otherwise."""

    def nearest(self, vectors: FloatMatrix, centroids: FloatMatrix) -> tuple[IntArray, FloatArray]:
        """The nearest centroid (n,) of each vector, the lower number where two are as near, and the distance (n,) to it."""
        ...

    def two_nearest(self, vectors: FloatMatrix, centroids: FloatMatrix) -> tuple[IntArray, FloatArray, FloatArray]:
        """The nearest of two or more centroids (n,), and the distances (n,) to it and to the second nearest."""
        ...

    def two_nearest_groups(self, vectors: FloatMatrix, members: FloatMatrix, starts: IntArray) -> tuple[FloatArray, FloatArray]:
        """Distances (n,) to the nearest and the second nearest group, by the group's nearest member; group g of two or more holds `members`
        from row starts[g] on.
        """
        ...

    def started(self, vectors: FloatMatrix, clusters: int, seed: int, weights: FloatArray, iterations: int, starts: int) -> FloatMatrix:
        """Centroids of the best of `starts` runs of Lloyd's algorithm from k-means++."""
        ...

    def lloyd(self, centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, iterations: int) -> FloatMatrix:
        """Centroids after at most `iterations` of Lloyd's algorithm; one that draws nothing moves to a vector far from its own."""
        ...

    def mini_batches(
        self, centroids: FloatMatrix, mass: FloatArray, vectors: FloatMatrix, weights: FloatArray, begins: list[int], size: int
    ) -> FloatMatrix:
        """Centroids after the blocks of `size` vectors that start at `begins`, in that order: each centroid, of weight `mass` at first, is
        the weighted mean of all that it stands for.
        """
        ...

    def drawn(
        self, centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, count: int, random: np.random.Generator
    ) -> FloatMatrix:
        """At most `count` of `vectors`, drawn as k-means++ would go on from `centroids`, each the best of a few (greedy); fewer where the
        vectors are used up.
        """
        ...

    def dense(self, places: FloatMatrix, smallest: int, neighbours: int) -> IntArray:
        """HDBSCAN's labels (n,) of `places`, −1 for none: leaves of `smallest` members or more; a core distance is that of the
        `neighbours`-th nearest, the place itself being the first.
        """
        ...
