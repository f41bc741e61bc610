"""Who computes partitions: a name in, an engine out. Nothing of a GPU is imported before it is used."""

from __future__ import annotations

from functools import cache
from typing import Literal

from auto_interventions.clustering.backends.detecting import why_no_cuml
from auto_interventions.clustering.backends.engine import Engine
from auto_interventions.errors import ClusteringError

Asked = Literal["auto", "sklearn", "cuml"]
Backend = Literal["sklearn", "cuml"]


def chosen(asked: str) -> Backend:
    """The backend that `clustering.backend: asked` means on this machine; cheap, imports no package of either.

    `auto` is cuML where a GPU and cuML are really there: `import cuml` succeeds without a GPU and fails only when it computes.

    Raises:
        ClusteringError: `cuml` without GPU or package, or an unknown name.
    """
    if asked == "sklearn":
        return "sklearn"
    if asked not in ("auto", "cuml"):
        raise ClusteringError(f"`clustering.backend: {asked}` is not known; use `auto`, `sklearn` or `cuml`")
    reason = why_no_cuml()
    if reason is None:
        return "cuml"
    if asked == "auto":
        return "sklearn"
    raise ClusteringError(
        f"`clustering.backend: cuml` cannot be used here: {reason}. Use `auto`, which takes it where it is there, or `sklearn`; "
        f"it needs an NVIDIA GPU and `pip install 'auto-interventions[gpu]'` (docs/clustering.md)"
    )


@cache
def engine_of(backend: Backend) -> Engine:
    """The engine of a backend, one a process."""
    if backend == "cuml":
        from auto_interventions.clustering.backends.cuda import CudaEngine

        return CudaEngine()
    from auto_interventions.clustering.backends.cpu import CpuEngine

    return CpuEngine()


__all__ = ["Asked", "Backend", "Engine", "chosen", "engine_of"]
