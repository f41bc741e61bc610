"""Do shares of variance come out as they are, and do their intervals hold them? The table of docs/statistics/variance-shares.md.

    .venv/bin/python -m benchmarks.shares --tables 1000

Each row draws tables of known shares; the last draws yes/no texts whose sentences are correlated, because one text serves them all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
from scipy.stats import norm

from auto_interventions.inference.variance_shares import RESIDUAL, variance_shares
from auto_interventions.records import FloatArray

FACTORS = ("run", "stratum", "sentence")
Spread = Mapping[str, float]
Shape = tuple[int, int, int]
Make = Callable[[np.random.Generator, Shape], FloatArray]

TYPICAL: Spread = {"h": 0.2, "sh": 0.08, "rh": 0.03, "s": 0.02, "r": 0.01, "rs": 0.01, "rsh": 0.06}
EVEN: Spread = dict.fromkeys(("r", "s", "h", "rs", "rh", "sh", "rsh"), 0.1)
NO_RUN: Spread = {"h": 0.2, "sh": 0.08, "rsh": 0.06}
RUNS: Spread = {"h": 0.05, "rh": 0.15, "r": 0.1, "rsh": 0.05}
CASES: tuple[tuple[str, Spread, str, Shape], ...] = (
    ("sentences, mostly", TYPICAL, "normal", (3, 8, 15)),
    ("sentences, mostly", TYPICAL, "normal", (2, 6, 8)),
    ("all seven alike", EVEN, "normal", (3, 8, 15)),
    ("all seven alike", EVEN, "normal", (6, 8, 30)),
    ("no run differs", NO_RUN, "normal", (3, 8, 15)),
    ("runs, mostly", RUNS, "normal", (3, 8, 15)),
    ("sentences, mostly; theirs Laplace's", TYPICAL, "laplace", (3, 8, 15)),
    ("sentences, mostly; theirs exponential", TYPICAL, "exponential", (3, 8, 15)),
    ("no run differs; sentences' exponential", NO_RUN, "exponential", (6, 8, 30)),
)
PROMPTS = 25  # a cell, of yes/no texts
SENTENCE, PLACE = 0.2, 0.08  # spread of the rates of yes/no texts: by sentence, by sentence and stratum
OWN, SHARED = 0.25, 0.15  # of the latent variance of a text: its own for all sentences, its prompt's for all runs


def effects(spread: Spread, law: str) -> Make:
    """Tables with an effect of every factor and combination; those of sentences alone follow `law`."""
    laws: dict[str, Callable[[np.random.Generator, list[int]], FloatArray]] = {
        "normal": lambda random, sizes: random.standard_normal(sizes),
        "laplace": lambda random, sizes: random.laplace(scale=np.sqrt(0.5), size=sizes),
        "exponential": lambda random, sizes: random.exponential(size=sizes) - 1,
    }

    def make(random: np.random.Generator, shape: Shape) -> FloatArray:
        values = np.zeros(shape)
        for chosen in [chosen for size in (1, 2, 3) for chosen in combinations(range(3), size)]:
            name = "".join("rsh"[axis] for axis in chosen)
            if name in spread:
                sizes = [shape[axis] if axis in chosen else 1 for axis in range(3)]
                values = values + spread[name] * laws[law if "h" in name and name != "rsh" else "normal"](random, sizes)
        return values

    return make


def truth(spread: Spread) -> dict[str, float]:
    """The share of each source."""
    whole = sum(value**2 for value in spread.values())
    first = {letter: sum(value**2 for name, value in spread.items() if name[0] == letter and name != "rsh") for letter in "rsh"}
    return dict(zip((*FACTORS, RESIDUAL), [first[letter] / whole for letter in "rsh"] + [spread["rsh"] ** 2 / whole], strict=True))


def yes_no(random: np.random.Generator, shape: Shape) -> FloatArray:
    """Differences of the rates of texts of runs that do not differ, a base of one half."""
    runs, strata, sentences = shape
    rates = np.clip(0.5 + SENTENCE * random.standard_normal(sentences) + PLACE * random.standard_normal((strata, sentences)), 0.02, 0.98)
    prompts = np.sqrt(SHARED) * random.standard_normal((strata, PROMPTS, 1))
    values = np.empty(shape)
    for run in range(runs):
        texts = np.sqrt(OWN) * random.standard_normal((strata, PROMPTS, 1))
        latent = prompts + texts + np.sqrt(1 - OWN - SHARED) * random.standard_normal((strata, PROMPTS, sentences))
        base = random.random((strata, PROMPTS, sentences)) < 0.5
        values[run] = ((latent < norm.ppf(rates)[:, None, :]).astype(float) - base).mean(axis=1)
    return values


def yes_no_truth() -> dict[str, float]:
    """Of `yes_no`, chance as it is without the clipping of rates."""
    chance = (0.25 + 0.25 - SENTENCE**2 - PLACE**2) / PROMPTS
    parts = [0.0, PLACE**2, SENTENCE**2, chance]
    return dict(zip((*FACTORS, RESIDUAL), [part / sum(parts) for part in parts], strict=True))


def row(label: str, shape: Shape, make: Make, true: Mapping[str, float], tables: int) -> str:
    """True share: mean estimate, coverage (mean width) of each source."""
    random = np.random.default_rng(7)
    found = [variance_shares(make(random, shape), FACTORS, seed=number).sources for number in range(tables)]
    cells = [f"{label:38}", " × ".join(str(size) for size in shape)]
    for name, share in true.items():
        told = [one[name] for one in found]
        covered = np.mean([one.interval[0] <= share <= one.interval[1] for one in told])
        width = np.mean([one.interval[1] - one.interval[0] for one in told])
        cells.append(f"{share:.0%}: {np.mean([one.share or 0.0 for one in told]):.0%}, {covered:.0%} ({width:.2f})")
    return " | ".join(cells)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description=__doc__)
    parser.add_argument("--tables", type=int, default=1_000, help="of each row")
    tables = parser.parse_args().tables
    sys.stdout.write("effects | runs × strata × sentences | run | stratum | sentence | rest\n")
    for label, spread, law, shape in CASES:
        sys.stdout.write(row(label, shape, effects(spread, law), truth(spread), tables) + "\n")
        sys.stdout.flush()
    sys.stdout.write(row("no run differs; yes/no texts", (3, 8, 15), yes_no, yes_no_truth(), tables) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
