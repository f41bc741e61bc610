"""Vectors with known clusters."""

from __future__ import annotations

import numpy as np

from auto_interventions.records import FloatMatrix, IntArray


def blobs(
    count: int, each: int, seed: int = 0, dimension: int = 32, spread: float = 0.05, centres: int = 0
) -> tuple[FloatMatrix, IntArray]:
    """`each` unit vectors around each of `count` centres, in random order, and their centres; `centres` seeds these alone."""
    middle = np.random.default_rng(1000 + centres).normal(size=(count, dimension))
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(count), each))
    vectors = middle[labels] + random.normal(scale=spread, size=(count * each, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels
