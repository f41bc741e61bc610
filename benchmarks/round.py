"""What a round costs besides texts and vectors: allocation, clustering update, bets; and that it grows with the new texts, not with all.

An audit with as many strata, clusters and dimensions as asked for, on synthetic stories and synthetic vectors, one in ten strata with a
planted word. Rounds of `--texts` new texts each; the table shows the first, the second (one round's texts before it) and the last, seconds
of CPU and of the clock. A tiny audit before loads what a process loads once (scikit-learn, the identifier of languages). "features"
(reading words and format off new texts, for bets and for suggestions) is shown apart: it belongs to a text, is done once, and costs a
fraction of generating or embedding it.

    .venv/bin/python benchmarks/round.py
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.exploring import RoundBatch, RoundState, allocation_of, run_round, split_mixed
from auto_interventions.fingerprint import generator
from auto_interventions.hypotheses import read_off
from auto_interventions.records import FloatMatrix, Generation, Pair, Prompt
from auto_interventions.stages.exploring import named, suggesting_pairs, suspicion
from auto_interventions.stages.sampling import sides
from auto_interventions.stages.workspace import Workspace

VOCABULARY = 5_000
WORDS = 45
TOPICS = 200
OWN = ("suspicion", "allocation", "clustering", "bets")  # the round's own work
Times = dict[str, tuple[float, float]]


class Stories:
    """Texts of words drawn by Zipf's law, and vectors around the centres of topics."""

    def __init__(self, dimension: int) -> None:
        """Draws the topics."""
        self.random = generator("round benchmark")
        self.words = np.array([f"w{number}" for number in range(VOCABULARY)])
        chances = 1 / np.arange(10, VOCABULARY + 10)
        self.chances = chances / chances.sum()
        self.centres = self.random.normal(size=(TOPICS, dimension)) / np.sqrt(dimension)

    def texts(self, count: int) -> list[str]:
        """`count` stories."""
        drawn = self.words[self.random.choice(VOCABULARY, (count, WORDS), p=self.chances)]
        return [". ".join(" ".join(row[begin : begin + 9]) for begin in range(0, WORDS, 9)) + "." for row in drawn]

    def encode(self, count: int) -> FloatMatrix:
        """`count` unit vectors."""
        width = self.centres.shape[1]
        own = self.centres[self.random.integers(TOPICS, size=count)]
        vectors = own + 0.7 * self.random.normal(size=(count, width)) / np.sqrt(width)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Encoder:
    """Vectors of the prompts of strata that may be split."""

    def __init__(self, stories: Stories) -> None:
        """Counts as the real one does."""
        self.stories, self.computed, self.cached = stories, 0, 0

    def encode(self, texts: list[str], progress: object = None) -> FloatMatrix:
        """One vector a text."""
        del progress
        return self.stories.encode(len(texts))


@contextmanager
def timed(times: Times, part: str) -> Generator[None]:
    """Adds the block's CPU and clock seconds to `times`."""
    cpu, clock = time.process_time(), time.perf_counter()
    yield
    before = times.get(part, (0.0, 0.0))
    times[part] = (before[0] + time.process_time() - cpu, before[1] + time.perf_counter() - clock)


def prompts_file(folder: Path, strata: int, each: int) -> Path:
    """A bank of `strata` × `each` prompts."""
    path = folder / "prompts.jsonl"
    rows = [
        {"prompt": f"Tell story {number} of kind {number % strata}.", "stratum": f"s{number % strata}"} for number in range(strata * each)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def draw(where: Workspace, stories: Stories, round: int) -> None:
    """The round's pairs and vectors; in every tenth stratum a third of the intervention's texts have a word that no other has."""
    prompts = [request.prompt for request in where.requests["explore", round] for _ in range(request.samples)]
    base, intervention = stories.texts(len(prompts)), stories.texts(len(prompts))
    planted = stories.random.random(len(prompts)) < 0.33
    for row in np.flatnonzero(planted).tolist():
        if int(prompts[row].stratum[1:]) % 10 == 0:
            intervention[row] = intervention[row] + " Velvet it was."
    where.pairs["explore", round] = [
        Pair(
            prompt, Generation("base", prompt, round, one, WORDS, True), Generation("intervention", prompt, round, two, WORDS, True), round
        )
        for prompt, one, two in zip(prompts, base, intervention, strict=True)
    ]
    where.vectors[round] = stories.encode(len(prompts)), stories.encode(len(prompts))


def one_round(where: Workspace, stories: Stories, round: int, pairs: int) -> Times:
    """A round as the stages do it, part by part."""
    times: Times = {}
    config = where.config
    last = [text for side in sides(where.explored_pairs()[-suggesting_pairs(where.config) :]) for text in side]
    with timed(times, "features"):
        read_off(last)
    with timed(times, "suspicion"):  # and whether the difference has a name: both read the same suggestions
        named(where)
        suspected = suspicion(where)
    with timed(times, "allocation"):
        pool = where.prompts_of("explore")
        where.requests["explore", round] = allocation_of(config, suspected).allocate(where.explore_state(), pool, pairs, config)
    draw(where, stories, round)
    with timed(times, "clustering"):
        stages.cluster(where, round)
        assert where.partition is not None
        boundary = np.mean([where.partition.margin(side) for side in where.vectors[round]], axis=0)
    with timed(times, "features"):
        batch = RoundBatch.of(
            where.pairs["explore", round], *where.vectors[round], where.stability, boundary=boundary, clusters=where.cluster_quality
        )
    with timed(times, "bets"):
        where.exploring = run_round(where.explore_state(), batch, config)
    with timed(times, "allocation"):
        where.exploring = split_mixed(where.exploring, pool, lambda prompts: _vectors(where, prompts))
    return times


def _vectors(where: Workspace, prompts: Sequence[Prompt]) -> FloatMatrix:
    return where.encoder.encode([prompt.text for prompt in prompts])


def audit(arguments: argparse.Namespace, texts: int, strata: int, rounds: int) -> tuple[list[Times], RoundState]:
    """The times of all rounds, and what they left."""
    stories = Stories(arguments.dimension)
    found: list[Times] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = AuditConfig.model_validate(
            {
                "name": "round",
                "base": {"model": "synthetic"},
                "intervention": {"model": "synthetic"},
                "prompts": {"path": str(prompts_file(folder, strata, 30)), "strata": "given"},
                "sampling": {"max_texts": 10 * rounds * texts, "initial": texts, "per_round": texts, "rounds": rounds},
                "clustering": {"clusters": min(arguments.clusters, texts // 10)},
                "store": str(folder / "store"),
            }
        )
        with Workspace.create(config, folder / "run") as where:
            where.__dict__["encoder"] = Encoder(stories)
            stages.prepare(where)
            for round in range(rounds):
                found.append(one_round(where, stories, round, texts // 2))
                sys.stderr.write(f"\rround {round + 1} of {rounds}")
            return found, where.explore_state()


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=20_000, help="new texts a round, both models together")
    parser.add_argument("--strata", type=int, default=1000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    loading = time.perf_counter()
    audit(arguments, texts=200, strata=10, rounds=2)  # imports, the stemmer, the identifier of languages: once a process, whatever follows
    loading = time.perf_counter() - loading
    found, state = audit(arguments, arguments.texts, arguments.strata, arguments.rounds)
    sys.stderr.write("\n")
    sys.stdout.write(
        f"{arguments.texts:,} new texts, {arguments.strata} strata, {arguments.dimension} dimensions, {arguments.clusters} clusters; "
        f"{len(state.divergent(0.05))} strata found; CPU seconds (clock seconds); "
        f"loading in this process, before: {loading:.1f} s\n"
    )
    sys.stdout.write(f"{'texts before':>14}{''.join(f'{part:>18}' for part in (*OWN, 'own work', 'features'))}\n")
    for round in (0, 1, arguments.rounds - 1):
        times = found[round]
        times["own work"] = (sum(times[part][0] for part in OWN), sum(times[part][1] for part in OWN))
        cells = [f"{times[part][0]:.2f} ({times[part][1]:.2f})" for part in (*OWN, "own work", "features")]
        sys.stdout.write(f"{round * arguments.texts:>14,}{''.join(f'{cell:>18}' for cell in cells)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
