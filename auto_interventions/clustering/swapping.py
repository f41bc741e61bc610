"""Out of a poor local optimum of k-means: give the centroids that are needed least to the clusters that gain most from being two.

Lloyd's algorithm moves centroids a little; it never takes one from a place where two share a cluster to one where two clusters share it.
Clusters learned as texts come end in such places more often than those made at once. What taking a centroid away costs is
Σ w (d₂² − d₁²) over its vectors, with d₁ ≤ d₂ the distances to the nearest and second nearest centroid; what splitting a cluster gains
is w_A w_B/(w_A + w_B) · |m_A − m_B|² for its two halves along its principal axis, after a few steps of 2-means. Swaps of the cheapest
with the dearest are kept if Lloyd's algorithm ends lower with them (split and merge; Ding & He 2002, Muhr & Granitzer 2009).
"""

from __future__ import annotations

import numpy as np

from auto_interventions.clustering.backends import Engine
from auto_interventions.records import FloatArray, FloatMatrix, IntArray

_STEPS = 4  # of the power method, and of 2-means in a cluster
_WORTH = 1.05  # a split must gain so much more than the removal costs
_AT_ONCE = 0.1  # of the clusters are swapped in a sweep at most


def swaps(
    centroids: FloatMatrix, vectors: FloatMatrix, weights: FloatArray, engine: Engine
) -> tuple[IntArray, IntArray, FloatMatrix, FloatMatrix, float]:
    """Which centroids to move where.

    Args:
        centroids: (k ≥ 2, d); vectors: (n, d) float32 with `weights` (n,).
        engine: who finds the nearest.

    Returns:
        (removed, split, kept, new, inertia): rows whose centroid goes (m,), rows that become two (m,), the centroids (m, d) of the
        larger half, which the split row keeps, and of the other, which the removed row gets; and Σ w d₁² as it is.
    """
    labels, first, second = engine.two_nearest(vectors, centroids)
    count = len(centroids)
    costs = np.bincount(labels, weights=weights * (second - first), minlength=count)
    gains = np.zeros(count)
    halves = np.zeros((2, count, vectors.shape[1]), dtype=np.float32)
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(count + 1))
    for row in range(count):
        own = order[bounds[row] : bounds[row + 1]]
        gains[row], halves[:, row] = _halved(vectors[own], weights[own])
    removed: list[int] = []
    split: list[int] = []
    cheapest, dearest = np.argsort(costs, kind="stable").tolist(), np.argsort(-gains, kind="stable").tolist()
    for row in dearest:
        goes = next((other for other in cheapest if other not in removed and other not in split and other != row), None)
        if row in removed or goes is None or gains[row] <= _WORTH * costs[goes] or len(removed) >= max(1, int(_AT_ONCE * count)):
            break
        removed.append(goes)
        split.append(row)
    split_rows = np.array(split, dtype=np.int64)
    return np.array(removed, dtype=np.int64), split_rows, halves[0, split_rows], halves[1, split_rows], float(weights @ first)


def _halved(vectors: FloatMatrix, weights: FloatArray) -> tuple[float, FloatMatrix]:
    """What two centroids gain over one, and the two (2, d), the heavier first; no gain where there is nothing to halve."""
    total = float(weights.sum())
    halves = np.zeros((2, vectors.shape[1]), dtype=np.float32)
    if len(vectors) < 4 or not total > 0:
        return 0.0, halves
    offsets = vectors - np.asarray(weights @ vectors / total, dtype=np.float32)
    axis = offsets[int(np.argmax(weights * np.einsum("ij,ij->i", offsets, offsets)))]
    for _ in range(_STEPS):
        axis = (weights * (offsets @ axis)).astype(np.float32) @ offsets
        axis = axis / max(float(np.linalg.norm(axis)), 1e-30)
    side = offsets @ axis > 0
    gain = 0.0
    for _ in range(_STEPS):
        heavy = float(weights[side].sum())
        if not 0 < heavy < total:
            return 0.0, halves
        means = np.stack([weights[side] @ vectors[side] / heavy, weights[~side] @ vectors[~side] / (total - heavy)])
        gain = heavy * (total - heavy) / total * float(((means[0] - means[1]) ** 2).sum())
        halves = means.astype(np.float32) if heavy >= total - heavy else means[::-1].astype(np.float32)
        middle = (means[0] + means[1]) / 2
        side = (vectors - middle.astype(np.float32)) @ (means[0] - means[1]).astype(np.float32) > 0
    return gain, halves
