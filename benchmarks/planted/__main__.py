"""The command line of the planted benchmark: does an audit find a known change, with how many texts, and what do other methods find?

Three phases. `climb`: the smallest budget that recovers the plant in 95% of the seeds, for `--strategies`. `equal`: recall of all
strategies and peers at the texts that active needed. `null`: audits of worlds without any difference. Every finished audit is a line in
`--out`; started again, the benchmark goes on from there. The defaults are a sub-grid; `--full` is all of it (hours).
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.planted import kept, tables
from benchmarks.planted.grid import LADDER, Task, Where, grid, run_all
from benchmarks.planted.peers import PEERS, installed
from benchmarks.planted.plants import KINDS
from benchmarks.planted.records import Records
from benchmarks.planted.world import Cell

STRATEGIES = tables.STRATEGIES
EFFECTS, PREVALENCES, STRATA = (0.02, 0.05, 0.1, 0.2, 0.4), (1.0, 0.1, 0.02), (10, 100, 1000)
NULL_BUDGET = 2_200


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted", description=__doc__)
    parser.add_argument("--phases", nargs="+", default=["climb", "equal", "null"], choices=["climb", "equal", "null"])
    parser.add_argument("--full", action="store_true", help="all effects, prevalences, strata and strategies")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--effects", nargs="+", type=float, default=[0.4])
    parser.add_argument("--prevalence", nargs="+", type=float, default=[1.0, 0.1])
    parser.add_argument("--strata", nargs="+", type=int, default=[100])
    parser.add_argument("--strategies", nargs="+", default=["active", "exhaustive"], choices=STRATEGIES, help="those that climb")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--null-seeds", type=int, default=100)
    parser.add_argument("--budgets", nargs="+", type=int, default=list(LADDER))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("planted.jsonl"), help="finished audits, one a line")
    parser.add_argument("--cache", type=Path, default=None, help="folder of the pool's embeddings (default: the user cache)")
    parser.add_argument("--tables", action="store_true", help="print the tables of what is finished, and run nothing")
    parser.add_argument("--kept", action="store_true", help="print the tables of the audits kept in the repository, and run nothing")
    parser.add_argument("--go-on", metavar="STATE", help="do not run again what is kept of this state of the library, such as 26")
    parser.add_argument("--figure", type=Path, default=None, help="where to draw the figure, for example docs/planted.svg")
    arguments = parser.parse_args()
    if arguments.full:
        arguments.effects, arguments.prevalence, arguments.strata = list(EFFECTS), list(PREVALENCES), list(STRATA)
    return arguments


def main() -> int:
    """Runs what is not finished yet and prints the tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that workers are ended too
    arguments = _arguments()
    cells = list(grid(arguments.kinds, arguments.effects, arguments.prevalence, arguments.strata))
    where = Where(arguments.out, arguments.cache)
    if arguments.go_on:
        kept.bring_back(arguments.go_on, Records(arguments.out))
    if not arguments.tables and not arguments.kept:
        for phase in arguments.phases:
            run_all({"climb": _climbs, "equal": _equals, "null": _nulls}[phase](arguments, cells), where, arguments.jobs)
    rows = kept.read() if arguments.kept else Records(arguments.out).rows
    sys.stdout.write(tables.everything(rows, arguments.seeds) + "\n")
    if arguments.figure is not None:
        from benchmarks.planted.figure import draw_figure

        draw_figure(rows, arguments.figure, arguments.seeds)
    return 0


def _climbs(arguments: argparse.Namespace, cells: list[Cell]) -> list[Task]:
    budgets = tuple(sorted(arguments.budgets))
    return [Task(cell, name, budgets, arguments.seeds) for cell in cells for name in arguments.strategies]


def _equals(arguments: argparse.Namespace, cells: list[Cell]) -> list[Task]:
    """All strategies and peers at the budget that active needed."""
    peers = [name for name in arguments.peers if installed(name)]
    for name in sorted(set(arguments.peers) - set(peers)):
        sys.stderr.write(f"{name} is not installed and is left out; `uv pip install -c requirements.lock -e '.[peers]'` brings it\n")
    steps = tables.by_step(Records(arguments.out).rows)
    tasks: list[Task] = []
    for cell in cells:
        found = tables.reached(steps[cell, "active"], arguments.seeds)
        if found is not None:
            tasks += [Task(cell, name, (found.budget,), arguments.seeds, every=True) for name in (*STRATEGIES, *peers)]
    return tasks


def _nulls(arguments: argparse.Namespace, cells: list[Cell]) -> list[Task]:
    """Worlds in which nothing was planted, in parts that can be shared among the jobs."""
    del cells
    step = max(1, arguments.null_seeds // 10)
    return [
        Task(Cell("word", 0.0, 1.0, strata), name, (max(NULL_BUDGET, 4 * strata),), first + step, every=True, first=first)
        for strata in arguments.strata
        for name in arguments.strategies
        for first in range(0, arguments.null_seeds, step)
    ]


if __name__ == "__main__":
    sys.exit(main())
