"""The fewest texts that any bettor could need in a cell: an oracle that knows where the models differ, how, and how much.

Formula.  At affected prompts a text shows the plant with probability p₀ under the base and p₁ under the intervention. The oracle draws
pairs there only and bets on the plant itself, x = mark(intervention) − mark(base), with the best stake λ = (p₊ − p₋)/(p₊ + p₋), where
p₊ = p₁(1 − p₀), p₋ = p₀(1 − p₁). Its capital grows by

    g = p₊ log(1 + λ) + p₋ log(1 − λ)        nats a pair,

so that (Wald 1945) it takes log(1/α)/g pairs on average, two texts each, to reach the one hypothesis' bar of 1/α. Every audit must besides
find out where, what and how much, and share α over the sentences that it tests; the distance from this figure is the price of that.

Source: Wald 1945, Sequential tests of statistical hypotheses, Annals of Mathematical Statistics 16:117–186; Kelly 1956."""

from __future__ import annotations

import math

from benchmarks.planted.world import World


def oracle_texts(rate_base: float, rate_intervention: float, alpha: float = 0.05) -> float:
    """Expected texts; infinite where the rates are the same.

    >>> round(oracle_texts(0.0, 0.4))
    22
    >>> oracle_texts(0.3, 0.3)
    inf
    """
    gain = rate_intervention * (1 - rate_base)
    loss = rate_base * (1 - rate_intervention)
    if gain == loss:
        return math.inf
    stake = (gain - loss) / (gain + loss)
    growth = gain * math.log1p(stake) + (loss * math.log1p(-stake) if loss else 0.0)
    return 2 * math.log(1 / alpha) / growth


def mark_rates(world: World) -> tuple[float, float]:
    """Rates of the plant's mark at affected prompts, under base and intervention."""
    base = float(world.topic_shares @ world.by_topic[0] @ world.mark)
    return base, base + float(world.topic_shares @ world.differences @ world.mark)


def world_bound(world: World, alpha: float = 0.05) -> float:
    """`oracle_texts` of a world."""
    return oracle_texts(*mark_rates(world), alpha)
