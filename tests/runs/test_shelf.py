"""Finished runs in the store: whole or not at all, whatever the store lost or bent."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_interventions.runs import RunDirectory, shelf
from auto_interventions.runs.shelf import find_run, keep_run, restore_run
from auto_interventions.stores import Store, open_store
from auto_interventions.stores.keys import ContentKeys
from auto_interventions.stores.sealed import seal

KEY = ContentKeys("run", 1, 64 * "a").of("an audit")
FILES = {"findings.json": b"{}", "texts.parquet": bytes(range(256)) * 50, "empty": b""}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def kept(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run of three files, one of them in several pieces, in the store; the keys of its pieces."""
    monkeypatch.setattr(shelf, "PIECE_BYTES", 4096)
    folder = tmp_path / "run"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / ".texts.parquet.tmp").write_bytes(b"half")
    keep_run(store, KEY, RunDirectory(folder), {"seconds": 3.5})
    run = find_run(store, KEY)
    assert run is not None
    return [key for _, keys in run.files.values() for key in keys]


def test_a_kept_run_comes_back_byte_for_byte(store: Store, kept: list[str], tmp_path: Path) -> None:
    run = find_run(store, KEY)
    assert run is not None
    assert run.facts == {"seconds": 3.5}
    assert len(kept) == 5
    there = tmp_path / "there"
    there.mkdir()
    assert restore_run(store, run, RunDirectory(there))
    assert {path.name: path.read_bytes() for path in there.iterdir()} == FILES


@pytest.mark.parametrize("damage", [None, b"", b"bent"])
def test_a_lost_or_bent_piece_makes_the_run_a_miss_and_writes_nothing(
    store: Store, kept: list[str], tmp_path: Path, damage: bytes | None
) -> None:
    held = store.get_many([kept[-1]])[0]
    assert held is not None
    store.put_many({kept[-1]: damage if damage is not None else held[:-1]})
    run = find_run(store, KEY)
    assert run is not None
    there = tmp_path / "there"
    there.mkdir()
    assert not restore_run(store, run, RunDirectory(there))
    assert not list(there.iterdir())


@pytest.mark.parametrize("manifest", [b"", b"foreign", seal(3), seal({}), seal({"files": {"a": 1}, "facts": {}}), seal({"files": []})])
def test_a_manifest_that_is_none_is_a_miss(store: Store, manifest: bytes) -> None:
    assert find_run(store, KEY) is None
    store.put_many({KEY: manifest})
    assert find_run(store, KEY) is None
