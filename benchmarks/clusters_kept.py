"""What the clusters of a few texts, drawn unequally, keep of the quality of the clusters of very many, drawn evenly.

    .venv/bin/python benchmarks/clusters_kept.py

Simulated embeddings: 300 topics in 384 dimensions, 100 strata of prompts that each have topics of their own. The exhaustive partition is
made at once from --exhaustive texts drawn evenly; the active one learns --active texts in rounds, the first even, the others with nine
of ten in a tenth of the strata, and settles. Both, and a second exhaustive one with another seed and other texts, are compared on 10,000
texts drawn evenly that none has seen. ("In brackets": share of the first one's.)
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

from auto_interventions.clustering import Partition, silhouette, stability, start_partition
from auto_interventions.records import FloatMatrix, IntArray

TOPICS, STRATA, DIMENSION, FOCUS = 300, 100, 384, 10


class World:
    """Where topics lie, and how likely each is in each stratum."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        groups = random.normal(size=(TOPICS // 10, DIMENSION))
        self.places = (0.8 * random.normal(size=(TOPICS, DIMENSION)) + groups[np.arange(TOPICS) // 10]).astype(np.float32)
        self.directions = random.normal(size=(24, DIMENSION)).astype(np.float32)
        self.likely = random.dirichlet(np.full(TOPICS, 0.05), size=STRATA)

    def texts(self, strata: IntArray, random: np.random.Generator) -> tuple[FloatMatrix, IntArray]:
        """Unit vectors (n, d) and topics (n,) of texts in the given strata."""
        topics = np.minimum((random.random((len(strata), 1)) > np.cumsum(self.likely, axis=1)[strata]).sum(axis=1), TOPICS - 1)
        vectors = self.places[topics] + 0.25 * random.normal(size=(len(strata), 24)).astype(np.float32) @ self.directions
        vectors += 0.8 * random.normal(size=vectors.shape).astype(np.float32)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), topics


def active(world: World, texts: int, clusters: int, seed: int) -> Partition:
    """Rounds of learning with unequal strata, then settling with weights."""
    random = np.random.default_rng((1, seed))
    strata = random.integers(0, STRATA, texts // 2)
    focus = random.permutation(STRATA)[:FOCUS]
    drawn = [strata]
    for _ in range(5):
        eager = random.random(texts // 10) < 0.9
        drawn.append(np.where(eager, random.choice(focus, texts // 10), random.integers(0, STRATA, texts // 10)))
    partition: Partition | None = None
    vectors: list[FloatMatrix] = []
    for round in drawn:
        vectors.append(world.texts(round, random)[0])
        weights = undone(np.concatenate(drawn[: len(vectors)]))[-len(round) :]
        if partition is None:
            partition = start_partition("kmeans", vectors[0], clusters, seed).polished(vectors[0], seed)
        else:
            partition = partition.learn(vectors[-1], clusters, seed, weights)
    assert partition is not None
    return partition.polished(np.concatenate(vectors), seed, undone(np.concatenate(drawn)))


def undone(strata: IntArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Weights (n,) that undo unequal sampling."""
    return len(strata) / STRATA / np.bincount(strata, minlength=STRATA)[strata]


def quality(partition: Partition, vectors: FloatMatrix, topics: IntArray, reference: IntArray) -> tuple[float, float, float, float]:
    """Explained variance, silhouette, adjusted Rand index with the topics and with another partition's labels."""
    labels = partition.assign(vectors)
    total = float(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    explained = 1 - partition.inertia(vectors) / total
    return explained, silhouette(vectors, labels, 0, 3_000), stability(labels, topics), stability(labels, reference)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exhaustive", type=int, default=200_000)
    parser.add_argument("--active", type=int, nargs="+", default=[2_500, 5_000, 10_000])
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    world = World(arguments.seed)
    random = np.random.default_rng((2, arguments.seed))
    held, topics = world.texts(random.integers(0, STRATA, 10_000), random)
    made: dict[str, Partition] = {}
    for name in ("exhaustive", "exhaustive, other texts and seed"):
        vectors, _ = world.texts(random.integers(0, STRATA, arguments.exhaustive), random)
        started = time.process_time()
        made[f"{arguments.exhaustive:,} {name}"] = start_partition("kmeans", vectors, arguments.clusters, len(made)).polished(
            vectors, len(made)
        )
        sys.stdout.write(f"{name}: {time.process_time() - started:.0f} s of CPU\n")
    for texts in arguments.active:
        started = time.process_time()
        made[f"{texts:,} active"] = active(world, texts, arguments.clusters, arguments.seed)
        sys.stdout.write(f"{texts:,} active: {time.process_time() - started:.1f} s of CPU\n")
    first = next(iter(made.values()))
    reference = first.assign(held)
    base = quality(first, held, topics, reference)
    sys.stdout.write("| partition | explained variance | silhouette | agreement with topics | with the exhaustive one |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- |\n")
    for name, partition in made.items():
        own = quality(partition, held, topics, reference)
        kept = [f"{value:.4f} ({100 * value / best:.1f}%)" for value, best in zip(own[:3], base[:3], strict=True)]
        sys.stdout.write(f"| {name} | {' | '.join(kept)} | {own[3]:.3f} |\n")


if __name__ == "__main__":
    main()
