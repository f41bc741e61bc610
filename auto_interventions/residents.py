"""What a worker's process keeps in memory between chunks: models, each loaded once, the least recently used freed where room is short.

Loading eight billion weights takes a minute, a round's chunk may take less: what fits stays. What does not fit goes before the next is
loaded, by the size of the weights against the memory that is free, in the GPU where there is one. AUTO_INTERVENTIONS_WORKER_MEMORY (bytes,
or 24GB) says instead how much of it models may take in each worker.
"""

from __future__ import annotations

import gc
import os
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from auto_interventions.errors import ConfigError

VARIABLE = "AUTO_INTERVENTIONS_WORKER_MEMORY"
# Beside its weights a model needs room for what it computes.
_ROOM = 1.25
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_Value = TypeVar("_Value")


class Residents:
    """Values by key, each made of parts (tensors of a model) that several may share: a part counts once."""

    def __init__(self, free: Callable[[], int] | None = None) -> None:
        """`free`: bytes that can be had now; None asks the machine."""
        self._free = free or free_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, Mapping[str, int]]] = OrderedDict()
        self._lock = threading.RLock()
        self.loaded: list[Hashable] = []
        """Every key in the order of loading, again where it had been freed."""

    def get(self, key: Hashable, parts: Callable[[], Mapping[str, int]], load: Callable[[], _Value]) -> _Value:
        """The value of `key`, loaded where it is not there.

        Args:
            parts: bytes by name of what the value is made of; asked before it is loaded.
            load: makes it.
        """
        with self._lock:
            if key not in self._kept:
                needed = parts()
                with _alone():  # workers of one machine do not all count the same free bytes
                    self._make_room(needed)
                    self._kept[key] = (load(), needed)
                self.loaded.append(key)
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def _make_room(self, needed: Mapping[str, int]) -> None:
        limit = _limit()
        while self._kept:
            held = {name: size for _, parts in self._kept.values() for name, size in parts.items()}
            new = sum(size for name, size in needed.items() if name not in held)
            if new == 0 or (sum(held.values()) + new <= limit if limit is not None else new * _ROOM <= self._free()):
                return
            self._kept.popitem(last=False)
            _give_back()


def _limit() -> int | None:
    said = os.environ.get(VARIABLE, "").strip()
    if not said:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?", said.upper())
    if found is None or found[2] not in _UNITS:
        raise ConfigError(f"{VARIABLE}={said}: is not a size; write bytes, or for example 24GB")
    return int(float(found[1]) * _UNITS[found[2]])


def free_bytes() -> int:
    """Memory that models can have now: of the GPU that this process uses, else of the machine, or of the container around it."""
    import psutil
    import torch

    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return min([int(psutil.virtual_memory().available), *_container(Path("/sys/fs/cgroup"))])


def _container(group: Path) -> list[int]:
    """Bytes left below the limit of a container; nothing where there is none."""
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit == "max":
            return []
        used = int((group / "memory.current").read_text())
        files = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return [int(limit) - used + int(files.get("inactive_file", 0))]
    except (OSError, ValueError):
        return []


def _give_back() -> None:
    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def _alone() -> Generator[None]:
    """One process of this user and these GPUs at a time; without file locks, all at once."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    devices = re.sub(r"\W", "", os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    place = Path(tempfile.gettempdir()) / f"auto-interventions-{os.getuid()}-{devices}.lock"
    with place.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


HERE = Residents()
