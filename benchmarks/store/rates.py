"""Vectors a second of each adapter beside a bare client, in the same run; memory of the process on the way.

Bare is what a careful person would write without us: redis-py (with hiredis) sending the same keys and values in one MSET or MGET a batch;
sqlite3 with executemany and SELECT … IN on the same table with the same settings. Making keys and vectors is in neither time.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis

from auto_interventions.stores import open_store
from benchmarks.store.data import BATCH, batches, memory, say
from tests.redis_server import RedisServer, servers_found

Write = Callable[[dict[str, bytes]], object]
Read = Callable[[list[str]], list[bytes | None]]
Opened = tuple[Write, Read, Callable[[], None]]


@dataclass
class Rates:
    """Vectors a second of every repeat."""

    written: list[float]
    read: list[float]

    def best(self) -> tuple[float, float]:
        """Of writing and of reading."""
        return max(self.written), max(self.read)


def clock(count: int, *stores: tuple[Opened, Rates]) -> None:
    """Writes `count` vectors to each store, then reads them; they take turns with every batch, so that a busy machine hits all alike."""
    for what in ("written", "read"):
        spent = [0.0] * len(stores)
        for number, items in enumerate(batches(count)):
            keys = list(items)
            for turn in range(len(stores)):
                which = (turn + number) % len(stores)
                (write, read, _), _ = stores[which]
                values: object = None
                begun = time.perf_counter()
                if what == "written":
                    write(items)
                else:
                    values = read(keys)
                spent[which] += time.perf_counter() - begun
                if what == "read" and values != list(items.values()):
                    raise AssertionError("another value than was written")
        for seconds, (_, rates) in zip(spent, stores, strict=True):
            getattr(rates, what).append(count / seconds)


def bare_sqlite(folder: Path) -> Opened:
    """sqlite3 without us."""
    connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    for setting in ("page_size = 16384", "journal_mode = WAL", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, written INTEGER NOT NULL)"
    )

    def write(items: dict[str, bytes]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        rows = ((key, value, 0) for key, value in items.items())
        connection.executemany("INSERT OR REPLACE INTO entries (key, value, written) VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")

    def read(keys: list[str]) -> list[bytes | None]:
        found = dict(connection.execute(f"SELECT key, value FROM entries WHERE key IN ({','.join('?' * len(keys))})", keys))
        return [found.get(key) for key in keys]

    return write, read, connection.close


def bare_redis(client: redis.Redis) -> Opened:
    """redis-py without us."""

    def write(items: dict[str, bytes]) -> None:
        pipeline = client.pipeline(transaction=False)
        pipeline.mset(items)
        pipeline.execute()

    def read(keys: list[str]) -> list[bytes | None]:
        pipeline = client.pipeline(transaction=False)
        pipeline.mget(keys)
        return pipeline.execute()[0]

    return write, read, client.close


def opened(location: str) -> Opened:
    """Our store."""
    store = open_store(location)
    return store.put_many, store.get_many, store.close


def compare_embedded(count: int, repeats: int) -> tuple[Rates, Rates]:
    """Ours and bare, each in a new folder."""
    ours, bare = Rates([], []), Rates([], [])
    for _ in range(repeats):
        folder = Path(tempfile.mkdtemp())
        sides = (bare_sqlite(folder), bare), (opened(str(folder / "ours")), ours)
        clock(count, *sides)
        for (_, _, close), _ in sides:
            close()
        shutil.rmtree(folder)
    return ours, bare


def compare_redis(program: Path, count: int, repeats: int, unix: bool) -> tuple[Rates, Rates]:
    """Ours and bare, in one server that is empty at first."""
    ours, bare = Rates([], []), Rates([], [])
    server = RedisServer(program).start()
    given = {"unix_socket_path": str(server.socket)} if unix else {"host": "127.0.0.1", "port": server.port}
    try:
        for _ in range(repeats):
            with server.client() as client:
                client.flushall()
            client = redis.Redis(protocol=2, **given)  # pyright: ignore[reportArgumentType]
            clock(count, (bare_redis(client), bare), (opened(server.unix_url if unix else server.url), ours))
            client.close()
    finally:
        server.stop()
    return ours, bare


def compare(count: int, repeats: int) -> None:
    """Prints the table."""
    say(f"\nVectors a second (best of {repeats}), {count:,} × 384 float32, batches of {BATCH}; ratios: median\n")
    say("| store | written | bare | | read | bare | |\n| --- | --- | --- | --- | --- | --- | --- |")
    row("embedded (SQLite)", *compare_embedded(count, repeats))
    for name, program in servers_found().items():
        row(f"{name}, TCP", *compare_redis(program, count, repeats, unix=False))
        row(f"{name}, Unix socket", *compare_redis(program, count, repeats, unix=True))


def row(name: str, ours: Rates, bare: Rates) -> None:
    """Prints the best rates, and the median of the repeats' ratios."""
    ratios = [
        statistics.median(one / other for one, other in zip(getattr(ours, kind), getattr(bare, kind), strict=True))
        for kind in ("written", "read")
    ]
    (written, read), (bare_written, bare_read) = ours.best(), bare.best()
    say(
        f"| {name} | {written:,.0f} | {bare_written:,.0f} | {ratios[0]:.2f} | {read:,.0f} | {bare_read:,.0f} | {ratios[1]:.2f} |",
    )


def stream(location: str, count: int) -> None:
    """Writes and reads as an audit does; prints this process's memory on the way. Run in a process of its own."""
    store = open_store(location)
    marks = {count // 4, count // 2, count}
    most = mapped = 0.0
    for what in ("written", "read"):
        done = 0
        for items in batches(count):
            if what == "written":
                store.put_many(items)
            else:
                store.get_many(list(items))
            done += len(items)
            most, mapped = (max(one, now) for one, now in zip((most, mapped), memory(), strict=True))
            if done in marks:
                say(f"{what} {done:,}: {memory()[0]:.0f}", end="; ")
    say(f"at most {most:.0f}, and {mapped:.0f} of files mapped")


def memories(count: int) -> None:
    """Prints how much memory a process needs that writes and reads everything."""
    say(f"\nMemory (MB) of a process that writes, then reads {count:,} vectors ({count * 1552 / 2**20:.0f} MB), batch by batch\n")
    folder = Path(tempfile.mkdtemp())
    alone("embedded: ", str(folder), count)
    shutil.rmtree(folder)
    for name, program in list(servers_found().items())[:1]:
        server = RedisServer(program).start()
        try:
            alone(f"{name}: ", server.url, count)
        finally:
            server.stop()


def alone(name: str, location: str, count: int) -> None:
    """`stream` in a process of its own."""
    say(f"- {name}", end="")
    subprocess.run([sys.executable, "-m", "benchmarks.store", "stream", location, str(count)], check=True)
