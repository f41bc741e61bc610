"""Engines that could carry the embedded store, with the same vectors: what `docs/store.md` says of the choice.

LMDB and DuckDB are no dependencies: `.venv/bin/uv pip install -c requirements.lock -e '.[engines]'`. Each engine writes a batch in one
transaction that survives a kill of the process (not of the machine, where an engine offers the difference).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.store.data import say
from benchmarks.store.rates import Opened, Rates, bare_sqlite, clock, opened

Engine = Callable[[Path], Opened]


def lmdb(folder: Path, sync: bool = False) -> Opened:
    """LMDB; without `sync` the last transactions may be lost with the machine, as in SQLite's WAL with synchronous = NORMAL."""
    import lmdb as engine  # pyright: ignore[reportMissingImports]

    database = engine.open(str(folder), map_size=2**36, sync=sync, writemap=False)

    def write(items: dict[str, bytes]) -> None:
        with database.begin(write=True) as transaction:
            for key, value in items.items():
                transaction.put(key.encode(), value)

    def read(keys: list[str]) -> list[bytes | None]:
        with database.begin() as transaction:
            return [transaction.get(key.encode()) for key in keys]

    return write, read, database.close


def lmdb_sync(folder: Path) -> Opened:
    """LMDB as it comes."""
    return lmdb(folder, sync=True)


def duckdb(folder: Path) -> Opened:
    """DuckDB; only one process may write to its file."""
    import duckdb as engine  # pyright: ignore[reportMissingImports]
    import pandas as pd

    connection = engine.connect(str(folder / "store.duckdb"))
    connection.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB, written BIGINT)")

    def write(items: dict[str, bytes]) -> None:
        frame = pd.DataFrame({"key": list(items), "value": list(items.values()), "written": 0})
        connection.execute("INSERT OR REPLACE INTO entries SELECT * FROM frame")
        del frame

    def read(keys: list[str]) -> list[bytes | None]:
        found = dict(connection.execute("SELECT key, value FROM entries WHERE key IN (SELECT unnest(?))", [keys]).fetchall())
        return [found.get(key) for key in keys]

    return write, read, connection.close


def files(folder: Path) -> Opened:
    """A file a value."""

    def path(key: str) -> Path:
        return folder / key[-64:-62] / key[-62:]

    def write(items: dict[str, bytes]) -> None:
        for key, value in items.items():
            path(key).parent.mkdir(exist_ok=True)
            path(key).write_bytes(value)

    def read(keys: list[str]) -> list[bytes | None]:
        return [path(key).read_bytes() for key in keys]

    return write, read, lambda: None


ENGINES: dict[str, Engine] = {
    "SQLite, as ours is": lambda folder: opened(str(folder)),
    "SQLite, bare": bare_sqlite,
    "LMDB, no sync": lmdb,
    "LMDB, sync": lmdb_sync,
    "DuckDB": duckdb,
    "a file a value": files,
}


def compare(count: int, repeats: int) -> None:
    """Prints the table; engines that are not installed are left out."""
    say(f"\nVectors a second (best of {repeats}) and MB on disk, {count:,} × 384 float32, batches of 1000\n")
    say("| engine | written | read | MB |\n| --- | --- | --- | --- |")
    for name, engine in ENGINES.items():
        rates, size = Rates([], []), 0.0
        for _ in range(repeats):
            folder = Path(tempfile.mkdtemp())
            try:
                database = engine(folder)
            except ImportError as error:
                say(f"| {name} | not installed: {error.name} | | |")
                break
            clock(count, (database, rates))
            size = sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 2**20
            database[2]()
            shutil.rmtree(folder)
        else:
            written, read_rate = rates.best()
            say(f"| {name} | {written:,.0f} | {read_rate:,.0f} | {size:,.0f} |")
