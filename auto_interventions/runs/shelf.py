"""Finished runs in the store: the same audit asked for again, anywhere, gets its files instead of being computed.

A run is kept as a *manifest* under the run's key (which files, their sha256, what they cost) and the files in pieces, each under the
digest of its content: the same piece of two runs is kept once. Whatever is missing or damaged makes the run a miss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from auto_interventions.runs.directory import RunDirectory
from auto_interventions.stores import Store
from auto_interventions.stores.keys import ContentKeys
from auto_interventions.stores.sealed import seal, unseal

PIECE_BYTES = 4 << 20  # a store takes and gives values whole


@dataclass(frozen=True, slots=True)
class KeptRun:
    """What the store holds of a finished run: `files` by name as (sha256, keys of pieces), and `facts` about it (JSON-native)."""

    files: Mapping[str, tuple[str, tuple[str, ...]]]
    facts: Mapping[str, object]


def keep_run(store: Store, key: str, directory: RunDirectory, facts: Mapping[str, object]) -> int:
    """Puts the files of a finished run into `store`; how many bytes. The manifest is written last, so a kill leaves none."""
    model = key.split("/")[2]
    files: dict[str, tuple[str, list[str]]] = {}
    total = 0
    for path in sorted(path for path in directory.path.iterdir() if path.is_file() and not path.name.startswith(".")):
        digest, keys = hashlib.sha256(), list[str]()
        with path.open("rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
                keys.append(ContentKeys("file", 1, model).of(hashlib.sha256(piece).hexdigest()))
                store.put_many({keys[-1]: piece})
                total += len(piece)
        files[path.name] = (digest.hexdigest(), keys)
    store.put_many({key: seal({"files": files, "facts": dict(facts)})})
    return total


def find_run(store: Store, key: str) -> KeptRun | None:
    """The run kept under `key`; None where there is none, or its manifest cannot be read."""
    manifest = unseal(store.get_many([key])[0])
    try:
        held = cast(dict[str, dict[str, tuple[str, list[str]]]], manifest)
        return KeptRun({str(name): (str(sha), tuple(keys)) for name, (sha, keys) in held["files"].items()}, dict(held["facts"]))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def restore_run(store: Store, run: KeptRun, directory: RunDirectory) -> bool:
    """Writes the files of `run` into `directory`; False, and nothing is written, where a piece is missing or damaged.

    Two passes, so that a run is never restored in part: the first reads and checks, the second reads again and writes. One piece is in
    memory at a time.
    """
    if not all(_whole(_pieces(store, keys), sha) for sha, keys in run.files.values()):
        return False
    for name, (_, keys) in run.files.items():
        directory.write_pieces(name, _pieces(store, keys))
    return True


def _pieces(store: Store, keys: tuple[str, ...]) -> Iterator[bytes]:
    for key in keys:
        yield store.get_many([key])[0] or b""


def _whole(pieces: Iterator[bytes], sha: str) -> bool:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest() == sha
