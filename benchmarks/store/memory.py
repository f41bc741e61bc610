"""Memory of an audit's own way of reading vectors: a table of all of them, filled from the store (`embedding.scratch`)."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from auto_interventions.embedding import StoredEncoder, joined, room_for
from auto_interventions.fingerprint import fingerprint
from auto_interventions.records import FloatMatrix
from auto_interventions.stores import open_store
from auto_interventions.stores.vectors import pack_many

DIMENSION = 384
_BATCH = 10_000
_MEGABYTE = 1024.0


class Known:
    """An encoder that must never be asked: all its vectors are in the store."""

    dimension = DIMENSION
    fingerprint = fingerprint("benchmark of memory")

    def encode(self, texts: object, progress: object = None) -> FloatMatrix:
        """Never called."""
        raise AssertionError("a vector was not in the store")


def compare(vectors: int) -> None:
    """Prints, for half as many and as many, the peak of anonymous memory beyond the texts' own, and the pages of files beside it."""
    heads = ("vectors", "as one array, MB", "anonymous memory beyond the texts, MB", "pages of files, MB", "vectors a second")
    sys.stdout.write(f"| {' | '.join(heads)} |\n{'| --- ' * len(heads)}|\n")
    for count in (vectors // 2, vectors):
        done = subprocess.run([sys.executable, "-m", "benchmarks.store", "table", str(count)], check=True, capture_output=True, text=True)
        sys.stdout.write(done.stdout)


def table(count: int) -> None:
    """One row, in a process of its own: fills a store, then reads all of it into one table and that into another."""
    texts = [f"text number {number}" for number in range(count)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(str(folder / "store"))
        encoder = StoredEncoder(Known(), store)
        random = np.random.default_rng(0)
        for begin in range(0, count, _BATCH):
            part = texts[begin : begin + _BATCH]
            rows = random.standard_normal((len(part), DIMENSION), dtype=np.float32)
            store.put_many(dict(zip((encoder.key(text) for text in part), pack_many(rows), strict=True)))
        del rows
        before, peak, files = _memory()[0], 0.0, 0.0
        started = time.perf_counter()

        def look(_: int) -> None:
            nonlocal peak, files
            anonymous, mapped = _memory()
            peak, files = max(peak, anonymous), max(files, mapped)

        room = room_for(count, DIMENSION, folder)
        for begin in range(0, count, 100_000):  # rounds
            encoder.encode(texts[begin : begin + 100_000], look, room[begin : begin + 100_000])
            look(0)
        rate = count / (time.perf_counter() - started)
        joined([room[: count // 2], room[count // 2 :]], folder)
        look(0)
        sys.stdout.write(f"| {count:,} | {count * DIMENSION * 4 / 1e6:,.0f} | {peak - before:,.0f} | {files:,.0f} | {rate:,.0f} |\n")


def _memory() -> tuple[float, float]:
    """Megabytes of anonymous memory and of file pages of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    anonymous, mapped = (int(re.findall(rf"{field}:\s+(\d+)", status)[0]) for field in ("RssAnon", "RssFile"))
    return anonymous / _MEGABYTE, mapped / _MEGABYTE
