"""The embedded store: one SQLite file in a folder, safe with several threads and processes.

SQLite in WAL mode: readers never wait for the writer, writers wait for each other (busy timeout), a kill loses at most the
transaction in flight. Chosen by measurement, 20,000 × 384 float32 in batches of 1000 on two cores, vectors/s written | read:
rowid table with a UNIQUE text key and pages of 16 KiB 105k | 316k; the same with SQLite's own 4 KiB pages 71k | 210k; without
rowid 23k | 300k. The key stays readable (and not a bare digest, 117k | 270k) so that entries can be counted by kind.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from auto_interventions.errors import AutoInterventionsError, Interrupted, RunDirectoryError
from auto_interventions.stores.store import Entry

SUFFIX = ".sqlite3"
FILE_NAME = f"store{SUFFIX}"
LAYOUT = 1
_APPLICATION = 0x41495331  # "AIS1": tells our database from any other program's
_PAGE_BYTES = 16_384
_MAPPED_BYTES = 2**31 - 2**16  # SQLite's own limit; pages are read where they lie: half the time for values in random order
_BUSY_SECONDS = 60.0
_KEYS_A_QUERY = 1_000 if sqlite3.sqlite_version_info >= (3, 32) else 900  # older ones take at most 999 parameters
_ENTRIES_A_QUERY = 2_000  # between two queries a writer may clear its log: a listing of minutes must not make it grow
_ROWS_A_TRANSACTION = 10_000  # a tenth of a second: other writers need not wait longer

_TABLE = """CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, written INTEGER NOT NULL)"""
_WRITE = """INSERT INTO entries (key, value, written) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, written = excluded.written"""

_LIST_ALL = "SELECT id, key, length(value), written FROM entries WHERE id > ? ORDER BY id LIMIT ?"
_LIST_FROM = "SELECT key, length(value), written FROM entries WHERE key {} ? ORDER BY key LIMIT ?"


def file_in(place: Path) -> Path:
    """The database file that `place` means: itself where it ends in .sqlite3 and is no folder, else store.sqlite3 in the folder."""
    return place if place.suffix == SUFFIX and not place.is_dir() else place / FILE_NAME


class EmbeddedStore:
    """A `Store` in `place`/store.sqlite3, or in the file `place` where that ends in .sqlite3 and is no folder.

    Connections are pooled: a thread takes one for the length of a call. A forked or unpickled copy opens its own.

    Raises:
        RunDirectoryError: the folder cannot be made or written; the database is damaged, newer, or another program's.
        Interrupted: the disk is full, or another process has blocked the database for a minute.
    """

    def __init__(self, place: Path) -> None:
        """Opens the store, making folder and database where they are missing, and checks the database."""
        self.path = file_in(place.resolve())
        self._idle: list[sqlite3.Connection] = []
        self._size = 0
        self._process = os.getpid()
        self._inherited: list[sqlite3.Connection] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(
                f"{place}: the store's folder cannot be made ({error.strerror}); give `store` another folder"
            ) from error
        with self._connection():
            pass

    def __reduce__(self) -> tuple[type[EmbeddedStore], tuple[Path]]:
        """A worker gets the path and opens its own connections."""
        return type(self), (self.path if self.path.name != FILE_NAME else self.path.parent,)

    @property
    def location(self) -> str:
        """See `Store.location`: the database file."""
        return str(self.path)

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Store.get_many`."""
        found: dict[str, bytes] = {}
        with self._connection() as connection:
            for chunk in _chunks(dict.fromkeys(keys), _KEYS_A_QUERY):
                found.update(connection.execute(f"SELECT key, value FROM entries WHERE key IN ({_marks(chunk)})", chunk))
        return [found.get(key) for key in keys]

    def put_many(self, items: Mapping[str, bytes], written: int | None = None) -> None:
        """See `Store.put_many`."""
        time_of_all = int(time.time()) if written is None else written
        with self._connection() as connection:
            for keys in _chunks(items, _ROWS_A_TRANSACTION):
                with _transaction(connection):
                    connection.executemany(_WRITE, ((key, items[key], time_of_all) for key in keys))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """See `Store.entries`. Values stay on the disk: SQLite tells a length from the row's head."""
        return self._by_key(prefix) if prefix else self._by_age()

    def delete_many(self, keys: Iterable[str]) -> int:
        """See `Store.delete_many`."""
        deleted = 0
        for chunk in _chunks(keys, _KEYS_A_QUERY):
            # A connection for each chunk: `keys` may be listing this very store on another one.
            with self._connection() as connection, _transaction(connection):
                deleted += connection.execute(f"DELETE FROM entries WHERE key IN ({_marks(chunk)})", chunk).rowcount
        return deleted

    def compact(self) -> None:
        """See `Store.compact`. Needs free disk of the size of what is left; other processes wait meanwhile."""
        with self._connection() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """See `Store.close`."""
        while self._idle:
            self._idle.pop().close()

    def _by_age(self) -> Iterator[Entry]:
        """All entries in the order of the file: no page is read twice."""
        last = -1
        while True:
            with self._connection() as connection:
                rows = connection.execute(_LIST_ALL, (last, _ENTRIES_A_QUERY)).fetchall()
            yield from (Entry(key, size, written) for _, key, size, written in rows)
            if len(rows) < _ENTRIES_A_QUERY:
                return
            last = rows[-1][0]

    def _by_key(self, prefix: str) -> Iterator[Entry]:
        """The entries under `prefix`, through the index of keys."""
        last, comparison = prefix, ">="
        while True:
            with self._connection() as connection:
                rows = connection.execute(_LIST_FROM.format(comparison), (last, _ENTRIES_A_QUERY)).fetchall()
            for key, size, written in rows:
                if not key.startswith(prefix):
                    return
                yield Entry(key, size, written)
            if len(rows) < _ENTRIES_A_QUERY:
                return
            last, comparison = rows[-1][0], ">"

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        """One connection of the pool; every fault of the database becomes one of our sentences."""
        self._leave_to_parent()
        try:
            connection = self._take()
            try:
                yield connection
            except sqlite3.Error:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise self._sentence(error) from error
        self._size = self._file_size()
        self._idle.append(connection)  # list.append and pop are atomic: no lock needed

    def _take(self) -> sqlite3.Connection:
        if self._file_size() < self._size:
            # Compacted by another process, or cut by a broken disk: a connection that has mapped what is no longer there would be killed by
            # the kernel (SIGBUS) for reading it. A new one maps what there is, and says if that is no whole database.
            self.close()
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _file_size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def _leave_to_parent(self) -> None:
        """After a fork the parent's connections must be neither used nor closed here (sqlite.org/howtocorrupt.html, 2.6)."""
        if self._process != os.getpid():
            self._inherited, self._idle, self._process = [*self._inherited, *self._idle], [], os.getpid()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
            application, layout = _number(connection, "application_id"), _number(connection, "user_version")
            if (application, layout) != (_APPLICATION, LAYOUT):
                self._prepare(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
            # Touches the file's last pages: a truncated file is told now, not after an hour of generating.
            connection.execute("SELECT key, value FROM entries ORDER BY id DESC LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Makes the table in a new file; several processes may try at once."""
        # One reading of one moment: another process may be making the table between two.
        with _transaction(connection, "BEGIN"):
            tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            application, layout = _number(connection, "application_id"), _number(connection, "user_version")
        if application == _APPLICATION and layout > LAYOUT:
            raise RunDirectoryError(
                f"{self.path}: was written by a newer version of auto-interventions (layout {layout}, this one knows {LAYOUT}); "
                "update auto-interventions or give `store` another folder"
            )
        if application not in (0, _APPLICATION) or (application == 0 and tables):
            raise RunDirectoryError(f"{self.path}: is a database of another program; give `store` another folder")
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        _until_free(connection, "PRAGMA journal_mode = WAL")
        with _transaction(connection):
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {LAYOUT}")

    def _sentence(self, error: sqlite3.Error) -> AutoInterventionsError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return Interrupted(f"{self.path}: the disk is full; what was written is kept: free some space and start again")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Interrupted(
                f"{self.path}: another process has blocked the store for {_BUSY_SECONDS:.0f} seconds; end it and start again"
            )
        if code == sqlite3.SQLITE_IOERR:
            return Interrupted(f"{self.path}: the disk failed ({error}); check its space and health, then start again")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return RunDirectoryError(f"{self.path}: cannot be opened for writing ({error}); give `store` a folder that you may write")
        return RunDirectoryError(
            f"{self.path}: the store is damaged or no store at all ({error}); move the file away: what it held will be computed again"
        )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Generator[None]:
    """BEGIN IMMEDIATE takes the writers' turn at once: waiting later could deadlock. Readers need a plain BEGIN."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _until_free(connection: sqlite3.Connection, statement: str) -> None:
    """Switching to WAL needs the file alone and does not heed the busy timeout."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _marks(chunk: Sequence[str]) -> str:
    return ",".join("?" * len(chunk))


def _chunks(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(keys)
    while chunk := list(islice(remaining, size)):
        yield chunk
