"""A map that keeps neighbours together (UMAP; McInnes, Healy & Melville 2018): for looking at topics; its distances mean nothing.

The same bits for the same vectors and seed, on one backend: a fixed `random_state` makes umap-learn run on one thread, and cuML on its
deterministic path with exact neighbours. It is fitted on a bounded sample; any other vector lies at the mean of its five nearest sampled
ones, the near ones weighing more. So its cost is a minute at most, and the nearest of all vectors beside it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from auto_interventions.clustering.backends import Backend
from auto_interventions.clustering.partition import distances_in_chunks
from auto_interventions.clustering.threads import one_thread
from auto_interventions.errors import ClusteringError
from auto_interventions.fingerprint import generator, seed_of
from auto_interventions.records import FloatMatrix

_SAMPLE = 5_000
_NEIGHBOURS = 15
_MEAN_OF = 5
_FEWEST = 4 * _NEIGHBOURS  # below, there are no neighbourhoods to keep


def check_umap(backend: Backend) -> None:
    """UMAP can be made here.

    Raises:
        ClusteringError: neither cuML computes nor umap-learn is installed.
    """
    if backend == "sklearn" and find_spec("umap") is None:
        raise ClusteringError(
            "`clustering.map: umap` needs umap-learn, or a GPU with cuML: `pip install 'auto-interventions[umap]'`, or use `pca`"
        )


def umap_places(vectors: FloatMatrix, seed: int, backend: Backend) -> FloatMatrix | None:
    """Places (n, 2) float32 of `vectors` (n, dimension); None where fewer than 60 differ, which no such map can be made of.

    Raises:
        ClusteringError: as `check_umap`.
    """
    check_umap(backend)
    rows = np.arange(len(vectors))
    if len(rows) > _SAMPLE:
        rows = np.sort(generator("umap sample", seed, len(vectors)).choice(len(vectors), _SAMPLE, replace=False))
    some = np.asarray(vectors[rows], dtype=np.float32)
    if len(some) < _FEWEST or len(np.unique(some, axis=0)) < _FEWEST:
        return None
    with one_thread():
        fitted = np.asarray(_model(seed_of("umap", seed) % 2**31, backend).fit_transform(some), dtype=np.float32)
        if len(some) == len(vectors):
            return fitted
        places = np.empty((len(vectors), 2), dtype=np.float32)
        for part, block in distances_in_chunks(vectors, some):
            nearest = np.argpartition(block, _MEAN_OF, axis=1)[:, :_MEAN_OF]
            weights = 1 / (np.take_along_axis(block, nearest, axis=1) + 1e-6)
            places[part] = (fitted[nearest] * weights[:, :, np.newaxis]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    places[rows] = fitted
    return places


def _model(random_state: int, backend: Backend) -> Any:
    if backend == "cuml":
        from cuml.manifold import UMAP as Cuml  # noqa: N811  # pyright: ignore[reportMissingImports]

        return Cuml(n_neighbors=_NEIGHBOURS, random_state=random_state, build_algo="brute_force_knn", output_type="numpy")
    from umap import UMAP  # pyright: ignore

    return UMAP(n_neighbors=_NEIGHBOURS, random_state=random_state, n_jobs=1)
