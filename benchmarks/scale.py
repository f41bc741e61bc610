"""Scale on paper, from constants that are measured here, and where each part breaks (docs/scale.md).

    .venv/bin/python -m benchmarks.scale                       # a few minutes on two quiet cores
    .venv/bin/python -m benchmarks.scale --paper               # the table alone, from the constants as they stand in this file

Measured: the real loop's own work (suspicion, allocation, clustering, bets: `benchmarks/round.py`'s round) on synthetic stories and vectors
at 10,000 strata, round after round, in seconds of CPU; a line through the rounds' costs says what 2,000,000 texts would take, and whether
a part costs more the more texts lie behind it. Anonymous memory of this process a text. Bytes of a text and a vector in the embedded
store and in a Redis, if one of `make setup`'s is here. k-means of prompts into strata, at a hundredth of the size.
Not measured here: GPUs (published figures, named beside them), Prefect and Dask (../shared/prefect.md), money (docs/benchmarks.md).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auto_interventions import stages
from auto_interventions.clustering import kmeans
from auto_interventions.config import AuditConfig
from auto_interventions.stages.workspace import Workspace
from auto_interventions.stores import Store, open_store
from auto_interventions.stores.keys import ContentKeys
from auto_interventions.stores.sealed import seal
from auto_interventions.stores.vectors import pack_vector
from benchmarks.round import OWN, Encoder, Stories, Times, one_round, prompts_file

GIGA = 1e9
PROMPTS_A_STRATUM = 10


@dataclass(frozen=True)
class Job:
    """What is to be done."""

    texts: int = 2_000_000
    clusters: int = 1_000
    strata: int = 10_000
    gpus: int = 8
    rounds: int = 40  # exploring and confirming
    new_tokens: int = 128
    parameters: float = 8e9
    dimension: int = 384
    texts_a_chunk: int = 500
    sentences: int = 100


@dataclass(frozen=True)
class Constants:
    """Per unit. The first block is what this program measures; these are its last figures (docs/scale.md says when and where)."""

    own_seconds: float = 0.27  # of CPU, per 1,000 texts: suspicion, allocation, clustering, bets
    own_growth: float = 0.0  # more of it per 1,000 texts for each million texts behind them
    feature_seconds: float = 0.15  # of CPU, per 1,000 texts: words and form read off them
    bytes_in_process: float = 1_680  # of a text with its pair and features, without its vector
    bytes_of_text: float = 459  # in the embedded store
    bytes_of_vector: float = 1_940
    redis_bytes: float = 2_217  # of both
    strata_seconds: float = 12.7  # of CPU, 1,000 strata of 10,000 prompts
    # Not ours.
    tokens_a_second: tuple[float, float] = (3_000, 12_500)  # an 8B model on an H100: a third of the floor of 48 rows; vLLM as published
    bandwidth: float = 3.35e12  # bytes a second of an H100's memory (its data sheet)
    embeddings_a_second: float = 14_200  # all-MiniLM-L6-v2 on a V100 (sbert.net, table of pretrained models)
    task_seconds: float = 0.0035  # a Prefect task on threads (../shared/prefect.md)
    dask_task_seconds: float = 0.17  # a Prefect task that is submitted to Dask (the same page)
    submit_seconds: float = 0.001  # a chunk submitted to Dask directly
    dollars_a_sentence: float = 0.36 / 30  # judged by the cascade, gemini flash-lite and pro (docs/benchmarks.md)
    dollars_a_gpu_hour: float = 2.5  # rented H100, an assumption


def paper(job: Job, by: Constants) -> list[tuple[str, str, str]]:
    """Rows (what, how much, how it comes about)."""
    millions = job.texts / 1e6
    tokens = job.texts * job.new_tokens
    hours = [tokens / job.gpus / rate / 3600 for rate in reversed(by.tokens_a_second)]
    weights = 2 * job.parameters
    floor = 48 / (weights / by.bandwidth)
    own = 1_000 * millions * (by.own_seconds + max(by.own_growth, 0.0) * millions / 2)
    features = 1_000 * millions * by.feature_seconds
    network = 2 * job.texts * (by.bytes_of_text + by.bytes_of_vector)
    tasks = 7 * (job.rounds // 2) + 4 * (job.rounds - job.rounds // 2) + 7
    chunks = 3 * job.texts // job.texts_a_chunk // 2  # texts of both models, then vectors in pieces twice as large
    strata = by.strata_seconds * (job.strata / 1_000) ** 2
    return [
        (
            "generation",
            f"{hours[0]:.1f} to {hours[1]:.1f} h",
            f"{tokens / 1e6:,.0f}M tokens, {job.gpus} GPUs × {by.tokens_a_second[0]:,} to {by.tokens_a_second[1]:,} tokens/s (not ours); "
            f"48 rows at once (`batch_tokens: 8192`) cannot exceed {floor:,.0f}: each step reads {weights / GIGA:.0f} GB of weights",
        ),
        (
            "embedding",
            f"{job.texts / by.embeddings_a_second / job.gpus / 60:.1f} min",
            f"{job.gpus} GPUs × {by.embeddings_a_second:,.0f}/s (not ours)",
        ),
        (
            "the loop’s own work",
            f"{own / 60:.0f} min",
            f"{by.own_seconds:.2f} s of CPU per 1,000 texts, {by.own_growth:+.3f} s more per million behind them; one core",
        ),
        ("words and form of the texts", f"{features / 60:.0f} min", f"{by.feature_seconds:.2f} s of CPU per 1,000 texts; one core"),
        (
            "strata of prompts (`auto`)",
            f"{strata / 60:.0f} min",
            f"{job.strata:,} of {PROMPTS_A_STRATUM * job.strata:,} prompts; {by.strata_seconds:.0f} s at 1,000, growing with the square",
        ),
        (
            "memory, flow’s process",
            f"{job.texts * by.bytes_in_process / GIGA:.1f} GB",
            f"{by.bytes_in_process / 1e3:.1f} KB a text; beside it {job.texts * job.dimension * 4 / GIGA:.1f} GB of vectors in a file",
        ),
        (
            "memory, a GPU worker",
            f"{weights / GIGA:.0f} GB + KV",
            f"bf16 weights of one model at a time; KV of 48 rows {48 * (job.new_tokens + 40) * 131_072 / GIGA:.1f} GB (131 KB a token)",
        ),
        ("embedded store", f"{job.texts * (by.bytes_of_text + by.bytes_of_vector) / GIGA:.1f} GB", "on disk; texts and vectors"),
        ("Redis", f"{job.texts * by.redis_bytes / GIGA:.1f} GB", f"{by.redis_bytes:,.0f} bytes a text with its vector"),
        (
            "network, to and from the store",
            f"{network / GIGA:.1f} GB",
            f"each text and vector written once and read once: {network * 8 / 1e9:.0f} s at 1 Gbit/s",
        ),
        (
            "Prefect tasks",
            f"{tasks}",
            f"a stage each, {job.rounds} rounds: {tasks * by.task_seconds:.0f} s; "
            f"a task a text {job.texts * by.task_seconds / 3600:.0f} h, on Dask {job.texts * by.dask_task_seconds / 86400:.0f} days",
        ),
        ("Dask submits", f"{chunks:,}", f"chunks of {job.texts_a_chunk} texts: {chunks * by.submit_seconds:.0f} s"),
        (
            "API money",
            f"${job.sentences * by.dollars_a_sentence:.2f}",
            f"{job.sentences} sentences × ${by.dollars_a_sentence:.3f}; does not grow with texts",
        ),
    ]


def saving(by: Constants, factor: int = 40) -> list[tuple[str, ...]]:
    """Rows: what `factor` times fewer texts are worth, at the slower and the faster published rate, scaled by parameters."""
    rows: list[tuple[str, ...]] = []
    for name, size, texts in (("1B", 1e9, 200_000), ("8B", 8e9, 200_000), ("8B", 8e9, 2_000_000), ("70B", 70e9, 2_000_000)):
        hours = [texts * 128 / (rate * 8e9 / size) / 3600 for rate in reversed(by.tokens_a_second)]
        money = [hour * by.dollars_a_gpu_hour for hour in hours]
        cells = [f"{hours[0]:.1f} to {hours[1]:.1f}", f"{money[0]:,.1f} to {money[1]:,.1f}"]
        less = [f"{hours[0] / factor:.2f} to {hours[1] / factor:.2f}", f"{money[0] / factor:,.2f} to {money[1] / factor:,.2f}"]
        rows.append((name, f"{texts:,}", *cells, f"{texts // factor:,}", *less))
    return rows


def simulate(texts: int, per_round: int, strata: int, dimension: int, clusters: int) -> tuple[list[Times], list[float], int]:
    """(cost of each round by part, anonymous bytes after each, dimension): an audit's rounds on synthetic texts."""
    stories, rounds = Stories(dimension), max(2, texts // per_round)
    costs: list[Times] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = AuditConfig.model_validate(
            {
                "name": "scale",
                "base": {"model": "synthetic"},
                "intervention": {"model": "synthetic"},
                "prompts": {"path": str(prompts_file(folder, strata, PROMPTS_A_STRATUM)), "strata": "given"},
                "sampling": {"max_texts": 10 * texts, "initial": per_round, "per_round": per_round, "rounds": rounds},
                "clustering": {"clusters": clusters, "backend": "sklearn"},
                "store": str(folder / "store"),
            }
        )
        with Workspace.create(config, folder / "run") as where:
            where.__dict__["encoder"] = Encoder(stories)
            stages.prepare(where)
            for round in range(rounds):
                costs.append(one_round(where, stories, round, per_round // 2))
                memory.append(_anonymous())
                say(f"  round {round + 1} of {rounds}: " + ", ".join(f"{part} {cost[0]:.1f} s" for part, cost in costs[-1].items()))
    return costs, memory, dimension


def fitted(by: Constants, costs: list[Times], memory: list[float], per_round: int, dimension: int) -> Constants:
    """The constants with what the rounds cost. The first two are no part of the line: one starts the clustering, the other learns the stems
    of a new vocabulary.
    """
    own = np.array([sum(cost[part][0] for part in OWN) for cost in costs]) * 1_000 / per_round
    behind = np.arange(len(costs)) * per_round / 1e6
    slope, base = np.polyfit(behind[2:], own[2:], 1) if len(own) > 4 else (0.0, own[2:].mean() if len(own) > 2 else own[-1])
    features = float(np.mean([cost["features"][0] for cost in costs])) * 1_000 / per_round
    grown = (memory[-1] - memory[0]) / ((len(memory) - 1) * per_round) - 4 * dimension
    return replace(by, own_seconds=float(base), own_growth=float(slope), feature_seconds=features, bytes_in_process=max(grown, 0.0))


def growth(costs: list[Times], per_round: int) -> list[str]:
    """A line a part: its seconds in the second and in the last round, and the ratio."""
    lines: list[str] = []
    for part in (*OWN, "features"):
        early, late = costs[1][part][0], costs[-1][part][0]
        lines.append(f"  {part}: {early:.2f} s with {per_round:,} texts behind, {late:.2f} s with {per_round * (len(costs) - 1):,}")
    return lines


def stored(by: Constants, count: int, dimension: int) -> Constants:
    """The constants with bytes of `count` texts and vectors in the embedded store, and in a Redis if there is one."""
    random, stories = np.random.default_rng(0), Stories(dimension)
    texts = stories.texts(count)
    vectors = random.normal(size=(count, dimension)).astype(np.float32)
    as_texts, as_vectors = (ContentKeys(kind, 1, "0" * 64) for kind in ("text", "vector"))
    with tempfile.TemporaryDirectory() as name:
        sizes: list[int] = []
        for number, keys in enumerate((as_texts, as_vectors)):
            folder = Path(name) / str(number)
            _fill(store := open_store(str(folder)), keys, texts, None if keys is as_texts else vectors)
            store.close()
            sizes.append(sum(path.stat().st_size for path in folder.iterdir()))
    by = replace(by, bytes_of_text=sizes[0] / count, bytes_of_vector=sizes[1] / count)
    from tests.redis_server import RedisServer, servers_found

    for program in list(servers_found().values())[:1]:
        server = RedisServer(program)
        server.start()
        try:
            with server.client() as client:
                before = int(client.info("memory")["used_memory"])  # pyright: ignore[reportIndexIssue]
                store = open_store(server.url)
                _fill(store, as_texts, texts, None)
                _fill(store, as_vectors, texts, vectors)
                store.close()
                by = replace(by, redis_bytes=(int(client.info("memory")["used_memory"]) - before) / count)  # pyright: ignore[reportIndexIssue]
        finally:
            server.stop()
    return by


def _fill(store: Store, keys: ContentKeys, texts: list[str], vectors: np.ndarray | None) -> None:
    for begin in range(0, len(texts), 500):
        part = texts[begin : begin + 500]
        values = (
            [seal([text, 60, True]) for text in part] if vectors is None else [pack_vector(row) for row in vectors[begin : begin + 500]]
        )
        store.put_many({keys.of(text): value for text, value in zip(part, values, strict=True)})


def strata_seconds(strata: int, dimension: int) -> float:
    """Seconds of CPU that k-means takes to make `strata` strata of ten prompts each."""
    vectors = Stories(dimension).encode(PROMPTS_A_STRATUM * strata)
    began = time.process_time()
    kmeans(vectors, strata, 0)
    return time.process_time() - began


def _anonymous() -> float:
    return int(Path("/proc/self/status").read_text(encoding="ascii").split("RssAnon:")[1].split()[0]) * 1024.0


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Measures, then prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paper", action="store_true", help="measure nothing")
    parser.add_argument("--texts", type=int, default=200_000, help="of the simulation")
    parser.add_argument("--per-round", type=int, default=40_000)
    parser.add_argument("--strata", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--clusters", type=int, default=1_000)
    parser.add_argument("--stored", type=int, default=20_000, help="texts and vectors written to the stores")
    parser.add_argument("--made-strata", type=int, default=1_000, help="strata that k-means makes of prompts")
    chosen = parser.parse_args(arguments)
    by = Constants()
    if not chosen.paper:
        size = f"{chosen.strata:,} strata, {chosen.dimension} dimensions, {chosen.clusters:,} clusters"
        say(f"rounds of {chosen.per_round:,} texts, {size}; CPU:")
        costs, memory, dimension = simulate(chosen.texts, chosen.per_round, chosen.strata, chosen.dimension, chosen.clusters)
        by = fitted(by, costs, memory, chosen.per_round, dimension)
        say("\n".join(growth(costs, chosen.per_round)))
        by = stored(by, chosen.stored, chosen.dimension)
        made = strata_seconds(chosen.made_strata, chosen.dimension)
        by = replace(by, strata_seconds=made * (1_000 / chosen.made_strata) ** 2)
        say("measured: " + ", ".join(f"{name} {getattr(by, name):,.3g}" for name in list(Constants.__dataclass_fields__)[:8]))
    job = Job()
    say(f"\n| {job.texts:,} texts, {job.strata:,} strata, {job.clusters:,} clusters, 8B, {job.gpus} GPUs | | how |\n| --- | --- | --- |")
    say("\n".join(f"| {' | '.join(row)} |" for row in paper(job, by)))
    say("\n| model | texts | GPU-hours | dollars | texts, 40x fewer | GPU-hours | dollars |\n| --- | --- | --- | --- | --- | --- | --- |")
    say("\n".join(f"| {' | '.join(row)} |" for row in saving(by)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
