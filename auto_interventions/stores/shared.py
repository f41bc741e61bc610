"""A store as several processes name it: a location that means the same everywhere, opened once a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from auto_interventions.locations import EMBEDDED
from auto_interventions.stores import cache_folder, open_store
from auto_interventions.stores.store import Store


def place_of(location: str) -> str:
    """`location` so that another process on this machine, or on one that shares its folders, means the same store by it."""
    if "://" in location:
        return location
    return str((cache_folder() if location == EMBEDDED else Path(location).expanduser()).resolve())


@lru_cache(maxsize=8)
def store_here(place: str) -> Store:
    """The store at `place`, which stays open as long as this process.

    Raises:
        AutoInterventionsError: as `open_store`.
    """
    return open_store(place)
