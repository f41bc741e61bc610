"""A flat map of vectors: their two principal components (Pearson 1901), fitted once so that later vectors land on the same map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_interventions.clustering.threads import one_thread
from auto_interventions.records import FloatArray, FloatMatrix

_ROWS = 65_536  # rows held as float64 at once


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Coordinates on a map: (vector − `mean`) · `axes`; `mean` (dimension,), `axes` (dimension, 2)."""

    mean: FloatArray
    axes: FloatArray

    @staticmethod
    def fit(vectors: FloatMatrix) -> Projection:
        """The map that keeps most of the variance of `vectors` (n ≥ 1, dimension).

        The sign of an axis is free; here its largest loading is positive. Axes without variance are zero, so all texts alike
        lie on one point.
        """
        dimension = vectors.shape[1]
        with one_thread():
            mean = vectors.mean(axis=0, dtype=np.float64)
            covariance = np.zeros((dimension, dimension))
            for begin in range(0, len(vectors), _ROWS):
                centred = vectors[begin : begin + _ROWS] - mean
                covariance += centred.T @ centred
            variances, components = np.linalg.eigh(covariance / len(vectors))
        axes = np.zeros((dimension, 2))
        for axis, component in enumerate(range(dimension - 1, max(dimension - 3, -1), -1)):
            if variances[component] > 1e-12:
                loadings = components[:, component]
                axes[:, axis] = loadings * np.sign(loadings[np.argmax(np.abs(loadings))])
        return Projection(mean, axes)

    def coordinates(self, vectors: FloatMatrix) -> FloatMatrix:
        """The places (n, 2) of `vectors` (n, dimension) on the map."""
        found = np.empty((len(vectors), 2), dtype=np.float32)
        mean, axes = self.mean.astype(np.float32), self.axes.astype(np.float32)
        with one_thread():
            for begin in range(0, len(vectors), _ROWS):
                found[begin : begin + _ROWS] = (vectors[begin : begin + _ROWS] - mean) @ axes
        return found
