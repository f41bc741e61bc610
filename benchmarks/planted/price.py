"""The price of not knowing: texts that exploring must spend, all strata alike, until the planted sentence stands out.

The oracle (`bound`) knows strata and sentence. Here the sentence's payoffs are simulated in all strata, and the figure is the smallest
number of texts at which its evidence, the larger of all strata together and some of them (`inference.places`), has in the median audit a
nat more than the best of a thousand rivals has by chance: log 1000 + 1. What confirming costs comes on top; an audit that finds the place
meanwhile needs less. .venv/bin/python -m benchmarks.planted.price"""

from __future__ import annotations

import math
import sys

import numpy as np

from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import best_growth
from auto_interventions.inference.places import evidence_of_places
from benchmarks.planted.bound import mark_rates, oracle_texts
from benchmarks.planted.informed import RIVALS, informed_texts
from benchmarks.planted.pool import load_pool
from benchmarks.planted.world import Cell, World

_AUDITS = 60
_STEP = 1.05
_MOST = 4_000  # pairs a stratum
CELLS = [(kind, effect, share) for share in (0.1, 0.02) for effect in (0.4, 0.2, 0.1, 0.05, 0.02) for kind in ("word", "meaning")]


def exploring_texts(rate_base: float, rate_intervention: float, affected: int, strata: int, bar: float = math.log(RIVALS) + 1) -> float:
    """Texts of both models, pairs spread evenly over the strata; infinite beyond 4,000 pairs a stratum.

    >>> exploring_texts(0.0, 0.4, 100, 100) <= 400
    True
    """
    random = generator("price of not knowing", affected, strata, round(1e6 * rate_base), round(1e6 * rate_intervention))
    rates = np.where(np.arange(strata) < affected, rate_intervention, rate_base)
    pairs = 1
    while pairs <= _MOST:
        won = random.binomial(pairs, rates * (1 - rate_base), (_AUDITS, strata)).astype(np.float64)
        lost = random.binomial(pairs, rate_base * (1 - rates), (_AUDITS, strata)).astype(np.float64)
        second = (won + lost).sum(axis=1) / (strata * pairs)
        mean = np.maximum((won - lost).sum(axis=1), 0.0) / (strata * pairs)
        everywhere = strata * pairs * best_growth(mean, np.maximum(second, 1e-9))
        if np.median(np.maximum(everywhere, evidence_of_places(won, lost))) >= bar:
            return 2.0 * strata * pairs
        pairs = max(pairs + 1, int(_STEP * pairs))
    return math.inf


def _told(texts: float) -> str:
    return f"{texts:,.0f}" if texts < math.inf else "not reached"


def main() -> int:
    """Prints the table."""
    pool = load_pool()
    sys.stdout.write("| affected | effect | kind | oracle | informed | until it stands out |\n| --- | --- | --- | --- | --- | --- |\n")
    for kind, effect, share in CELLS:
        rates = mark_rates(World(Cell(kind, effect, share, 100), 0, pool))
        informed, found = informed_texts(*rates, round(100 * share), 100), exploring_texts(*rates, round(100 * share), 100)
        sys.stdout.write(f"| {share:.0%} | {effect:.0%} | {kind} | {oracle_texts(*rates):,.0f} | {_told(informed)} | {_told(found)} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
