"""The engine of a GPU: k-means and distances in blocks, in such an order that the same vectors give the same bits.

Written for arrays that behave as numpy's (`Device.xp` is cupy on a GPU; the tests run the very same lines with numpy). Sums over
vectors are matrix products of a one-hot matrix with a block, blocks one after the other, because cuBLAS promises the same bits on each
run on the same kind of GPU, while cuML's own KMeans adds with atomics, in whatever order threads arrive: a run that was killed could
then not be resumed on the same clusters (docs/decisions/0017-cuml.md). Blocks depend on clusters and dimension alone, not on free memory.

Memory on the GPU at most: six times `NUMBERS_AT_ONCE` float32 (0.8 GB), three times clusters × dimensions in float64, and the vectors in
float32 if they take less than half of what is free; else they are sent anew at each pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from auto_interventions.clustering.backends.cpu import drawn_rows, tries_of
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatArray, FloatMatrix, IntArray

NUMBERS_AT_ONCE = 32_000_000  # distances held at once: 128 MB
_STILL = 1e-4  # of the mean variance of a coordinate: centroids that move less in all (squared) have arrived; as scikit-learn's


class Device(Protocol):
    """Where arrays are while they are worked on."""

    @property
    def xp(self) -> Any:
        """The module of array functions: cupy, or numpy."""
        ...

    def put(self, block: NDArray[Any]) -> Any:
        """`block` on the device, as float32."""
        ...

    def get(self, array: Any) -> NDArray[Any]:
        """`array` as numpy's."""
        ...

    def free_bytes(self) -> int:
        """Memory that is left on the device."""
        ...

    def at_work(self) -> AbstractContextManager[None]:
        """Around all that is done there; gives the memory back at its end."""
        ...


def block_rows(clusters: int, dimension: int, numbers: int = NUMBERS_AT_ONCE) -> int:
    """Vectors of a block: so many that neither they nor their distances to `clusters` centroids are more than `numbers`.

    >>> block_rows(1_000, 384), block_rows(10_000, 384), block_rows(2, 384)
    (32000, 3200, 83333)
    """
    return max(1, numbers // max(clusters, dimension, 1))


def stays(rows: int, dimension: int, free: int) -> bool:
    """Whether `rows` vectors are sent once and kept: as float32 they take at most half of `free` bytes."""
    return 8 * rows * dimension <= free


class Blocks:
    """Vectors in blocks on a device, in order, kept there between passes if they fit."""

    def __init__(self, device: Device, vectors: FloatMatrix, clusters: int, numbers: int) -> None:
        """`clusters` whose distances to each block will be held at once."""
        self._device, self._vectors = device, vectors
        size = block_rows(clusters, vectors.shape[1], numbers)
        self.slices = [slice(begin, min(begin + size, len(vectors))) for begin in range(0, len(vectors), size)]
        self._kept: list[Any] | None = [] if stays(len(vectors), vectors.shape[1], device.free_bytes()) else None

    def __iter__(self) -> Iterator[tuple[slice, Any]]:
        """Each block with the rows that it holds."""
        for number, rows in enumerate(self.slices):
            if self._kept is None:
                yield rows, self._device.put(self._vectors[rows])
                continue
            if number == len(self._kept):
                self._kept.append(self._device.put(self._vectors[rows]))
            yield rows, self._kept[number]


class DeviceEngine:
    """See `engine.Engine`, whose `dense` a subclass adds."""

    def __init__(self, device: Device, numbers: int = NUMBERS_AT_ONCE) -> None:
        """`numbers` that a block holds at most."""
        self.device, self._numbers = device, numbers

    def nearest(self, vectors: FloatMatrix, centroids: FloatMatrix) -> tuple[IntArray, FloatArray]:
        """See `Engine.nearest`."""
        with self.device.at_work():
            return self._nearest(self._blocks(vectors, len(centroids)), self.device.put(centroids))

    def two_nearest(self, vectors: FloatMatrix, centroids: FloatMatrix) -> tuple[IntArray, FloatArray, FloatArray]:
        """See `Engine.two_nearest`."""
        labels, first, second = np.empty(len(vectors), dtype=np.int64), np.empty(len(vectors)), np.empty(len(vectors))
        with self.device.at_work():
            held, get = self.device.put(centroids), self.device.get
            for rows, block in self._blocks(vectors, len(centroids)):
                squares = self._squares(block, held)
                found = squares.argmin(axis=1)
                labels[rows], first[rows] = get(found), get(squares.min(axis=1))
                squares[self.device.xp.arange(len(squares)), found] = np.inf
                second[rows] = get(squares.min(axis=1))
        return labels, first, second

    def two_nearest_groups(self, vectors: FloatMatrix, members: FloatMatrix, starts: IntArray) -> tuple[FloatArray, FloatArray]:
        """See `Engine.two_nearest_groups`."""
        first, second = np.empty(len(vectors)), np.empty(len(vectors))
        ends = [*starts.tolist()[1:], len(members)]
        with self.device.at_work():
            held, xp = self.device.put(members), self.device.xp
            for rows, block in self._blocks(vectors, len(members)):
                squares = self._squares(block, held)
                groups = xp.stack([squares[:, begin:end].min(axis=1) for begin, end in zip(starts.tolist(), ends, strict=True)], axis=1)
                found = groups.argmin(axis=1)
                first[rows] = self.device.get(groups.min(axis=1))
                groups[xp.arange(len(groups)), found] = np.inf
                second[rows] = self.device.get(groups.min(axis=1))
        return first, second

    def started(self, vectors: FloatMatrix, clusters: int, seed: int, weights: FloatArray, iterations: int, starts: int) -> FloatMatrix:
        """See `Engine.started`."""
        best, least = np.empty((0, vectors.shape[1]), dtype=np.float32), np.inf
        none = np.empty((0, vectors.shape[1]), dtype=np.float32)
        with self.device.at_work():
            blocks = self._blocks(vectors, clusters)
            for start in range(starts):
                first = self._drawn(blocks, none, vectors, weights, clusters, generator("device kmeans", seed, start))
                centroids = self._lloyd(blocks, first, vectors, weights, iterations)
                inertia = float(self._nearest(blocks, self.device.put(centroids))[1] @ weights)
                if inertia < least:
                    best, least = centroids, inertia
        return best

    def lloyd(self, centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, iterations: int) -> FloatMatrix:
        """See `Engine.lloyd`."""
        with self.device.at_work():
            return self._lloyd(self._blocks(vectors, len(centroids)), centroids, vectors, weights, iterations)

    def mini_batches(
        self, centroids: FloatMatrix, mass: FloatArray, vectors: FloatMatrix, weights: FloatArray, begins: list[int], size: int
    ) -> FloatMatrix:
        """See `Engine.mini_batches`."""
        means, total = centroids.astype(np.float64), np.maximum(mass, 1e-6)
        with self.device.at_work():
            for begin in begins:
                part = slice(begin, begin + size)
                sums, added, _ = self._sums(self._blocks(vectors[part], len(means)), weights[part], means)
                after = total + added
                means = (means * total[:, np.newaxis] + sums) / after[:, np.newaxis]
                total = after
        return np.ascontiguousarray(means, dtype=np.float32)

    def drawn(
        self, centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, count: int, random: np.random.Generator
    ) -> FloatMatrix:
        """See `Engine.drawn`."""
        with self.device.at_work():
            return self._drawn(self._blocks(vectors, len(centroids) + count), centroids, vectors, weights, count, random)

    def _blocks(self, vectors: FloatMatrix, clusters: int) -> Blocks:
        return Blocks(self.device, vectors, clusters, self._numbers)

    def _squares(self, a: Any, b: Any) -> Any:
        """(len(a), len(b)) squared distances of float32 arrays on the device, never negative."""
        xp = self.device.xp
        squares = a @ b.T
        squares *= -2
        squares += (a * a).sum(axis=1)[:, np.newaxis]
        squares += (b * b).sum(axis=1)
        return xp.maximum(squares, 0, out=squares)

    def _nearest(self, blocks: Blocks, centroids: Any) -> tuple[IntArray, FloatArray]:
        count = blocks.slices[-1].stop if blocks.slices else 0
        labels, distances = np.empty(count, dtype=np.int64), np.empty(count)
        for rows, block in blocks:
            squares = self._squares(block, centroids)
            labels[rows], distances[rows] = self.device.get(squares.argmin(axis=1)), self.device.get(squares.min(axis=1))
        return labels, distances

    def _sums(self, blocks: Blocks, weights: FloatArray, centroids: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each centroid the weighted sum (clusters, dimension) of its vectors and their weight (clusters,); and the distance (n,) of
        each vector to its own.
        """
        xp, get, clusters = self.device.xp, self.device.get, len(centroids)
        held, numbers = self.device.put(centroids), xp.arange(clusters)
        sums, mass = xp.zeros(centroids.shape, dtype=np.float64), np.zeros(clusters)
        distances = np.empty(len(weights))
        for rows, block in blocks:
            squares = self._squares(block, held)
            labels = squares.argmin(axis=1)
            distances[rows] = get(squares.min(axis=1))
            mass += np.bincount(get(labels), weights=weights[rows], minlength=clusters)
            # The distances are not needed any more: their place takes the one-hot matrix, each row with its vector's weight.
            xp.equal(labels[:, np.newaxis], numbers, out=squares)
            squares *= self.device.put(weights[rows])[:, np.newaxis]
            sums += squares.T @ block
        return get(sums), mass, distances

    def _lloyd(self, blocks: Blocks, centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, iterations: int) -> FloatMatrix:
        means = centroids.astype(np.float64)
        still = _STILL * self._variance(blocks)
        for _ in range(iterations if len(means) else 0):
            sums, mass, distances = self._sums(blocks, weights, means)
            after = np.where(mass[:, np.newaxis] > 0, sums / np.maximum(mass, 1e-300)[:, np.newaxis], means)
            moved = _far(np.flatnonzero(mass == 0), distances * (weights > 0))
            for row, vector in moved:
                after[row] = vectors[vector]
            shift = float(((after - means) ** 2).sum())
            means = after
            if shift <= still:
                break
        return np.ascontiguousarray(means, dtype=np.float32)

    def _variance(self, blocks: Blocks) -> float:
        """Mean over the coordinates of their variance."""
        total, squares, count = 0.0, 0.0, 0
        for rows, block in blocks:
            wide = block.astype(np.float64)
            total = total + self.device.get(wide.sum(axis=0))
            squares = squares + self.device.get((wide * wide).sum(axis=0))
            count += rows.stop - rows.start
        mean = np.asarray(total) / max(count, 1)
        return float(np.mean(np.maximum(np.asarray(squares) / max(count, 1) - mean**2, 0)))

    def _drawn(
        self,
        blocks: Blocks,
        centroids: FloatMatrix,
        vectors: FloatMatrix,
        weights: FloatArray,
        count: int,
        random: np.random.Generator,
    ) -> FloatMatrix:
        new: list[FloatMatrix] = []
        put, get = self.device.put, self.device.get
        distances = self._nearest(blocks, put(centroids))[1] if len(centroids) else np.ones(len(vectors))
        tries = tries_of(max(len(centroids) + count, 1))
        while len(new) < count:
            rows = drawn_rows(distances, weights, tries, random)
            if not len(rows):
                break
            candidates = np.asarray(vectors[rows], dtype=np.float32)
            held, after = put(candidates), np.empty((tries, len(vectors)))
            for part, block in blocks:
                after[:, part] = get(self._squares(held, block))
            after = np.minimum(distances, after)
            best = int(np.argmin(after @ weights))
            new.append(candidates[best])
            distances = after[best]
        return np.array(new, dtype=np.float32).reshape(len(new), vectors.shape[1])


def _far(empty: IntArray, distances: FloatArray) -> list[tuple[int, int]]:
    """For each row of `empty` a vector that lies far from its centroid: the farthest first, none twice, none that lies on it."""
    if not len(empty):
        return []
    farthest = np.argsort(-distances, kind="stable")[: len(empty)]
    return [(row, vector) for row, vector in zip(empty.tolist(), farthest.tolist(), strict=False) if distances[vector] > 1e-9]
