"""How large a difference is, and where: rates, their difference with an interval, AUC, and strata. The prompt is the unit.

Formula.  For prompt i let b_i, c_i ∈ [0, 1] be the mean scores of base and intervention over its texts, and d_i = c_i − b_i ∈ [−1, 1].

    difference = mean d_i,   interval = betting confidence sequence of (d_i) at level 1 − α   (`intervals`)
    AUC        = ½ + ½ · mean over prompts of the mean of sign(score_intervention − score_base) over the prompt's pairs

One private partition by prompt feeds all of them, so they cannot disagree: samples of a prompt share its topic, and only prompts are
independent. AUC is the paired one, P(intervention > base) + ½ P(tie) for two texts of one prompt; for yes/no scores it is ½ +
difference/2.

Strata.  d̂_s = mean of d_i in stratum s, with n_s prompts. Small strata scatter; the point shown is pulled towards the whole as far as
the scatter between strata is explained by chance (empirical Bayes; τ² by DerSimonian & Laird, never negative):

    d̃_s = d̂ + τ²/(τ² + v_s) · (d̂_s − d̂),      v_s = σ_s²/n_s,  σ_s² with a prior worth three prompts of variance ¼.

The stratum's interval is its own confidence sequence, not shrunk, so it keeps its coverage; a shrunk point that leaves it is moved to
its end.

What it says: the average over prompts like those of the pool. What it does not: a cause; that every prompt shows it; joint coverage of
all strata at once (each interval has its own α).

Edge cases.  NaN = a prompt not judged on that side: left out on both. Nothing judged: zero difference, interval [−1, 1], AUC ½. A
stratum of one prompt has an interval close to [−1, 1]; a stratum without prompts is not listed.

Sources: Waudby-Smith & Ramdas 2023 (arXiv:2010.09686); Miller 2024, "Adding error bars to evals", arXiv:2411.00640, section 2.2
(clustering by question); DerSimonian & Laird 1986, Controlled Clinical Trials 7:177–188; Morris 1983, JASA 78:47–55 (empirical Bayes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_interventions.inference.intervals import confidence_sequence, mean_within
from auto_interventions.records import FloatArray, IntArray, StratumEffect

_PRIOR_PROMPTS = 3.0
_PRIOR_VARIANCE = 0.25
_MOST_STRATA = 60


@dataclass(frozen=True, slots=True)
class Effect:
    """Size and place of one difference. `difference` is intervention − base; `prompts` counts the judged ones, `strata_judged` their
    strata, of which `strata` holds at most 60, those that stand out most."""

    base_rate: float
    intervention_rate: float
    difference: float
    interval: tuple[float, float]
    auc: float
    strata: tuple[StratumEffect, ...]
    prompts: int
    strata_judged: int = 0


def estimate_effect(
    base: FloatArray,
    intervention: FloatArray,
    strata: IntArray,
    stratum_names: Sequence[str],
    alpha: float,
    ordering: FloatArray | None = None,
    weights: FloatArray | None = None,
    planned: int | None = None,
    strata_alpha: float | None = None,
    running: bool = True,
    pool_sizes: FloatArray | None = None,
    random_sample: FloatArray | None = None,
    reach: FloatArray | None = None,
    sample_reach: FloatArray | None = None,
) -> Effect:
    """The effect over prompts in the order in which they were drawn.

    Args:
        base, intervention: (n,) mean score of each prompt's texts, in [0, 1]; NaN = not judged.
        strata: (n,) index of each prompt's stratum into `stratum_names`.
        alpha: 1 − coverage of the interval of the whole.
        ordering: (n,) mean over the prompt's pairs of sign(score_intervention − score_base); None takes the sign of the means (exact for
            one pair a prompt).
        weights: (n,) importance weights if prompts were not drawn uniformly (`confidence_sequence`).
        planned: how many prompts were planned beforehand; narrows the intervals.
        strata_alpha: 1 − the chance that the intervals of all strata hold at once (each is computed at strata_alpha / strata); None takes
            `alpha`.
        running: whether the whole's interval may use all its earlier looks (`confidence_sequence`); not after selection (`e_by_level`).
        pool_sizes: (S,) prompts of the pool in each stratum, if strata were asked unequally: points are then post-stratified, Σ share ×
        mean
            over the strata that were judged.
        random_sample: differences of a random sample of prompts in its order, which alone makes the interval; None: all of them.
        reach: (n,) bound of each |difference| fixed before it was seen, for scores that leave [0, 1] because they were made unbiased
            (`cascade.rectified`); sample_reach: those of `random_sample`. The rates shown are moved into [0, 1]. No `weights` then.

    Raises:
        ValueError: a score outside [0, 1], or arrays of different lengths.

    >>> effect = estimate_effect(np.zeros(200), np.tile([0.0, 1.0], 100), np.zeros(200, dtype=np.int64), ["all"], 0.05, planned=200)
    >>> effect.difference, effect.auc, [round(end, 1) for end in effect.interval]
    (0.5, 0.75, [0.4, 0.6])
    """
    if not len(base) == len(intervention) == len(strata):
        raise ValueError(f"one entry a prompt is needed, not {len(base)}, {len(intervention)} and {len(strata)}")
    judged = ~(np.isnan(base) | np.isnan(intervention))
    total = int(judged.sum())
    if not total:
        return Effect(0.0, 0.0, 0.0, (-1.0, 1.0), 0.5, (), 0)
    before, after, where = base[judged], intervention[judged], strata[judged]
    if reach is None:
        _check_scores(before, after)
    differences = after - before
    signs = np.sign(differences) if ordering is None else ordering[judged]
    weight = np.ones(total) if weights is None else weights[judged] / weights[judged].mean()
    if pool_sizes is not None:
        weight = weight * _post_stratified(where, pool_sizes)
    pooled = float((weight * differences).mean())
    used = differences if random_sample is None else random_sample
    if reach is None:
        weighed = weights[judged] if weights is not None and random_sample is None else None
        interval = confidence_sequence(used, -1, 1, alpha, weighed, planned, running)
    else:
        bounds = reach[judged] if random_sample is None else sample_reach
        interval = mean_within(used, np.ones(len(used)) if bounds is None else bounds, alpha, planned, running)
    rates = float((weight * before).mean()), float((weight * after).mean())
    if reach is not None:
        pooled = float(np.clip(pooled, -1, 1))
        rates = _rates_around((rates[0] + rates[1]) / 2, pooled)
    kinds, effects = _strata(
        differences,
        where,
        stratum_names,
        pooled,
        alpha if strata_alpha is None else strata_alpha,
        planned,
        None if reach is None else reach[judged],
    )
    return Effect(
        base_rate=rates[0],
        intervention_rate=rates[1],
        difference=pooled,
        interval=_including(interval, pooled),
        auc=float(0.5 + (weight * signs).mean() / 2),
        strata=effects,
        prompts=total,
        strata_judged=kinds,
    )


def _post_stratified(strata: IntArray, pool_sizes: FloatArray) -> FloatArray:
    """(n,) weights of mean 1 that give each stratum its share of the pool, whatever its share of the n prompts."""
    counts = np.bincount(strata, minlength=len(pool_sizes))
    weight = pool_sizes[strata] / counts[strata]
    return np.asarray(weight / weight.mean(), dtype=np.float64)


def _strata(
    differences: FloatArray,
    strata: IntArray,
    names: Sequence[str],
    pooled: float,
    alpha: float,
    planned: int | None,
    reach: FloatArray | None,
) -> tuple[int, tuple[StratumEffect, ...]]:
    """How many strata there are, and the effects in those that stand out most."""
    present = np.unique(strata)
    groups = [differences[strata == stratum] for stratum in present]
    means = np.array([group.mean() for group in groups])
    counts = np.array([len(group) for group in groups])
    shrunk = shrink(means, _variances(groups, counts), pooled)
    # "It happens here and there" picks among the strata: their intervals hold at once.
    each = alpha / len(present)
    effects: list[StratumEffect] = []
    # Of very many only those that stand out most: a reader takes no more in, and each interval costs a millisecond.
    chosen = set(np.argsort(-np.abs(shrunk), kind="stable")[:_MOST_STRATA].tolist())
    for place, (stratum, group, point) in enumerate(zip(present, groups, shrunk, strict=True)):
        if place not in chosen:
            continue
        share = None if planned is None else max(1, round(planned * len(group) / len(differences)))
        if reach is None:
            interval = confidence_sequence(group, -1, 1, each, planned=share)
        else:
            interval = mean_within(group, reach[strata == stratum], each, planned=share)
        lo, hi = _including(interval, float(np.clip(group.mean(), -1, 1)))
        effects.append(StratumEffect(names[int(stratum)], float(np.clip(point, lo, hi)), (lo, hi), len(group)))
    return len(present), tuple(effects)


def shrink(means: FloatArray, variances: FloatArray, towards: float) -> FloatArray:
    """Empirical-Bayes points: `means` (S,) with sampling `variances` (S,) pulled towards `towards`, all of the way where their scatter is
    no more than the variances explain.

    >>> shrink(np.array([0.1, 0.3]), np.array([0.04, 0.04]), 0.2)
    array([0.2, 0.2])
    """
    if len(means) < 2 or not np.any(variances > 0):
        return means
    weights = 1 / np.maximum(variances, 1e-12)
    centre = (weights * means).sum() / weights.sum()
    excess = float((weights * (means - centre) ** 2).sum()) - (len(means) - 1)
    between = max(0.0, excess / float(weights.sum() - (weights**2).sum() / weights.sum()))
    return towards + between / (between + np.maximum(variances, 1e-12)) * (means - towards)


def _variances(groups: list[FloatArray], counts: IntArray) -> FloatArray:
    """Sampling variance of each stratum's mean. The prior keeps a stratum of few, agreeing prompts from looking certain."""
    squares = np.array([((group - group.mean()) ** 2).sum() for group in groups])
    return (squares + _PRIOR_PROMPTS * _PRIOR_VARIANCE) / (counts - 1 + _PRIOR_PROMPTS) / counts


def _rates_around(middle: float, difference: float) -> tuple[float, float]:
    """Two rates in [0, 1] that differ by `difference`, their middle as near to `middle` as that allows."""
    half = abs(difference) / 2
    middle = min(max(middle, half), 1 - half)
    return middle - difference / 2, middle + difference / 2


def _including(interval: tuple[float, float], point: float) -> tuple[float, float]:
    """Never an interval without its own point: widening keeps coverage."""
    return min(interval[0], point), max(interval[1], point)


def _check_scores(base: FloatArray, intervention: FloatArray) -> None:
    for scores in (base, intervention):
        if scores.min() < 0 or scores.max() > 1:
            raise ValueError("scores must lie in [0, 1] (NaN = not judged)")
