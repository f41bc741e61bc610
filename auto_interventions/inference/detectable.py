"""The smallest difference that a run could have seen: what "no difference found" is worth.

Formula.  Simulate the very test that the run makes: every prompt has its own rates, yes/no scores are drawn for `pairs` pairs spread
evenly over `prompts`, the two-sided mixture bets on them, and the sentence is validated if its e-value passes both bars when no other
evidence helps:

    e-BH for one true sentence among H:       W ≥ H/α
    gatekeeper, all else at its start of 1:   (1 + 1 + W/H)/3 ≥ 1/α   ⟺   W ≥ H (3/α − 2)     (the higher of the two)

The smallest rise d over `base_rate` that is validated in a share `power` of the simulations is found by bisection. For yes/no scores
the capital depends only on how many pairs favour each side, so the simulation draws counts.

What it says: a change of ONE yes/no sentence, *among those tested*, from base_rate to base_rate + d on average over all prompts, would
have been validated with probability ≥ `power`. It says nothing on changes that no tested sentence describes. It is careful: evidence
from exploring, from other sentences and from earlier peeks would only help. Prompts are taken to differ: rates are beta-distributed
between prompts with intraclass correlation 0.1.

Edge cases.  No pairs or no prompts, or nothing detectable: 1.0. No hypotheses count as one.

Sources: design by simulation of the test itself; e-BH: Wang & Ramdas 2022, arXiv:2009.02824.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv, logsumexp

from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import log_growth, start_log_wealth
from auto_interventions.records import FloatArray, IntArray

_SIMULATIONS = 300
_CORRELATION = 0.1
_STEPS = 9


@lru_cache(maxsize=256)
def smallest_detectable(
    pairs: int, prompts: int, hypotheses: int, alpha: float, base_rate: float = 0.05, power: float = 0.8, seed: int = 0
) -> float:
    """Smallest rise of a rate over `base_rate` that would have been validated with probability `power`.

    Args:
        pairs: judged pairs in all.
        prompts: distinct prompts among them.
        hypotheses: sentences tested.
        alpha: level of e-BH and of the gatekeeper.

    Raises:
        ValueError: base_rate outside [0, 1) or alpha outside (0, 1).

    >>> few, many = smallest_detectable(100, 100, 40, 0.05), smallest_detectable(2000, 500, 40, 0.05)
    >>> 0.02 < many < few < 0.5
    True
    """
    if not 0 < alpha < 1 or not 0 <= base_rate < 1:
        raise ValueError(f"alpha {alpha} must lie in (0, 1) and base_rate {base_rate} in [0, 1)")
    prompts = min(prompts, pairs)
    if prompts < 1:
        return 1.0
    families = max(hypotheses, 1)
    bar = math.log(families) + math.log(max(1 / alpha, 3 / alpha - 2))
    draw = _Draws(pairs, prompts, seed)

    def seen(rise: float) -> bool:
        return float((draw.log_e(base_rate, base_rate + rise) >= bar).mean()) >= power

    low, high = 0.0, 1.0 - base_rate
    if not seen(high):
        return 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


class _Draws:
    """The same random stream for every rise, so that the simulated power grows with the rise."""

    def __init__(self, pairs: int, prompts: int, seed: int) -> None:
        self.parts = ("smallest-detectable", seed, pairs, prompts)
        units = min(prompts, 400)  # with more prompts than this their scatter no longer matters
        self.pairs: IntArray = np.full(units, pairs // units)
        self.pairs[: pairs % units] += 1

    def log_e(self, base_rate: float, intervention_rate: float) -> FloatArray:
        """Log e-values of the simulations, (simulations,)."""
        random = generator(*self.parts)
        ranks = random.random((2, _SIMULATIONS, len(self.pairs)))
        before, after = _rates(ranks[0], base_rate), _rates(ranks[1], intervention_rate)
        decided = before * (1 - after) + after * (1 - before)  # chance that only one text of a pair shows it
        discordant = random.binomial(self.pairs, decided)
        gained = random.binomial(discordant, after * (1 - before) / np.maximum(decided, 1e-12)).sum(axis=1)
        lost = discordant.sum(axis=1) - gained
        growth = log_growth(np.array([1.0, -1.0]), two_sided=True)
        return np.asarray(logsumexp(start_log_wealth(1, True) + np.outer(gained, growth[0]) + np.outer(lost, growth[1]), axis=1))


def _rates(ranks: FloatArray, mean: float) -> FloatArray:
    """Beta-distributed rates of prompts, by their ranks; `betaincinv` is slow, so from a table."""
    if mean <= 0 or mean >= 1:
        return np.full(ranks.shape, float(np.clip(mean, 0, 1)))
    size = 1 / _CORRELATION - 1
    table = np.linspace(0.0005, 0.9995, 1000)
    return np.interp(ranks, table, betaincinv(mean * size, (1 - mean) * size, table))
