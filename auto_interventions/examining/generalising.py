"""Does a finding hold everywhere, or in one corner? Its difference stratum by stratum, and without the stratum where it is strongest.

Formula.  d_i is the mean payoff (score of the intervention's text − score of the base's) of prompt i's judged pairs. Of each stratum
with at least two judged prompts: mean, and a confidence sequence at level α / strata, so that all hold at once. The strongest stratum is
the one whose mean, shrunk towards the whole (`effects.shrink`), goes furthest in the finding's direction; the finding **stands without
it** if the confidence sequence of the other strata's prompts still excludes 0 on the same side.

What it says: whether one kind of prompt carries the finding. What it does not: that the strata are the right kinds. Leaving out the best
stratum *because* it was the best makes the rest look smaller than it is: "stands" is on the safe side.

Edge cases.  NaN = not judged: left out. Strata of one prompt say nothing by themselves, and count as part of the rest only. One stratum:
there is nothing without it, `without_strongest` is None. Where sampling was focused, only a random part of the pairs (the backbone) makes
the interval without the strongest stratum; where none is given, all pairs do, and the prompts that were asked are the population.

Sources: `inference.effects`, `inference.intervals`; DerSimonian & Laird 1986 (shrinking)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auto_interventions.examining.by_prompt import means, numbered
from auto_interventions.inference.effects import shrink
from auto_interventions.inference.intervals import confidence_sequence
from auto_interventions.records import BoolArray, Direction, FloatArray, FloatMatrix, Pair

_AT_LEAST = 2  # prompts of a stratum that says anything
_PRIOR_PROMPTS, _PRIOR_VARIANCE = 3.0, 0.25  # as `inference.effects`: few agreeing prompts are not certain
_SHOWN = 60


def generalisation(
    pairs: Sequence[Pair],
    base: FloatArray | FloatMatrix,
    intervention: FloatArray | FloatMatrix,
    more_in: Direction,
    alpha: float,
    random_sample: BoolArray | None = None,
) -> dict[str, object]:
    """One finding over the strata, for `Finding.beside`.

    Args:
        pairs: n confirm pairs, in the order in which they were drawn.
        base, intervention: (n,) the sentence's scores in [0, 1]; NaN = not judged.
        more_in: the finding's direction.
        alpha: 1 − coverage of the intervals.
        random_sample: (n,) which pairs are a random sample of the pool (the backbone); None: all.

    Returns:
        `strata`: how many were judged; `same_sign`: in how many the difference has the finding's sign, `clear`: in how many its interval
        excludes 0 on that side, `opposite`: on the other; `each`: stratum, difference, interval, prompts, furthest first (at most 60);
        `strongest`: its name; `without_strongest`: difference, interval, prompts and `stands`, or None. Or `not_available`.

    Raises:
        ValueError: arrays that do not fit the pairs.
    """
    if not len(pairs) == len(base) == len(intervention) or (random_sample is not None and len(random_sample) != len(pairs)):
        raise ValueError(f"{len(pairs)} pairs need as many scores, not {len(base)} and {len(intervention)}")
    payoffs = np.asarray(intervention, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    prompts = numbered(pairs)
    names = np.array([pair.prompt.stratum for pair in pairs], dtype=object)
    groups = {name: means(payoffs[names == name], prompts[names == name]) for name in dict.fromkeys(names.tolist())}
    groups = {name: group for name, group in groups.items() if len(group) >= _AT_LEAST}
    if not groups:
        return {"not_available": "no stratum has two judged prompts"}
    sign = 1.0 if more_in == "intervention" else -1.0
    intervals = {name: _interval(group, alpha / len(groups)) for name, group in groups.items()}
    order = _by_strength(groups, sign)
    sides = {name: _side(interval) * sign for name, interval in intervals.items()}
    rest = np.array([name != order[0] for name in names]) & (True if random_sample is None else random_sample)
    return {
        "strata": len(groups),
        "same_sign": sum(bool(group.mean() * sign > 0) for group in groups.values()),
        "clear": sum(side > 0 for side in sides.values()),
        "opposite": sum(side < 0 for side in sides.values()),
        "each": [
            {"stratum": name, "difference": float(groups[name].mean()), "interval": list(intervals[name]), "prompts": len(groups[name])}
            for name in order[:_SHOWN]
        ],
        "strongest": order[0],
        "without_strongest": _without(means(payoffs[rest], prompts[rest]), sign, alpha),
    }


def _without(differences: FloatArray, sign: float, alpha: float) -> dict[str, object] | None:
    if len(differences) < _AT_LEAST:
        return None
    interval = _interval(differences, alpha)
    return {
        "difference": float(differences.mean()),
        "interval": list(interval),
        "prompts": len(differences),
        "stands": _side(interval) == sign,
    }


def _by_strength(groups: dict[str, FloatArray], sign: float) -> list[str]:
    """Names of the strata, those that go furthest in the finding's direction first."""
    own = list(groups.values())
    counts = np.array([len(group) for group in own])
    squares = np.array([((group - group.mean()) ** 2).sum() for group in own])
    variances = (squares + _PRIOR_PROMPTS * _PRIOR_VARIANCE) / (counts - 1 + _PRIOR_PROMPTS) / counts
    shown = shrink(np.array([group.mean() for group in own]), variances, float(np.concatenate(own).mean()))
    # Where all scatter is chance, every shrunk mean is the whole's: then the plain means decide.
    keys = np.lexsort((-sign * np.array([group.mean() for group in own]), -np.round(sign * shown, 9)))
    names = list(groups)
    return [names[place] for place in keys.tolist()]


def _interval(differences: FloatArray, alpha: float) -> tuple[float, float]:
    lo, hi = confidence_sequence(differences, -1, 1, alpha, planned=len(differences))
    point = float(differences.mean())
    return min(lo, point), max(hi, point)


def _side(interval: tuple[float, float]) -> float:
    """1 or −1 where the interval excludes 0, else 0."""
    return float(interval[0] > 0) - float(interval[1] < 0)
