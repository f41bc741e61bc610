"""The command line of the planted benchmark."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.planted.grid import LADDER, Task, Where, grid, run_all
from benchmarks.planted.plants import KINDS

STRATEGIES = ("active", "exhaustive", "uniform", "boundary", "divergence")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted", description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--effects", nargs="+", type=float, default=[0.4, 0.1])
    parser.add_argument("--prevalence", nargs="+", type=float, default=[1.0, 0.1, 0.02])
    parser.add_argument("--strata", nargs="+", type=int, default=[100])
    parser.add_argument("--strategies", nargs="+", default=["active", "exhaustive"], choices=STRATEGIES)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budgets", nargs="+", type=int, default=list(LADDER))
    parser.add_argument("--every", action="store_true", help="all seeds at every budget, instead of climbing to the target")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("planted.jsonl"), help="finished audits; the benchmark goes on from what is there")
    parser.add_argument("--cache", type=Path, default=None, help="folder of the pool's embeddings (default: the user cache)")
    return parser.parse_args()


def main() -> int:
    """Runs the tasks that are not finished yet."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that workers are ended too
    arguments = _arguments()
    cells = list(grid(arguments.kinds, arguments.effects, arguments.prevalence, arguments.strata))
    budgets = tuple(sorted(arguments.budgets))
    tasks = [Task(cell, name, budgets, arguments.seeds, arguments.every) for cell in cells for name in arguments.strategies]
    run_all(tasks, Where(arguments.out, arguments.cache), arguments.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
