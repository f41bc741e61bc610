"""Clustering many vectors that lie on disk: ours in chunks beside a full k-means, its time, memory and inertia.

    .venv/bin/python benchmarks/clustering.py                                     # 100,000 vectors, about five minutes
    .venv/bin/python benchmarks/clustering.py --vectors 2000000 --full-iterations 2 --folder /tmp   # the real thing, about an hour

Writes a synthetic mixture (more topics than clusters, of unequal size, each with directions of its own) as float16 to a file under
--folder, and removes it at the end. Each side runs in a process of its own, on one thread; times are compared in
seconds of CPU, because other work may share the machine. "Memory" is the peak of anonymous memory
(RssAnon, sampled every 20 ms) above that of the process with its libraries loaded: the file's own pages do not count. "Full" is
scikit-learn's KMeans (greedy k-means++, Lloyd's algorithm, one start) on all vectors in memory; where its iterations are cut short, the
time of an iteration is measured and the time of --assume-iterations of them is extrapolated, and said to be.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 50_000


def main() -> None:
    """Writes the vectors, runs both sides, prints the comparison."""
    arguments = parsed()
    if arguments.side:
        sys.stdout.write(json.dumps(SIDES[arguments.side](arguments)) + "\n")
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "vectors.npy"
        started = time.perf_counter()
        mixture(path, arguments.vectors, arguments.dimension, arguments.clusters, arguments.seed)
        say(f"{arguments.vectors:,} × {arguments.dimension} float16 written in {time.perf_counter() - started:.0f} s")
        ours = run("ours", path, arguments)
        say(
            f"ours: {ours['seconds']:.0f} s ({ours['cpu']:.0f} s of CPU), {ours['memory']:.2f} GB of memory beyond the file, "
            f"inertia {ours['inertia']:.5f}"
        )
        full = run("full", path, arguments)
        say(
            f"full: start {full['start']:.0f} s and {full['iterations']} iterations of {full['iteration']:.1f} s "
            f"({full['cpu']:.0f} s of CPU), inertia then {full['inertia']:.5f}, " + ("converged" if full["converged"] else "cut short")
        )
        compare(arguments, ours, full)
        if arguments.onward:
            onward = run("onward", path, arguments)
            say(
                f"{arguments.onward} iterations of Lloyd's algorithm on all vectors from ours: inertia {onward['before']:.5f} → "
                f"{onward['after']:.5f}, {100 * (1 - onward['after'] / onward['before']):.2f}% lower"
            )


def compare(arguments: argparse.Namespace, ours: dict[str, float], full: dict[str, float]) -> None:
    """Prints ratios, and which of them are extrapolated."""
    if full["converged"]:
        say(f"measured: {full['cpu'] / ours['cpu']:.1f}x less CPU time")
        say(f"quality, inertia of full / inertia of ours: {full['inertia'] / ours['inertia']:.4f}")
        return
    assumed = arguments.assume_iterations
    whole = full["start"] + assumed * full["iteration"]
    done = full["start"] + full["iterations"] * full["iteration"]
    say(f"measured: ours takes {done / ours['cpu']:.1f}x less CPU time than start and {full['iterations']} iterations of full k-means")
    say(f"extrapolated to {assumed} iterations: {whole / ours['cpu']:.1f}x ({whole:.0f} s : {ours['cpu']:.0f} s of CPU)")


def cluster_ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """Our k-means on the file; its centroids are kept beside it."""
    import sklearn.cluster  # noqa: F401 - loaded before memory is measured

    from auto_interventions.clustering import kmeans

    vectors = np.load(arguments.path, mmap_mode="r")
    with measured() as cost:
        partition = kmeans(vectors, arguments.clusters, arguments.seed)
    np.save(arguments.path.with_name("ours.npy"), partition.centroids)
    return {**cost, "inertia": inertia(vectors, partition.centroids)}


def cluster_full(arguments: argparse.Namespace) -> dict[str, Any]:
    """scikit-learn's k-means on all vectors at once: k-means++ and Lloyd's algorithm timed apart."""
    from sklearn.cluster import KMeans, kmeans_plusplus
    from threadpoolctl import threadpool_limits

    vectors = np.load(arguments.path, mmap_mode="r")
    held = np.empty(vectors.shape, dtype=np.float32)
    for begin in range(0, len(vectors), CHUNK):
        held[begin : begin + CHUNK] = vectors[begin : begin + CHUNK]
    with threadpool_limits(1), measured() as cost:
        began = time.process_time()
        some = held if arguments.start_vectors >= len(held) else held[: arguments.start_vectors]
        start, _ = kmeans_plusplus(some, arguments.clusters, random_state=arguments.seed)
        started = (time.process_time() - began) * len(held) / len(some)
        began = time.process_time()
        model = KMeans(arguments.clusters, init=start, n_init=1, max_iter=arguments.full_iterations, algorithm="lloyd").fit(held)
        lloyd = time.process_time() - began
    iterations = int(model.n_iter_)
    return {
        **cost,
        "start": started,
        "iterations": iterations,
        "iteration": lloyd / (iterations + 1),  # one more pass labels
        "converged": iterations < arguments.full_iterations and len(some) == len(held),
        "inertia": inertia(vectors, model.cluster_centers_),
    }


def go_on(arguments: argparse.Namespace) -> dict[str, Any]:
    """Lloyd's algorithm on all vectors from our centroids: how far they are from its end."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    vectors = np.load(arguments.path, mmap_mode="r")
    centroids = np.load(arguments.path.with_name("ours.npy"))
    held = np.asarray(vectors, dtype=np.float32)
    with threadpool_limits(1):
        model = KMeans(len(centroids), init=centroids, n_init=1, max_iter=arguments.onward, tol=0, algorithm="lloyd").fit(held)
    return {"before": inertia(vectors, centroids), "after": inertia(vectors, model.cluster_centers_)}


SIDES = {"ours": cluster_ours, "full": cluster_full, "onward": go_on}


def mixture(path: Path, count: int, dimension: int, clusters: int, seed: int) -> None:
    """`count` unit vectors of twice as many topics as clusters, sizes falling like 1/√rank, each spread along 12 directions and evenly."""
    random = np.random.default_rng(seed)
    topics = 2 * clusters
    centres = random.normal(size=(topics, dimension)).astype(np.float32)
    groups = random.normal(size=(topics // 20 + 1, dimension)).astype(np.float32)  # topics of a group lie together
    centres = 0.7 * centres + groups[np.arange(topics) // 20]
    directions = random.normal(size=(64, dimension)).astype(np.float32)
    sizes = 1 / np.sqrt(np.arange(1, topics + 1))
    held = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(count, dimension))
    for begin in range(0, count, CHUNK):
        rows = min(CHUNK, count - begin)
        topic = random.choice(topics, rows, p=sizes / sizes.sum())
        loadings = np.zeros((rows, 64), dtype=np.float32)
        loadings[np.arange(rows)[:, np.newaxis], (topic[:, np.newaxis] * 7 + np.arange(12) * 5) % 64] = random.normal(size=(rows, 12))
        part = centres[topic] + 0.2 * loadings @ directions + 0.6 * random.normal(size=(rows, dimension)).astype(np.float32)
        held[begin : begin + rows] = part / np.linalg.norm(part, axis=1, keepdims=True)
    held.flush()


def inertia(vectors: np.ndarray[Any, Any], centroids: np.ndarray[Any, Any]) -> float:
    """Mean squared distance of all vectors to their centroids, for both sides by the same code."""
    from auto_interventions.clustering import KMeansPartition

    return KMeansPartition.at(centroids).inertia(vectors)


@contextmanager
def measured() -> Generator[dict[str, float]]:
    """Seconds, seconds of CPU, and the peak of anonymous memory in GB above what is there now."""
    cost: dict[str, float] = {}
    before, peak, done = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    yield cost
    now = resource.getrusage(resource.RUSAGE_SELF)
    cost.update(seconds=time.perf_counter() - started, cpu=now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    done.set()
    watcher.join()
    cost["memory"] = max(peak[0], anonymous()) - before


def anonymous() -> float:
    """GB of anonymous memory that this process holds."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) / 1e6


def run(side: str, path: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """One side in a process of its own."""
    own = [f"--{name.replace('_', '-')}={value}" for name, value in vars(arguments).items() if name not in ("side", "path", "folder")]
    command = [sys.executable, __file__, *own, f"--side={side}", f"--path={path}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--clusters", type=int, default=1_000)
    parser.add_argument("--full-iterations", type=int, default=100, help="of Lloyd's algorithm at most, for the full k-means")
    parser.add_argument("--assume-iterations", type=int, default=30, help="for the extrapolated time, where it was cut short")
    parser.add_argument("--start-vectors", type=int, default=400_000, help="k-means++ of the full one is timed on so many and scaled")
    parser.add_argument("--onward", type=int, default=0, help="iterations of Lloyd's algorithm on all vectors from our centroids")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="where the vectors are written (1.5 GB for 2,000,000); default: /tmp")
    parser.add_argument("--side", choices=sorted(SIDES), default=None, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
