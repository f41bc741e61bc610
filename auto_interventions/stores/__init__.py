"""The content-addressed store: whatever was computed once is looked up, never computed again.

`open_store` gives the adapter for a location; the rest of the house knows the `Store` Protocol only. Values are bytes; what
they mean is the caller's (`vectors` packs vectors). Keys are strings like `vector/v1/<model>/<sha256>` (`keys`).
"""

from __future__ import annotations

import os
from pathlib import Path

from auto_interventions.errors import BadInput
from auto_interventions.locations import EMBEDDED, check_location, redis_address
from auto_interventions.stores.store import Entry, Store

__all__ = ["Entry", "Store", "cache_folder", "open_store"]


def open_store(location: str, patience: float | None = None) -> Store:
    """The store at `location`, found usable.

    Args:
        location: `embedded` is a folder in the user's cache (the environment variable AUTO_INTERVENTIONS_CACHE names another one);
            redis://, rediss:// and unix:// are a Redis server (docs/store.md); anything else is the path of a folder, made where it is
            missing, or of a .sqlite3 file.
        patience: seconds to wait for a Redis that does not answer, now and at every later call; None is two minutes.

    Raises:
        BadInput: a location that cannot be; a Redis that refuses us.
        RunDirectoryError: the folder cannot be made or written, or its database is damaged or another program's.
        Interrupted: no Redis answered in time.
    """
    try:
        check_location(location)
        address = redis_address(location)
    except ValueError as error:
        raise BadInput(f"`store` {error}") from None
    # sqlite3 and redis are loaded only where they are used.
    if address is not None:
        from auto_interventions.stores.redis import PATIENCE, RedisStore

        return RedisStore(address, patience=PATIENCE if patience is None else patience)
    from auto_interventions.stores.embedded import EmbeddedStore

    return EmbeddedStore(cache_folder() if location == EMBEDDED else Path(location).expanduser())


def cache_folder() -> Path:
    """Where `store: embedded` is; it need not exist yet."""
    chosen = os.environ.get("AUTO_INTERVENTIONS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("auto-interventions", appauthor=False)
