"""The search for the smallest budget that recovers a plant in 95% of what exhaustive finds, cell by cell.

Budgets rise by half from step to step. At each step audits run seed after seed until either all seeds are done or more were missed than
the target allows; then the next step. What a step that was given up found is a lower bound of nothing but its own seeds, so tables show
only steps with all seeds.

Exhaustive audits climb the same ladder. A cell's recall at 200,000 texts is taken for 1 as soon as a smaller size recovers at least 95%
of all seeds; where none does it is measured."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from benchmarks.planted.audits import PoolJudge, as_row, run_audit
from benchmarks.planted.bound import world_bound
from benchmarks.planted.peers import PEERS, run_peer
from benchmarks.planted.pool import Pool, load_pool
from benchmarks.planted.records import Records
from benchmarks.planted.world import Cell, World

LADDER = (250, 400, 600, 1_000, 1_500, 2_200, 3_200, 4_700, 7_000, 10_000, 15_000, 22_000, 33_000, 50_000, 75_000, 110_000, 200_000)
TARGET = 0.95


@dataclass(frozen=True, slots=True)
class Task:
    """A climb (`budgets` rising, until the target is reached) or, with `every`, the seeds `first` … `seeds` − 1 at each budget."""

    cell: Cell
    strategy: str
    budgets: tuple[int, ...]
    seeds: int
    every: bool = False
    first: int = 0


@dataclass(frozen=True, slots=True)
class Where:
    """Where a worker finds its things."""

    out: Path
    cache: Path | None = None


@cache
def _pool(folder: Path | None) -> tuple[Pool, PoolJudge]:
    pool = load_pool(folder)
    return pool, PoolJudge(pool)


def run_all(tasks: Sequence[Task], where: Where, jobs: int) -> None:
    """Does all tasks, in `jobs` processes."""
    if jobs < 2:
        for done, task in enumerate(tasks, start=1):
            climb(task, where)
            _say(done, len(tasks), task)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs) as workers:
        for done, task in enumerate(workers.imap_unordered(_Climb(where), tasks), start=1):
            _say(done, len(tasks), task)


class _Climb:
    def __init__(self, where: Where) -> None:
        self._where = where

    def __call__(self, task: Task) -> Task:
        climb(task, self._where)
        return task


def _say(done: int, of: int, task: Task) -> None:
    sys.stderr.write(f"{done} of {of}: {task.cell.name} {task.strategy}\n")
    sys.stderr.flush()


def climb(task: Task, where: Where) -> int | None:
    """The smallest budget that reaches the target; None if none does (or with `every`, which looks for none)."""
    records = Records(where.out)
    allowed = int((1 - TARGET) * task.seeds + 1e-9)
    for budget in task.budgets:
        if budget < 2 * task.cell.strata:
            continue
        missed = 0
        for seed in range(task.first, task.seeds):
            row = records.get(task.cell, task.strategy, budget, seed)
            if row is None:
                row = audit_row(task.cell, task.strategy, budget, seed, where.cache)
                records.add(row)
            missed += not row["scored"]["recovered"]
            if missed > allowed and not task.every:
                break
        if missed <= allowed and not task.every:
            return budget
    return None


def audit_row(cell: Cell, strategy: str, budget: int, seed: int, cache_folder: Path | None = None) -> dict[str, object]:
    """One audit, or one peer's answer, as a row; audits with the cell's lower bound."""
    pool, judge = _pool(cache_folder)
    world = World(cell, seed, pool)
    if strategy in PEERS:
        return peer_row(strategy, world, budget)
    row = as_row(cell, run_audit(world, strategy, budget, judge))
    if cell.effect:
        row["oracle"] = round(world_bound(world), 1)
    return row


def peer_row(name: str, world: World, texts: int) -> dict[str, object]:
    """One peer's answer as a row."""
    result, different, seconds = run_peer(name, world, texts)
    return {
        **asdict(world.cell),
        "strategy": name,
        "budget": texts,
        "seed": world.seed,
        "texts": texts,
        "seconds": seconds,
        "scored": asdict(result),
        "different": different,
    }


def grid(kinds: Sequence[str], effects: Sequence[float], prevalences: Sequence[float], strata: Sequence[int]) -> Iterator[Cell]:
    """All cells, large effects first: their audits are short."""
    for count in strata:
        for effect in sorted(effects, reverse=True):
            for prevalence in sorted(prevalences, reverse=True):
                for kind in kinds:
                    yield Cell(kind, effect, prevalence, count)
