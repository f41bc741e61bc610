"""Divergence allocation: pairs go where evidence still can grow fastest.

In a stratum whose payoffs have mean m and second moment v, a bettor who knew both would earn about

    G = λ m − λ² v / 2,   λ = min(1, m / v)          nats a pair (`betting.approximate_growth`)

Both are estimated with shrinkage towards all strata together, as far as the scatter between strata is explained by chance (`doubt`), and m
is drawn from its approximate posterior
(Thompson 1933; Russo & Van Roy 2018): so a stratum seen in few pairs still gets its chance. The focused part of the round is split in
proportion to G over strata that are not retired; those that are decided (in e-BH's set) count a fifth, for their difference is still to
be named.

Retired: at least 3 / d bets, d = `smallest_effect`, and even the upper end of the growth, (t + 2)² / 2n with t = max(0, mean / standard
error), below d / 2. A behaviour that only one model has, in a share d of its texts, shows in 3/d pairs with probability 95% (rule of
three) and then pays about d/2 nats a pair to a discriminator that has learned it. A retired stratum only gets its share of what goes
everywhere.

Below the stratum: half of a stratum's pairs go to its least asked prompts, half to those that a Thompson draw of their own mean
payoff puts first. `EXPLORATION` of every round goes everywhere: what is not looked at cannot turn out to differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.allocation import Uniform
from auto_interventions.exploring.pool import PromptPool, apportion
from auto_interventions.exploring.state import NOTHING, RoundState, Sums
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import approximate_growth
from auto_interventions.records import BoolArray, FloatArray, Prompt
from auto_interventions.subjects.base import Request

EXPLORATION = 0.3
_PRIOR = 6.0
_PROMPT_PRIOR = 3.0
_SURE = 2.0
_LEAST_DOUBT, _MOST_DOUBT = 2.0, 1e6
_DECIDED = 0.2  # a decided stratum still has its difference to be named


class Divergence:
    """Thompson sampling on the growth of evidence over undecided strata, and on prompts inside them."""

    def allocate(
        self,
        state: RoundState,
        prompts: Sequence[Prompt],
        pairs: int,
        config: AuditConfig,
        capacity: Mapping[str, int] | None = None,
    ) -> list[Request]:
        """See `Allocation.allocate`."""
        gains = expected_growth(state, config)
        if not gains.any():
            return Uniform().allocate(state, prompts, pairs, config, capacity)
        pool = PromptPool(state, prompts, config, capacity)
        focused = focus(pool, state, gains, int(pairs * (1 - EXPLORATION)))
        pool.spread(pairs - focused)
        return pool.requests()


def focus(pool: PromptPool, state: RoundState, gains: FloatArray, pairs: int, by_prompt: bool = True) -> int:
    """Asks up to `pairs` pairs in proportion to `gains` (S,); returns how many it asked.

    `by_prompt`: half of a stratum's pairs go to prompts that paid; else all to the least asked.
    """
    gains = gains * (np.bincount(pool.leaf[pool.open], minlength=len(gains)) > 0)
    if not gains.any() or pairs < 1:
        return 0
    quotas = apportion(gains, pairs)
    turns = quotas // 2 if by_prompt else quotas
    left = pool.fill(quotas - turns, prompt_draws(pool, state.payoffs, state)) + pool.fill(turns)
    return pairs - left


def expected_growth(state: RoundState, config: AuditConfig) -> FloatArray:
    """(S,) nats a pair that a Thompson draw promises in each stratum that has no parts, less where it is decided; 0 where retired."""
    sums = state.payoffs_by_stratum
    roots = sums[: state.tree.roots].sum(axis=0)
    if not roots[0] or not roots[2]:
        return np.zeros(len(state.tree))
    prior = float(doubt(sums[: state.tree.roots]))
    mean, second = _moments(sums, max(roots[1] / roots[0], 0.0), roots[2] / roots[0], prior)
    draws = generator("thompson", state.seed, state.round).standard_normal(len(mean))
    likely = np.maximum(mean + draws * np.sqrt(second / (sums[:, 0] + prior)), 0.0)
    gains = approximate_growth(likely, second)
    gains[list(state.divergent(config.inference.alpha))] *= _DECIDED
    gains[retired(state, config) | state.tree.is_split] = 0.0
    return gains


def retired(state: RoundState, config: AuditConfig) -> BoolArray:
    """(S,) which strata were looked at long enough to say that nothing of the smallest effect of interest shows in them so far."""
    smallest = config.inference.smallest_effect
    count, total, squares = state.payoffs_by_stratum.T
    seen = np.maximum(count, 1)
    t = np.maximum(total, 0) / np.sqrt(np.maximum(squares, 1e-12))
    return (count >= 3 / smallest) & ((t + _SURE) ** 2 / (2 * seen) < smallest / 2)


def doubt(sums: FloatArray) -> FloatArray:
    """(…) how many pairs' worth of shrinkage the means of S strata need towards their common mean: σ²/τ², between 2 and 10⁶.

    σ² is the variance of a payoff, τ² the variance between the strata's true means by DerSimonian & Laird (1986), 0 where the strata
    scatter no more than chance explains: then all are taken to be alike.

    Args:
        sums: (…, S, 3) number, sum and sum of squares of the payoffs of each stratum.

    >>> alike = np.array([[10.0, 1.0, 1.0]] * 20)
    >>> one = np.array([[10.0, 0.0, 0.0]] * 19 + [[10.0, 8.0, 8.0]])
    >>> float(doubt(alike)), round(float(doubt(one)), 1)
    (1000000.0, 2.0)
    """
    count, total, squares = np.moveaxis(sums, -1, 0)
    pairs = np.maximum(count.sum(axis=-1), 1.0)
    mean = total.sum(axis=-1) / pairs
    variance = np.maximum(squares.sum(axis=-1) / pairs - mean**2, 1e-12)
    seen = np.maximum(count, 1.0)
    scatter = (count * (total / seen - mean[..., None]) ** 2).sum(axis=-1) / variance
    excess = scatter - np.maximum((count > 0).sum(axis=-1) - 1, 0)
    between = np.maximum(excess, 0.0) / np.maximum(pairs - (count**2).sum(axis=-1) / pairs, 1e-12)  # τ²/σ²
    return np.clip(1 / np.maximum(between, 1e-12), _LEAST_DOUBT, _MOST_DOUBT)


def prompt_draws(pool: PromptPool, sums: Mapping[str, Sums], state: RoundState, label: str = "prompts") -> FloatArray:
    """(P,) Thompson draws of each prompt's mean of `sums`, shrunk towards its stratum's mean."""
    own = np.array([sums.get(one, NOTHING) for one in pool.ids], dtype=np.float64).reshape(-1, 3)
    by_stratum = np.zeros((len(state.tree), 3))
    np.add.at(by_stratum, pool.leaf, own)
    everywhere = by_stratum.sum(axis=0)
    count = max(everywhere[0], 1.0)
    mean, second = _moments(by_stratum, everywhere[1] / count, everywhere[2] / count, _PRIOR)
    centre, spread = mean[pool.leaf], second[pool.leaf]
    weight = own[:, 0] + _PROMPT_PRIOR
    draws = generator(label, state.seed, state.round).standard_normal(len(own))
    return (own[:, 1] + _PROMPT_PRIOR * centre) / weight + draws * np.sqrt(spread / weight)


def _moments(sums: FloatArray, mean: float, second: float, prior: float) -> tuple[FloatArray, FloatArray]:
    """Mean and second moment from (n, 3) counts, sums and squares, with `prior` observations of the given moments."""
    weight = sums[:, 0] + prior
    return (sums[:, 1] + prior * mean) / weight, np.maximum((sums[:, 2] + prior * second) / weight, 1e-9)
