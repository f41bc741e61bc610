"""What an informed bettor needs: one that knows everything of the cell but which of a thousand sentences was planted, and where.

It knows how often the mark shows under both models, how many strata are affected, and that one of `RIVALS` sentences, all as frequent, is
the planted one. It keeps the exact posterior over sentences and strata, draws its next pairs where the posterior says that the change is
(a tenth of them anywhere), and is done when the posterior of the planted sentence exceeds 0.95. No audit knows that much, and an audit has
to confirm on fresh pairs besides; so what even this one needs in 95% of simulated audits no rule can be asked to beat by much. It is no
proof: the bettor looks one batch ahead. Beside `bound.py` (strata and sentence known) and `price.py` (what the audit's own evidence needs,
asked evenly) it says how much of the gap is the knowing and how much the rule.

Source of the rule: Thompson 1933, On the likelihood that one unknown probability exceeds another, Biometrika 25:285–294."""

from __future__ import annotations

import math

import numpy as np

from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatArray

RIVALS = 1_000
AUDITS = 20
_SURE = 0.95
_START = 1  # pairs a stratum before the posterior is asked
_BATCH, _STEP = 50, 0.05  # pairs at least, and as a share of those drawn
_MOST = 200_000  # pairs
# No word is so rare that no text has it by chance.
_RAREST = 1e-3


def informed_texts(rate_base: float, rate_intervention: float, affected: int, strata: int, recall: float = 0.95) -> float:
    """Texts of both models at which at least `recall` of `AUDITS` simulated audits are sure; infinite beyond 400,000.

    >>> informed_texts(0.0, 0.4, 100, 100) <= 400
    True
    """
    rates = max(rate_base, _RAREST), max(rate_intervention, _RAREST)
    if rates[0] == rates[1]:
        return math.inf
    needed = sorted(_texts(*rates, affected, strata, audit) for audit in range(AUDITS))
    return needed[math.ceil(recall * AUDITS) - 1]


def _texts(base: float, planted: float, affected: int, strata: int, audit: int) -> float:
    random = generator("informed bettor", audit, affected, strata, round(1e6 * base), round(1e6 * planted))
    changed = (planted * (1 - base), base * (1 - planted))  # a pair is won, lost
    same = base * (1 - base)
    says = np.log([changed[0] / same, changed[1] / same, (1 - sum(changed)) / (1 - 2 * same)])
    share = affected / strata
    won, lost, drawn = np.zeros((RIVALS, strata)), np.zeros((RIVALS, strata)), np.zeros(strata, dtype=np.int64)
    pairs = np.full(strata, _START)
    while drawn.sum() < _MOST:
        chances = np.full((2, RIVALS, strata), same)
        chances[:, 0, :affected] = np.array(changed)[:, None]  # which sentence and which strata makes no difference to a symmetric rule
        new = random.binomial(pairs, chances[0])
        won += new
        lost += random.binomial(pairs - new, chances[1] / (1 - chances[0]))
        drawn += pairs
        ratio = won * says[0] + lost * says[1] + (drawn - won - lost) * says[2]
        either = np.logaddexp(np.log1p(-share), np.log(share) + ratio) if affected < strata else ratio
        belief = _softmax(either.sum(axis=1))
        if belief[0] > _SURE:
            return 2.0 * float(drawn.sum())
        there = belief @ np.exp(math.log(share) + ratio - either)
        pairs = random.multinomial(max(_BATCH, int(_STEP * drawn.sum())), 0.9 * there / there.sum() + 0.1 / strata)
    return math.inf


def _softmax(logs: FloatArray) -> FloatArray:
    powers = np.exp(logs - logs.max())
    return powers / powers.sum()
