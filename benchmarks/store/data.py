"""Vectors, keys and texts that every part of the benchmark uses alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from auto_interventions.fingerprint import fingerprint
from auto_interventions.stores.keys import ContentKeys
from auto_interventions.stores.vectors import pack_many

DIMENSION = 384
BATCH = 1_000


def batches(count: int) -> Iterator[dict[str, bytes]]:
    """`count` packed vectors by their keys, in batches of 1000; the same ones every time, made as they are asked for."""
    keys = ContentKeys("vector", 1, fingerprint("benchmark"))
    for begin in range(0, count, BATCH):
        vectors = np.random.default_rng(begin).standard_normal((min(BATCH, count - begin), DIMENSION), dtype=np.float32)
        yield dict(zip((keys.of(f"text {begin + row}") for row in range(len(vectors))), pack_many(vectors), strict=True))


def texts(count: int) -> list[str]:
    """Texts of some 250 letters, about as long as those of an audit."""
    chance = np.random.default_rng(0)
    words = ["".join(chance.choice(list("abcdefghijklmnopqrstuvwxyz"), size=chance.integers(2, 10))) for _ in range(5_000)]
    return [" ".join(words[word] for word in chance.integers(0, len(words), 40)) for _ in range(count)]


def say(text: str, end: str = "\n") -> None:
    """Prints, at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def memory() -> tuple[float, float]:
    """MB of this process: its own, and pages of files that it has mapped (the kernel takes those back whenever it likes)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own, mapped = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
    return own, mapped
