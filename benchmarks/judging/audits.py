"""Which audits the benchmark runs, in processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.judging.arms import ARMS, Arm, Outcome, audit, run, settings
from benchmarks.judging.models import Skill
from benchmarks.judging.world import World, plants

NULLS = 24  # sentences beside the true ones
_NOISY = {"null, cascade": Arm(Skill(0.55, 0.4, 0.5), Skill(0.8, 0.2, 0.5)), "null, cheap alone": Arm(Skill(0.55, 0.4, 0.5), None)}
_NULL_SENTENCES, _NULL_CAP = 10, 150


def differing(seed: int, caps: Sequence[int]) -> list[Outcome]:
    """All arms in one world."""
    world = World(plants(NULLS), seed)
    return [run(name, world, cap) for name, arm in ARMS.items() for cap in (caps[:1] if arm.published else caps)]


def null(seed: int, caps: Sequence[int]) -> list[Outcome]:
    """Biased, noisy judges in a world without differences."""
    del caps
    world = World(plants(_NULL_SENTENCES, true=()), seed)
    return [audit(name, arm, world, settings(arm, _NULL_CAP, seed)) for name, arm in _NOISY.items()]


def everywhere(work: Callable[[int, Sequence[int]], list[Outcome]], seeds: int, caps: Sequence[int], jobs: int) -> list[Outcome]:
    """`work` for each seed, in processes."""
    found: list[Outcome] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done, outcomes in enumerate(pool.map(work, range(seeds), [caps] * seeds), 1):
            found += outcomes
            sys.stderr.write(f"\r{work.__name__}: {done} of {seeds} worlds")
    sys.stderr.write("\n")
    return found
