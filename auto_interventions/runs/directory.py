"""Writing a run directory.

Every file is written beside its place and then moved there, so that a reader never sees half of one. A directory belongs to
one audit: the fingerprint of its configuration, less what cannot change an answer.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auto_interventions.config import AuditConfig
from auto_interventions.errors import Interrupted, RunDirectoryError
from auto_interventions.fingerprint import fingerprint

RUN_SCHEMA = "auto-interventions/run@1"
# How a language model is reached, how fast, at what price, changes none of its replies.
_REACHING = {"concurrency", "requests_per_minute", "tokens_per_minute", "timeout_seconds", "retries", "price", "key_block"}
# Where vectors are kept, and how much money or time may be spent, changes no answer of a run that ends by itself.
NOT_IDENTITY: dict[str, Any] = {
    "store": True,
    "budget": True,
    "base": {"chat": _REACHING},
    "intervention": {"chat": _REACHING},
    "hypotheses": {"chat": _REACHING},
    "judge": {"chat": _REACHING, "strong_chat": _REACHING},
}


def identity(config: AuditConfig) -> str:
    """Fingerprint of what makes two audits the same audit."""
    return fingerprint("audit", config.model_dump(mode="json", exclude=NOT_IDENTITY))


def check_folder(path: Path, ours: Callable[[str], bool], owner: str) -> None:
    """Nothing stands in the way of a folder of several runs.

    Args:
        ours: whether a file or folder of that name is one that we write there.
        owner: whose folder it is, as "a comparison's".

    Raises:
        RunDirectoryError: `path` is a file, or holds something else.
    """
    if path.is_file():
        raise RunDirectoryError(f"{path}: is a file; give --out a folder that does not exist yet")
    strange = sorted(held.name for held in path.iterdir() if not ours(held.name)) if path.is_dir() else []
    if strange:
        raise RunDirectoryError(f"{path}: holds `{strange[0]}`, which is not {owner}; give --out an empty or new folder")


class RunDirectory:
    """The folder of one audit. Make one with `claim` (to write) or `open` (to go on writing)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def check(cls, path: Path, config: AuditConfig) -> bool:
        """Whether `path` already holds this very audit (a run to resume or repeat); writes nothing.

        Raises:
            RunDirectoryError: it holds another audit, or files that are no audit's.
        """
        if path.is_file():
            raise RunDirectoryError(f"{path}: is a file; give --out a folder that does not exist yet")
        if not path.exists() or not any(path.iterdir()):
            return False
        run = _read_json(path / "run.json")
        if run is None or run.get("schema") != RUN_SCHEMA:
            raise RunDirectoryError(f"{path}: holds files that are not an audit's; give --out an empty or new folder")
        fingerprints = run.get("fingerprints")
        if not isinstance(fingerprints, dict) or fingerprints.get("config") != identity(config):
            raise RunDirectoryError(
                f"{path}: holds another audit (`{run.get('name')}`, or this one with other settings); "
                "give --out another folder, or delete this one"
            )
        return True

    @classmethod
    def claim(cls, path: Path, config: AuditConfig) -> RunDirectory:
        """Takes `path` for this audit, making the folder; a folder that holds this very audit is resumed.

        Raises:
            RunDirectoryError: it holds another audit, other files, or cannot be written.
        """
        cls.check(path, config)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(f"{path}: cannot be made ({error.strerror}); give --out a folder that you may write to") from error
        return cls(path)

    def write_json(self, name: str, value: Mapping[str, object]) -> None:
        """Writes one JSON file atomically.

        Raises:
            Interrupted: the disk is full or the folder cannot be written any more.
        """
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        self._write(name, text.encode("utf-8", "backslashreplace"))

    def read_json(self, name: str) -> dict[str, object]:
        """The JSON object in one of the files; empty where it cannot be read."""
        return _read_json(self.path / name) or {}

    def write_pieces(self, name: str, pieces: Iterable[bytes]) -> None:
        """Writes one file atomically from its consecutive `pieces`."""
        with self._replacing(name) as temporary, temporary.open("wb") as file:
            file.writelines(pieces)

    def write_table(self, name: str, columns: Mapping[str, Sequence[object] | NDArray[Any]]) -> None:
        """Writes one Parquet file of equally long `columns` atomically. Lone surrogates, which it cannot hold, become their escapes."""
        safe = {
            key: values if isinstance(values, np.ndarray) else [_encodable(value) for value in values] for key, values in columns.items()
        }
        with self._replacing(name) as temporary:
            pd.DataFrame(safe).to_parquet(temporary, index=False)

    def write_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes named numeric arrays as one .npz file atomically; it is read without pickle.

        Raises:
            ValueError: an array of objects.
        """
        for key, values in arrays.items():
            if values.dtype.hasobject:
                raise ValueError(f"{name}: `{key}` holds objects, which only pickle could write")
        with self._replacing(name) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def write_text(self, name: str, text: str) -> None:
        """Writes one UTF-8 file atomically."""
        self._write(name, text.encode("utf-8", "backslashreplace"))

    def _write(self, name: str, data: bytes) -> None:
        with self._replacing(name) as temporary:
            temporary.write_bytes(data)

    def _replacing(self, name: str) -> _Replacement:
        return _Replacement(self.path / name)


class _Replacement:
    """Context: a temporary path that becomes `target` when the block ends well, and vanishes when it does not."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.temporary = target

    def __enter__(self) -> Path:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.target.parent, prefix=f".{self.target.name}.")
        except OSError as error:
            raise _unwritable(self.target, error) from error
        os.close(handle)
        # mkstemp makes private files; a report is there to be read by others too.
        Path(name).chmod(0o644)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.temporary.replace(self.target)
            return
        self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(self.target, error) from error


def _unwritable(target: Path, error: OSError) -> Interrupted:
    return Interrupted(f"{target}: cannot be written ({error.strerror}); free disk space or check the folder's rights, then start again")


def _encodable(value: object) -> object:
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def _read_json(path: Path) -> dict[str, object] | None:
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else None
