"""What it costs that Dask's workers give freed memory back at once: processor seconds of the same texts of the demo's base.

    .venv/bin/python -m benchmarks.freed

Three ways in turns: a worker as Dask starts it, a worker as `--runner dask` starts it (it keeps what is freed, flows/runners.py), a process
without Dask. Processor time, because a busy machine changes it less than the clock's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

from auto_interventions.audit_file import load_audit
from auto_interventions.crew import Crew
from auto_interventions.flows import runners
from auto_interventions.prompts import load_prompts
from auto_interventions.subjects import Request
from benchmarks.runners import DEMO, generate, one_core_each, worked

BATCH_TOKENS = 8_192


def alone(requests: list[Request]) -> float:
    """Processor seconds of this process for the texts."""
    before = worked()
    generate(None, requests, BATCH_TOKENS)
    return worked() - before


def with_worker(crew: Crew) -> Callable[[list[Request]], float]:
    """The same of the crew's one worker."""

    def spent(requests: list[Request]) -> float:
        before = sum(crew.require(worked).values())
        generate(crew, requests, BATCH_TOKENS)
        return sum(crew.require(worked).values()) - before

    return spent


def main() -> None:
    """Prints medians and ratios of the same run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=429)
    parser.add_argument("--repeats", type=int, default=4)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    prompts = load_prompts(load_audit(DEMO / "audit.yaml").prompts, (), 0)
    requests = [Request(prompt, 0, 7) for prompt in prompts[: given.prompts]]
    with ExitStack() as stack:
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(1))
        with patch.object(runners, "_KEEP_FREED", {"MALLOC_TRIM_THRESHOLD_": 65_536}):
            dasks = stack.enter_context(one_core_each(1))
        ours = stack.enter_context(one_core_each(1))
        ways: dict[str, Callable[[list[Request]], float]] = {
            "a worker as Dask starts it": with_worker(dasks),
            "a worker as we start it": with_worker(ours),
            "a process without Dask": lambda texts: pool.apply(alone, (texts,)),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for repeat in range(given.repeats + 1):
            for name, way in ways.items():
                seconds = way(requests if repeat else requests[:40])  # first the models are loaded
                if repeat:
                    spent[name].append(seconds)
    bare = spent["a process without Dask"]
    for name, seconds in spent.items():
        ratios = [one / other for one, other in zip(seconds, bare, strict=True)]
        sys.stdout.write(
            f"{name}: {statistics.median(seconds):.1f} s, {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})\n"
        )


if __name__ == "__main__":
    main()
