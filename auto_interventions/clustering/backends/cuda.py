"""cupy and cuML behind the engine: the only place that imports them.

Unproven: no machine of the project that had this code had a GPU. `tests/clustering/test_backends.py` runs the arithmetic of `device` with
numpy, and reads in cuML's and cupy's own files that what is called here exists with these parameters.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auto_interventions.clustering.backends.device import DeviceEngine
from auto_interventions.errors import ClusteringError
from auto_interventions.records import FloatMatrix, IntArray


class CudaDevice:
    """The current GPU of this process. See `device.Device`."""

    def __init__(self) -> None:
        """Imports cupy."""
        import cupy  # pyright: ignore[reportMissingImports]
        import cupyx  # pyright: ignore[reportMissingImports]

        self._cupy: Any = cupy
        self._cupyx: Any = cupyx
        self._staging: Any = None  # pinned, so that transfers run at the bus's full speed
        self._depth = 0

    @property
    def xp(self) -> Any:
        """cupy."""
        return self._cupy

    def put(self, block: NDArray[Any]) -> Any:
        """See `Device.put`: through pinned memory, where float16 becomes float32 too."""
        if self._staging is None or self._staging.size < block.size:
            self._staging = self._cupyx.empty_pinned(max(block.size, 1), dtype=np.float32)
        staged = self._staging[: block.size].reshape(block.shape)
        staged[...] = block
        target = self._cupy.empty(block.shape, dtype=np.float32)
        target.set(staged)
        self._cupy.cuda.get_current_stream().synchronize()  # before the next block takes the staging memory
        return target

    def get(self, array: Any) -> NDArray[Any]:
        """See `Device.get`."""
        return self._cupy.asnumpy(array)

    def free_bytes(self) -> int:
        """See `Device.free_bytes`."""
        return int(self._cupy.cuda.runtime.memGetInfo()[0])

    @contextmanager
    def at_work(self) -> Generator[None]:
        """See `Device.at_work`: models that are loaded next find the memory free.

        Raises:
            ClusteringError: the GPU's memory does not suffice.
        """
        self._depth += 1
        try:
            yield
        except self._cupy.cuda.memory.OutOfMemoryError as error:
            raise ClusteringError(
                f"the GPU has not enough free memory to cluster there ({error}); use `clustering.backend: sklearn`, or free the GPU"
            ) from error
        finally:
            self._depth -= 1
            if not self._depth:
                self._staging = None
                self._cupy.get_default_memory_pool().free_all_blocks()
                self._cupy.get_default_pinned_memory_pool().free_all_blocks()


class CudaEngine(DeviceEngine):
    """See `engine.Engine`."""

    def __init__(self) -> None:
        """On the current GPU."""
        super().__init__(CudaDevice())

    def dense(self, places: FloatMatrix, smallest: int, neighbours: int) -> IntArray:
        """See `Engine.dense`: cuML's HDBSCAN, whose `min_samples` does not count the place itself."""
        from cuml.cluster import HDBSCAN  # pyright: ignore[reportMissingImports]

        with self.device.at_work():
            model = HDBSCAN(
                min_cluster_size=smallest,
                min_samples=neighbours - 1,
                cluster_selection_method="leaf",
                build_algo="brute_force",
                output_type="numpy",
            )
            return np.asarray(model.fit(np.ascontiguousarray(places, dtype=np.float32)).labels_, dtype=np.int64)
