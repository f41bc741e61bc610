"""A hit in the store beside the seeds' cache: a dictionary from `hash(text)` to the vector, in one process.

Each does the whole of what a caller wants: texts in, a matrix out.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from auto_interventions.embedding.stored import StoredEncoder
from auto_interventions.fingerprint import fingerprint
from auto_interventions.stores import Store, open_store
from auto_interventions.stores.keys import ContentKeys
from auto_interventions.stores.vectors import pack_many, unpack_many
from benchmarks.store.data import BATCH, DIMENSION, say, texts
from tests.redis_server import RedisServer, servers_found

KINDS = ("TCP", "Unix socket")


class Known:
    """An encoder that must not be asked."""

    dimension = DIMENSION
    fingerprint = fingerprint("benchmark")

    def encode(self, texts: object, progress: object = None) -> np.ndarray:
        raise AssertionError("a miss")


class Noise(Known):
    """An encoder that makes something up."""

    def encode(self, texts: list[str], progress: object = None) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        return np.random.default_rng(len(texts)).standard_normal((len(texts), DIMENSION), dtype=np.float32)


def microseconds(known: list[str], rounds: int, *works: Callable[[list[str]], object]) -> list[float]:
    """Of one hit of each of `works`, in batches of 1000 random texts, taking turns; the median batches."""
    chance = np.random.default_rng(1)
    spent = np.zeros((rounds, len(works)))
    for number in range(rounds):
        for turn in range(len(works)):
            which = (number + turn) % len(works)
            # Copies, as they come from a reader: a str remembers its hash, which would be a present to the dictionary.
            batch = [known[row].encode().decode() for row in chance.integers(0, len(known), BATCH)]
            begun = time.perf_counter()
            works[which](batch)
            spent[number, which] = (time.perf_counter() - begun) / BATCH * 1e6
    return np.median(spent, axis=0).tolist()


def steps(store: Store, known: list[str], rounds: int) -> list[float]:
    """Microseconds a hit of the steps that ours takes: key, store, vector."""
    keys = ContentKeys("vector", 1, fingerprint("steps"))
    store.put_many({keys.of(text): value for text, value in zip(known[:20_000], pack_many(Noise().encode(known[:20_000])), strict=True)})
    chance = np.random.default_rng(2)
    spent = np.zeros((rounds, 3))
    for number in range(rounds):
        batch = [known[row] for row in chance.integers(0, 20_000, BATCH)]
        t0 = time.perf_counter()
        named = [keys.of(text) for text in batch]
        t1 = time.perf_counter()
        values = store.get_many(named)
        t2 = time.perf_counter()
        unpack_many(values, DIMENSION)
        spent[number] = np.diff([t0, t1, t2, time.perf_counter()]) / BATCH * 1e6
    return np.median(spent, axis=0).tolist()


def compare(count: int, rounds: int) -> None:
    """Prints the table, then what a restart and another process find."""
    known = texts(count)
    vectors = np.random.default_rng(0).standard_normal((count, DIMENSION), dtype=np.float32)
    cache = {hash(text): vector for text, vector in zip(known, [vector.copy() for vector in vectors], strict=True)}

    def dictionary(batch: list[str]) -> np.ndarray:
        return np.stack([cache[hash(text)] for text in batch])

    say(f"\nMicroseconds a hit, {count:,} vectors known, batches of {BATCH} in random order, in turns; the median batch of {rounds}\n")
    say("| store | texts to matrix | a dictionary by `hash(text)` | times | of it: key | store | vector |")
    say("| --- | --- | --- | --- | --- | --- | --- |")
    folder = Path(tempfile.mkdtemp())
    places = [("embedded", str(folder), None)]
    places += [
        (f"{name}, {kind}", kind, RedisServer(program)) for name, program in servers_found().items() for kind in ("TCP", "Unix socket")
    ]
    for name, place, server in places:
        if server is not None:
            server.start()
            place = server.unix_url if place == "Unix socket" else server.url
        store = open_store(place)
        StoredEncoder(Noise(), store).encode(known)  # pyright: ignore[reportArgumentType]
        encode = StoredEncoder(Known(), store).encode  # pyright: ignore[reportArgumentType]
        theirs, ours = microseconds(known, rounds, dictionary, encode)
        parts = " | ".join(f"{part:.2f}" for part in steps(store, known, rounds))
        say(f"| {name} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.1f} | {parts} |")
        if server is not None:
            server.stop()
    survival(folder, known[:BATCH], cache)


SECOND = """
import pickle, sys
from benchmarks.store.data import texts
from benchmarks.store.hits import Known
from auto_interventions.embedding.stored import StoredEncoder
from auto_interventions.stores import open_store
cache = pickle.load(open(sys.argv[2], "rb"))
batch = texts(1000)
dictionary = sum(hash(text) in cache for text in batch)
encoder = StoredEncoder(Known(), open_store(sys.argv[1]))
encoder.encode(batch)
print(dictionary, encoder.cached)
"""


def survival(folder: Path, batch: list[str], cache: dict[int, np.ndarray]) -> None:
    """What a second process, with the hash seed that Python gives it, finds of what the first one kept."""
    kept = folder / "cache.pickle"
    kept.write_bytes(pickle.dumps({hash(text): cache[hash(text)] for text in batch}))
    told = subprocess.run([sys.executable, "-c", SECOND, str(folder), str(kept)], capture_output=True, text=True, check=True).stdout
    dictionary, ours = told.split()
    say(f"\nOf 1000 texts a second process, beside the first, finds {dictionary} in the pickled dictionary and {ours} in the store")
