"""Tests of published runs, for comparison: sign test, Mann–Whitney, Benjamini & Hochberg, SAFFRON. They decide nothing.

Formula.  Of one sentence's judged pairs let k⁺ be those where the intervention's text fits better and k⁻ those where the base's does;
ties are dropped. If both are equally likely,

    sign test     p = P(|Bin(k⁺ + k⁻, ½) − (k⁺ + k⁻)/2| ≥ |k⁺ − k⁻|/2);
    Mann–Whitney  U = #{(i, j): score of intervention text i > score of base text j} + ½ #{ties}, two-sided: exact for few texts without
                  ties, else the normal approximation with corrections for ties and continuity (scipy).

Over sentences: Benjamini & Hochberg (`fixed`), and SAFFRON, which tests them in the order of their birth and never looks ahead. With the
candidate threshold λ = ½, C_j = 1{p_j ≤ λ}, the times τ_1 < τ_2 < … of the rejections, γ_j ∝ j^−1.6 with sum 1, and W_0 = α/2,

    α_t = min{ λ, (1 − λ) [ W_0 γ_{t−C_{0+}} + (α − W_0) γ_{t−τ_1−C_{1+}} + Σ_{j≥2} α γ_{t−τ_j−C_{j+}} ] },   C_{j+} = Σ_{τ_j<i<t} C_i,

a sentence being rejected where p_t ≤ α_t. Sentences that are no candidates pay; Σ_t α_t 1{p_t > λ}/(1 − λ) never exceeds α times the
number of rejections (or 1, before there are any).

What they say: what a run that judges a fixed number V of texts a sentence, all drawn before the first is looked at, would report.
What they do not: anything here, where sampling was aimed and stopped by what was seen (peeking at the sign test every 25 of 1,000 pairs
finds a difference between identical models in a quarter of audits, docs/statistics/classical.md). Pairs of one prompt count as independent,
which they are not; Mann–Whitney throws the pairing away. `betting` and `ebh` decide.

Edge cases.  NaN = not judged: left out. Nothing judged, or only ties: p = 1. SAFFRON on no sentences: none. Sentences born in one round
are tested in the order given.

Sources: Dixon & Mood 1946, JASA 41:557–566 (sign test); Mann & Whitney 1947, Annals of Mathematical Statistics 18:50–60; Ramdas, Zrnic,
Wainwright & Jordan 2018, "SAFFRON: an adaptive algorithm for online control of the false discovery rate", ICML, arXiv:1802.09098,
section 3; Fisher, "Online false discovery rate control for LORD & SAFFRON under positive, local dependence", arXiv:2110.08161."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import bdtrc

from auto_interventions.inference.fixed import SMALLEST, benjamini_hochberg
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix

_CANDIDATE = 0.5  # λ of the paper's experiments
_DECAY = 1.6  # γ_j ∝ j^−1.6, as there
_TERMS = 100_000  # of the series that makes γ sum to 1; the rest is added as an integral


def sign_p_values(payoffs: FloatArray | FloatMatrix) -> FloatArray:
    """Two-sided exact binomial p-values of H sentences, pair by pair.

    Args:
        payoffs: (H, n) score of the intervention's text − score of the base's; only the sign counts; NaN = not judged.

    Returns:
        (H,) in [1e-300, 1].

    Raises:
        ValueError: not two-dimensional.

    >>> sign_p_values(np.array([[1.0, 0.2, 0.9, 0.0, 0.4, np.nan], [1.0, -1.0, 0.0, 0.0, 0.0, 0.0]]))
    array([0.125, 1.   ])
    """
    if payoffs.ndim != 2:
        raise ValueError(f"payoffs must have shape (hypotheses, pairs), not {payoffs.shape}")
    gained, lost = (payoffs > 0).sum(axis=1), (payoffs < 0).sum(axis=1)  # NaN compares false
    larger, either = np.maximum(gained, lost), gained + lost
    tails = np.where(larger > 0, 2.0 * np.asarray(bdtrc(np.maximum(larger - 1, 0), np.maximum(either, 1), 0.5)), 1.0)
    return np.clip(np.asarray(tails, dtype=np.float64), SMALLEST, 1.0)


def rank_p_values(base: FloatArray | FloatMatrix, intervention: FloatArray | FloatMatrix) -> FloatArray:
    """Two-sided Mann–Whitney p-values of H sentences on the scores of all judged texts.

    Args:
        base, intervention: (H, n) scores; NaN = not judged. A side may be judged where the other was not.

    Returns:
        (H,) in [1e-300, 1].

    Raises:
        ValueError: not two-dimensional, or not as many sentences on both sides.

    >>> rank_p_values(np.array([[0.1, 0.2, 0.3, 0.15]]), np.array([[0.9, 0.8, np.nan, 0.7]])).round(3)
    array([0.057])
    """
    if base.ndim != 2 or intervention.ndim != 2 or len(base) != len(intervention):
        raise ValueError(f"scores must have shape (hypotheses, texts) on both sides, not {base.shape} and {intervention.shape}")
    from scipy.stats import mannwhitneyu  # a third of a second that a run taken from the store does without

    p_values = np.ones(len(base))
    for number, (before, after) in enumerate(zip(base, intervention, strict=True)):
        # In single precision scipy's p-values below 1e-45 become 0.
        before, after = (side[~np.isnan(side)].astype(np.float64) for side in (before, after))
        together = np.concatenate([before, after])
        if len(before) and len(after) and together.min() < together.max():
            p_values[number] = float(mannwhitneyu(after, before, alternative="two-sided").pvalue)
    return np.clip(p_values, SMALLEST, 1.0)


def saffron(p_values: FloatArray | Sequence[float], alpha: float) -> tuple[BoolArray, FloatArray]:
    """SAFFRON on a stream of p-values: which are rejected, and the level at which each was tested.

    Args:
        p_values: (H,) in the order in which the sentences were born.
        alpha: false discovery rate, in (0, 1).

    Returns:
        (H,) rejected or not, and (H,) levels α_t; each depends on earlier p-values only.

    Raises:
        ValueError: a p-value outside [0, 1] or NaN, or alpha outside (0, 1).

    >>> rejected, levels = saffron([0.001, 0.6, 0.003, 0.9], alpha=0.05)
    >>> rejected, levels.round(4)
    (array([ True, False,  True, False]), array([0.0055, 0.0109, 0.0036, 0.0145]))
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("p-values must lie in [0, 1]: a hypothesis that was never tested has p-value 1")
    gamma = _gamma(len(values))
    rejected, levels = np.zeros(len(values), dtype=np.bool_), np.zeros(len(values))
    # Each source of wealth (the start, every rejection) has its amount and its own clock, which stands still at candidates.
    amounts, clocks = [alpha / 2], [0]
    for place, value in enumerate(values.tolist()):
        earned = sum(amount * gamma[clock] for amount, clock in zip(amounts, clocks, strict=True))
        levels[place] = min(_CANDIDATE, (1 - _CANDIDATE) * earned)
        rejected[place] = value <= levels[place]
        if value > _CANDIDATE:
            clocks = [clock + 1 for clock in clocks]
        if rejected[place]:
            amounts.append(alpha / 2 if len(amounts) == 1 else alpha)
            clocks.append(0)
    return rejected, levels


def published_tests(
    base: FloatArray | FloatMatrix, intervention: FloatArray | FloatMatrix, born: Sequence[int], alpha: float
) -> list[dict[str, object]]:
    """What published runs would say of each sentence, for `Finding.beside`.

    Args:
        base, intervention: (H, n) scores of the pairs, of *all* hypotheses ever proposed; NaN = not judged.
        born: (H,) the round in which each was born, which orders SAFFRON.
        alpha: false discovery rate.

    Returns:
        For each sentence `binomial` and `mann_whitney`: p_value, benjamini_hochberg (rejected or not); `saffron`: level, rejected (on the
        binomial p-values); `pairs`: how many were judged on both sides.

    Raises:
        ValueError: arrays that do not fit each other.
    """
    if base.shape != intervention.shape or len(base) != len(born):
        raise ValueError(f"{len(born)} hypotheses need scores of one shape, not {base.shape} and {intervention.shape}")
    if not len(born):
        return []
    payoffs = np.asarray(intervention, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    judged = ~np.isnan(payoffs)
    paired = [np.where(judged, scores, np.nan) for scores in (base, intervention)]
    p_values = {"binomial": sign_p_values(payoffs), "mann_whitney": rank_p_values(paired[0], paired[1])}
    order = np.argsort(np.asarray(born), kind="stable")
    rejected, levels = np.zeros(len(born), dtype=np.bool_), np.zeros(len(born))
    rejected[order], levels[order] = saffron(p_values["binomial"][order], alpha)
    kept = {name: benjamini_hochberg(values, alpha) for name, values in p_values.items()}
    told: list[dict[str, object]] = []
    for row in range(len(born)):
        one: dict[str, object] = {
            name: {"p_value": float(values[row]), "benjamini_hochberg": bool(kept[name][row])} for name, values in p_values.items()
        }
        told.append(one | {"saffron": {"level": float(levels[row]), "rejected": bool(rejected[row])}, "pairs": int(judged[row].sum())})
    return told


def _gamma(count: int) -> FloatArray:
    """(count,) γ_1, γ_2, …: proportional to j^−1.6, with sum 1 over all j."""
    terms = np.arange(1, max(count, _TERMS) + 1, dtype=np.float64) ** -_DECAY
    total = float(terms.sum()) + (len(terms) + 0.5) ** (1 - _DECAY) / (_DECAY - 1)
    return np.asarray(terms[:count] / total, dtype=np.float64)
