"""The GPU's arithmetic (`backends/device.py`, the very same lines) on numpy's arrays, for machines without a GPU."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auto_interventions.clustering.backends.cpu import CpuEngine
from auto_interventions.clustering.backends.device import DeviceEngine
from auto_interventions.records import FloatMatrix, IntArray


class HostDevice:
    """numpy as a device of `free` bytes; `sent` counts the numbers that went there."""

    def __init__(self, free: int = 2**40) -> None:
        self.xp, self._free, self.sent, self.working = np, free, 0, False

    def put(self, block: NDArray[Any]) -> Any:
        assert self.working, "whatever is sent is sent while the device is at work"
        self.sent += block.size
        return np.array(block, dtype=np.float32)

    def get(self, array: Any) -> NDArray[Any]:
        return np.array(array)

    def free_bytes(self) -> int:
        return self._free

    @contextmanager
    def at_work(self) -> Generator[None]:
        self.working = True
        yield
        self.working = False


class HostEngine(DeviceEngine):
    """All of the GPU's engine but HDBSCAN, which is cuML's own there and scikit-learn's here."""

    def dense(self, places: FloatMatrix, smallest: int, neighbours: int) -> IntArray:
        return CpuEngine().dense(places, smallest, neighbours)
