"""Which bettor, and which discriminator, needs the fewest pairs?

Three tables. (1) Bettors on simulated payoffs: median pairs to an e-value of 20 and of 3000. (2) The same bettors under nulls: the
share of runs that ever reach 20, which must not exceed 5%. (3) Discriminators on pairs of texts of the demo's models, asked in random
order and learned as an audit does: median over orders of the log e-value at the end and of the pairs to 20. A few minutes on two
cores; texts and vectors are kept under --cache.

    .venv/bin/python benchmarks/bets.py
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, vstack
from scipy.special import expit, logsumexp

from auto_interventions.config import EmbeddingConfig, SamplingConfig, SubjectConfig
from auto_interventions.embedding import open_encoder
from auto_interventions.exploring import Discriminator, text_features
from auto_interventions.exploring.discriminator import width
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import log_growth, start_log_wealth
from auto_interventions.records import Prompt
from auto_interventions.subjects import Request, open_subject

DEMO = Path(__file__).resolve().parent.parent / "demo"
Array = np.ndarray[Any, Any]
NEVER = 10**9

# --- bettors: payoffs (runs, n) → log-wealth after each bet (runs, n); one-sided, they bet on x > 0 only ---------------------------------


def mixture(x: Array, prior: Array | None = None) -> Array:
    """The library's: a mixture over a grid of fractions."""
    growth = np.cumsum(log_growth(x, two_sided=False), axis=1)
    start = start_log_wealth(1, two_sided=False, prior=None if prior is None else prior[None])
    return np.asarray(logsumexp(growth + start[0], axis=2))


def informed(x: Array) -> Array:
    """The same with a prior learned from 100 payoffs of another stratum (here: of another run), half of it kept even."""
    others = np.roll(x, 1, axis=0)[:, :100]
    weights = log_growth(others, two_sided=False).sum(axis=1)
    posterior = np.exp(weights - logsumexp(weights, axis=1, keepdims=True))
    prior = 0.5 * posterior + 0.5 / posterior.shape[1]
    growth = np.cumsum(log_growth(x, two_sided=False), axis=1)
    return np.asarray(logsumexp(growth + np.log(prior)[:, None], axis=2))


def _sequential(x: Array, fraction: Callable[[Array, Array, int, Array], Array]) -> Array:
    """A bettor that names its next fraction from the sums of x and of x², their number and its last fraction."""
    runs, n = x.shape
    total, squares, stake = np.zeros(runs), np.zeros(runs), np.zeros(runs)
    wealth = np.zeros((runs, n))
    capital = np.zeros(runs)
    for step in range(n):
        stake = fraction(total, squares, step, stake)
        capital = capital + np.log1p(stake * x[:, step])
        wealth[:, step] = capital
        total, squares = total + x[:, step], squares + x[:, step] ** 2
    return wealth


def agrapa(x: Array) -> Array:
    """Approximate growth-rate adaptive to the particular alternative: mean / second moment so far (Waudby-Smith & Ramdas 2023)."""
    return _sequential(x, lambda total, squares, _, __: np.clip(total / (squares + 1.0), 0.0, 0.97))


def kt(x: Array) -> Array:
    """Krichevsky–Trofimov coin betting: mean so far (Orabona & Pál 2016)."""
    return _sequential(x, lambda total, _, step, __: np.clip(total / (step + 1.0), 0.0, 0.97))


def ons(x: Array, most: float = 0.5) -> Array:
    """Online Newton step (Cutkosky & Orabona 2018; Shekhar & Ramdas 2023): fractions in [0, ½], where its regret bound holds."""
    runs, n = x.shape
    stake, curvature, capital = np.zeros(runs), np.ones(runs), np.zeros(runs)
    wealth = np.zeros((runs, n))
    for step in range(n):
        now = x[:, step]
        capital = capital + np.log1p(stake * now)
        wealth[:, step] = capital
        slope = -now / (1 + stake * now)
        curvature = curvature + slope**2
        stake = np.clip(stake - 2 / (2 - np.log(3)) * slope / curvature, 0.0, most)
    return wealth


BETTORS: dict[str, Callable[[Array], Array]] = {
    "mixture": mixture,
    "informed": informed,
    "ONS": ons,
    "ONS to 0.97": lambda x: ons(x, 0.97),
    "aGRAPA": agrapa,
    "KT": kt,
}


def _signs(random: np.random.Generator, shape: tuple[int, int], up: float, down: float) -> Array:
    drawn = random.random(shape)
    return np.where(drawn < up, 1.0, np.where(drawn < up + down, -1.0, 0.0))


LAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "1% wins": lambda random, shape: _signs(random, shape, 0.01, 0),
    "2% wins": lambda random, shape: _signs(random, shape, 0.02, 0),
    "5% wins": lambda random, shape: _signs(random, shape, 0.05, 0),
    "20% wins": lambda random, shape: _signs(random, shape, 0.2, 0),
    "5% wins, 1% losses": lambda random, shape: _signs(random, shape, 0.05, 0.01),
    "55% against 45%": lambda random, shape: _signs(random, shape, 0.55, 0.45),
    "mean 0.05, sd 0.2": lambda random, shape: np.clip(random.normal(0.05, 0.2, shape), -1, 1),
    "2% wins, sd 0.1": lambda random, shape: np.clip(_signs(random, shape, 0.02, 0) + random.normal(0, 0.1, shape), -1, 1),
    "skewed": lambda random, shape: np.clip(random.exponential(0.25, shape) - 0.2, -1, 1),
}
NULLS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "±1": lambda random, shape: _signs(random, shape, 0.5, 0.5),
    "±1 in 4%": lambda random, shape: _signs(random, shape, 0.02, 0.02),
    "sd 0.3": lambda random, shape: np.clip(random.normal(0, 0.3, shape), -1, 1),
}


def first(wealth: Array, level: float) -> Array:
    """(runs,) number of bets until the e-value reaches `level`; `NEVER` if it does not."""
    reached = wealth >= np.log(level)
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, NEVER)


def _shown(number: float) -> str:
    return f"{number:.0f}" if number < NEVER / 2 else "–"


def compare_bettors(runs: int, pairs: int) -> None:
    """Prints tables 1 and 2."""
    _line("payoffs", *(f"{name}" for name in BETTORS))
    for law, draw in LAWS.items():
        x = draw(generator("bets", law), (runs, pairs))
        reached = [[float(np.median(first(wealth, level))) for level in (20, 3000)] for wealth in (bet(x) for bet in BETTORS.values())]
        _line(law, *(" / ".join(map(_shown, cell)) for cell in reached))
    _line("")
    for law, draw in NULLS.items():
        x = draw(generator("bets", "null", law), (4 * runs, 1000))
        _line(f"null: {law}", *(f"{np.mean(first(bet(x), 20) < NEVER):.3f}" for bet in BETTORS.values()))
    _line("")


# --- discriminators ---------------------------------------------------------------------------------------------------------------------


class Learner(Protocol):
    """What bets are made with."""

    def payoffs_of(self, differences: csr_matrix, strata: Array) -> Array:
        """(bettors, n)."""
        ...

    def learn(self, differences: csr_matrix, strata: Array) -> Learner:
        """After these pairs too."""
        ...


class Refit:
    """What the library had before: ridge logistic regression fitted anew on all past pairs, and in each stratum of 30 pairs or more."""

    def __init__(self, past: csr_matrix | None = None, strata: Array | None = None) -> None:
        """Fits at once."""
        self.past, self.strata = past, strata
        self.own: dict[int, Array] = {}
        if past is None or strata is None:
            return
        self.weights = _ridge(past, np.zeros(len(strata)), 2.0)
        for stratum, count in zip(*np.unique(strata, return_counts=True), strict=True):
            if count >= 30:
                rows = np.flatnonzero(strata == stratum)
                self.own[int(stratum)] = _ridge(csr_matrix(past[rows]), past[rows] @ self.weights, 6.0)

    def payoffs_of(self, differences: csr_matrix, strata: Array) -> Array:
        """See `Learner`."""
        if self.past is None:
            return np.zeros((2, len(strata)))
        logits = np.asarray(differences @ self.weights)
        local = logits.copy()
        for stratum, weights in self.own.items():
            rows = np.flatnonzero(strata == stratum)
            local[rows] += differences[rows] @ weights
        return np.clip(np.stack([logits, local]) / 2, -1, 1)

    def learn(self, differences: csr_matrix, strata: Array) -> Refit:
        """See `Learner`."""
        if self.past is None or self.strata is None:
            return Refit(differences, strata)
        return Refit(csr_matrix(vstack([self.past, differences])), np.concatenate([self.strata, strata]))


def _ridge(differences: csr_matrix, offsets: Array, ridge: float) -> Array:
    matrix = csr_matrix(differences, dtype=np.float64)
    transposed = csr_matrix(matrix.T)

    def loss(weights: Array) -> tuple[float, Array]:
        logits = offsets + matrix @ weights
        value = float(np.logaddexp(0, -logits).sum()) + ridge / 2 * float(weights @ weights)
        return value, ridge * weights - transposed @ expit(-logits)

    start = np.zeros(width(matrix))
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60, "maxcor": 8, "gtol": 1e-3}).x)


def follow(learner: Learner, differences: csr_matrix, strata: Array, order: Array) -> Array:
    """(bettors, n) payoffs of pairs in this order: each chunk bet, then learned; chunks double up to a round of 100 pairs."""
    found: list[Array] = []
    begin, size = 0, 16
    while begin < len(order):
        rows = order[begin : begin + size]
        pairs = csr_matrix(differences[rows])
        found.append(learner.payoffs_of(pairs, strata[rows]))
        learner = learner.learn(pairs, strata[rows])
        begin, size = begin + len(rows), min(max(size, begin + len(rows)), 100)
    return np.concatenate(found, axis=1)


def demo_texts(folder: Path, name: str, count: int) -> tuple[list[str], Array, list[str]]:
    """Texts of one of the demo's models to `count` prompts, their vectors and strata; generated once."""
    path = folder / f"bets-{name}-{count}.npz"
    if not path.exists():
        rows = [json.loads(line) for line in (DEMO / "prompts.jsonl").read_text(encoding="utf-8").splitlines()][:count]
        requests = [Request(Prompt(row["prompt"], row["stratum"]), 0, 1) for row in rows]
        adapter = None if name in ("base", "again") else str(DEMO / "adapters" / name)
        model = SubjectConfig(model=str(DEMO / "models" / "base"), adapter=adapter)
        role = "base" if name == "base" else "intervention"
        texts = [text.text for text in open_subject(model, role, SamplingConfig(seed=5, max_new_tokens=64), None).generate(requests)]
        vectors = open_encoder(EmbeddingConfig()).encode(texts)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, texts=np.array(texts), vectors=vectors, strata=np.array([row["stratum"] for row in rows]))
    kept = np.load(path)
    return list(map(str, kept["texts"])), kept["vectors"], list(map(str, kept["strata"]))


def compare_discriminators(folder: Path, count: int, orders: int) -> None:
    """Prints table 3, and how the bettors fare on the library's payoffs."""
    names = ("refit", "streaming")
    shown = [f"{name}, {row}" for name in names for row in ("global", "local", "both")]
    _line("log e-value / pairs to 20", *shown)
    seconds = dict.fromkeys(names, 0.0)
    texts, vectors, labels = demo_texts(folder, "base", count)
    strata = np.unique(labels, return_inverse=True)[1]
    base = text_features(texts, vectors)
    kept: dict[str, Array] = {}
    for name in ("broad", "format", "mixed", "narrow", "rare", "again"):
        texts, vectors, _ = demo_texts(folder, name, count)
        differences = csr_matrix(text_features(texts, vectors) - base)
        cells: list[str] = []
        for learner in names:
            begun = time.process_time()
            start: Learner = Refit() if learner == "refit" else Discriminator.start(width(differences))
            orderings = [generator("bets order", order).permutation(count) for order in range(orders)]
            payoffs = np.stack([follow(start, differences, strata, order) for order in orderings])
            seconds[learner] += time.process_time() - begun
            single = [mixture(payoffs[:, row]) for row in (0, 1)]
            for wealth in (*single, np.logaddexp(*single) - np.log(2)):
                cells.append(f"{np.median(wealth[:, -1]):.1f} / {_shown(float(np.median(first(wealth, 20))))}")
            kept[name] = payoffs[:, 0]
        _line(name, *cells)
    _line("seconds", *(f"{seconds[name]:.1f}" if row == 0 else "" for name in names for row in range(3)))
    _line("")
    _line("pairs to 20 / 3000", *BETTORS)
    for name, x in kept.items():
        reached = [[float(np.median(first(wealth, level))) for level in (20, 3000)] for wealth in (bet(x) for bet in BETTORS.values())]
        _line(f"payoffs of {name}", *(" / ".join(map(_shown, cell)) for cell in reached))


def _line(head: str, *cells: str) -> None:
    sys.stdout.write(f"{head:26}" + "".join(f"{cell:>19}" for cell in cells) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=3000, help="payoffs a simulated run")
    parser.add_argument("--texts", type=int, default=1600, help="pairs of texts of each of the demo's models")
    parser.add_argument("--orders", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auto-interventions-bets")
    arguments = parser.parse_args()
    compare_bettors(arguments.runs, arguments.pairs)
    compare_discriminators(arguments.cache, arguments.texts, arguments.orders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
