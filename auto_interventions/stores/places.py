"""Locations of stores, as people give them to commands: looked at before anything is opened, since opening a store makes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from auto_interventions.errors import BadInput
from auto_interventions.locations import EMBEDDED, redis_address
from auto_interventions.stores import cache_folder, open_store
from auto_interventions.stores.embedded import SUFFIX, file_in
from auto_interventions.stores.store import Store

PATIENCE = 10.0  # seconds: somebody sits before the terminal, and a command that broke off is started again


def file_of(location: str) -> Path | None:
    """The database file of an embedded store, whether it is there or not; None where `location` is a server's."""
    if "://" in location:
        return None
    return file_in((cache_folder() if location == EMBEDDED else Path(location).expanduser()).resolve())


def open_existing(location: str) -> Store:
    """The store at `location`.

    Raises:
        BadInput: there is none, or it cannot be opened (see `open_store`); none was made.
        Interrupted: no Redis answered in `PATIENCE` seconds.
    """
    file = file_of(location)
    if file is not None and location.strip() and not file.is_file():
        if file.parent.is_file():
            raise BadInput(f"{file.parent}: is no store; give its folder, a {SUFFIX} file, or redis://host:port/db")
        hint = "no audit has kept anything there yet" if location == EMBEDDED else "give the folder that `store` of an audit file names"
        raise BadInput(f"{file}: there is no store; {hint}")
    return open_store(location, PATIENCE)


def open_target(location: str) -> Store:
    """The store at `location`, made where it is missing.

    Raises:
        BadInput: it cannot be (see `open_store`).
    """
    return open_store(location, PATIENCE)


def check_apart(source: str, target: str) -> None:
    """Nothing can be copied onto itself.

    Raises:
        BadInput: the two are one and the same place.
    """
    one, other = (_place(location) for location in (source, target))
    if one == other:
        raise BadInput(f"{target}: is the store itself; give another place to copy to")


def _place(location: str) -> object:
    try:
        address = redis_address(location)
    except ValueError as error:
        raise BadInput(f"`store` {error}") from None
    return file_of(location) if address is None else replace(address, ttl=None)
