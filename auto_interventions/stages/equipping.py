"""What workers must have before anything expensive begins: the same versions, the same store, the same files of models.

The functions ending in `_here` run in the workers: in all that are there when a run begins, and in each that comes later before its first
chunk. What is wrong is one sentence that says where, what, and what to do.
"""

from __future__ import annotations

import platform
import socket
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from auto_interventions import __version__
from auto_interventions.crew import Crew, Facts
from auto_interventions.errors import AutoInterventionsError, BadInput
from auto_interventions.fingerprint import source_fingerprint
from auto_interventions.stores import Store
from auto_interventions.stores.keys import ContentKeys
from auto_interventions.stores.shared import place_of, store_here

# Those that decide what comes out, or whether one process understands another.
_PACKAGES = ("torch", "transformers", "peft", "sentence-transformers", "tokenizers")


class Need(Protocol):
    """Files of a model that the audit uses."""

    def check(self) -> None:
        """Raises:
        AutoInterventionsError: they are missing, or others than where the audit was started.
        """
        ...


def versions_here() -> dict[str, str]:
    """What a process must share with another that works for it."""
    found = {"auto-interventions": __version__, "python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def introduce_here(expected: dict[str, str], source: str | None) -> Facts:
    """In a worker: the same versions, and the same source files of this package where `source` is their fingerprint.

    Raises:
        BadInput: others.
    """
    for package, wanted in expected.items():
        if (own := versions_here()[package]) != wanted:
            raise BadInput(
                f"the worker on {socket.gethostname()} has {package} {own}, but the audit was started with {wanted}; install the same "
                "there (requirements.lock)"
            )
    if source is not None and source != source_fingerprint():
        raise BadInput(
            f"the worker on {socket.gethostname()} has other source files of auto-interventions {__version__} than where the audit was "
            "started; install the same there, and start the worker anew"
        )
    from auto_interventions.embedding.encoder import best_dtype
    from auto_interventions.subjects.loading import device

    return Facts(device().type, best_dtype())


def check_here(place: str, key: str, nonce: bytes, needs: Sequence[Need]) -> None:
    """In a worker: the store at `place` holds what the audit has just written there, and the models' files are here.

    Raises:
        BadInput: another store, or none; files that are missing or differ.
        Interrupted: a Redis that does not answer there.
    """
    host = socket.gethostname()
    try:
        (found,) = store_here(place).get_many([key])
    except AutoInterventionsError as error:
        raise type(error)(f"the worker on {host} cannot use the store: {error}") from error
    if found != nonce:
        raise BadInput(
            f"the worker on {host} sees another store at {place} than where the audit was started; use `store: redis://HOST:6379/0` with "
            "an address that all machines reach (docs/runners.md)"
        )
    for need in needs:
        try:
            need.check()
        except AutoInterventionsError as error:
            raise type(error)(f"the worker on {host} lacks a model: {error}") from error


def meet(crew: Crew) -> Facts:
    """Whether the workers can work for this process at all, and what they compute on.

    Raises:
        BadInput: versions differ, or some have a GPU and some have none.
    """
    # Workers that are this process's children read the very files that it read.
    source = None if crew.local else source_fingerprint()
    told = crew.require(introduce_here, versions_here(), source)
    devices = sorted({facts.device for facts in told.values()})
    if len(devices) > 1:
        raise BadInput(
            f"the workers compute on {' and '.join(devices)}, whose texts differ in the last bits; start those with a GPU with "
            "`--resources GPU=1`, so that only they are used"
        )
    formats = {facts.encoder for facts in told.values()}
    return Facts(devices[0], formats.pop() if len(formats) == 1 else "fp32")


def equip(crew: Crew, store: Store, location: str, needs: Sequence[Need]) -> Callable[[], None]:
    """Checks that every worker sees this very store and these files, now and those that come later, until what is returned is called.

    Raises:
        BadInput, Interrupted: see `check_here`.
    """
    nonce = uuid.uuid4().hex
    key = ContentKeys("check", 1, "0" * 12).of(nonce)
    store.put_many({key: nonce.encode()})
    given = (place_of(location), key, nonce.encode(), tuple(needs))

    def end() -> None:
        crew.release(check_here, *given)
        store.delete_many([key])

    try:
        crew.require(check_here, *given)
    except BaseException:
        with suppress(AutoInterventionsError):
            end()
        raise
    return end
