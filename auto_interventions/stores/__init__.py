"""The content-addressed store: whatever was computed once is looked up, never computed again.

`open_store` gives the adapter for a location; the rest of the house knows the `Store` Protocol only. Values are bytes; what
they mean is the caller's (`vectors` packs vectors). Keys are strings like `vector/v1/<sha256>`: kind, version of the value's
format, fingerprint of everything that can change the value.
"""

from __future__ import annotations

import os
from pathlib import Path

from auto_interventions.errors import BadInput
from auto_interventions.stores.store import Store

__all__ = ["Store", "open_store"]


def open_store(location: str) -> Store:
    """The store at `location`.

    `embedded` is a folder in the user's cache (the environment variable AUTO_INTERVENTIONS_CACHE names another one); anything
    else is the path of a folder, made where it is missing.

    Raises:
        BadInput: a kind of store that this version does not have.
        RunDirectoryError: the folder cannot be made or written, or its database is damaged or another program's.
    """
    if "://" in location:
        scheme = location.split("://", 1)[0]
        raise BadInput(f"`store: {scheme}://…` comes with a later version; use `store: embedded` or the path of a folder")
    if not location.strip():
        raise BadInput("`store` is empty; use `store: embedded` or the path of a folder")
    from auto_interventions.stores.embedded import EmbeddedStore  # sqlite3 only where it is used

    return EmbeddedStore(_cache_folder() if location == "embedded" else Path(location).expanduser())


def _cache_folder() -> Path:
    chosen = os.environ.get("AUTO_INTERVENTIONS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("auto-interventions", appauthor=False)
