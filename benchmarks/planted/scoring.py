"""One measure for everybody: what a discovery says is a yes/no over texts and a sign, and both are scored on the world itself.

Agreement.  A discovery *recovers* the plant if phi ≥ 0.5 between its yes/no and "is a planted text" (kind `meaning`: "the hero ends up
sad"), signed by its direction, over the base's texts and planted texts of the affected prompts, half of each. The halves are fixed, so
that the question is what a sentence says and not how rare the plant is: at the natural weights no sentence could say a plant of 2 points
that the base shows in 2% of its texts too.

False.  A discovery is *false* if the rate of its yes/no is exactly the same under both models at every prompt; this is computed from the
known distribution of texts, not estimated. So what follows from a plant (its other words, a longer text) is no false discovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_interventions.records import BoolArray, FloatArray
from benchmarks.planted.world import World

SAME = 0.5
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a method says: texts that fit `holds` (N,) over the pool are more (`sign` +1) or fewer (−1) under the intervention."""

    name: str
    holds: BoolArray
    sign: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A method's discoveries in one world: how many, how many of them false, whether one recovers the plant, the best agreement.

    `names`, `false_names`: the first three that recover it, and that are false.
    """

    discoveries: int
    false: int
    recovered: bool
    best: float
    names: tuple[str, ...] = ()
    false_names: tuple[str, ...] = ()


def scored(world: World, discoveries: Sequence[Discovery]) -> Scored:
    """See the head of the page."""
    agreements = [agreement(world, one) for one in discoveries]
    false = [one.name for one in discoveries if is_false(world, one)]
    best = max(agreements, default=0.0)
    recovering = [one.name for one, value in zip(discoveries, agreements, strict=True) if value >= SAME]
    return Scored(
        len(discoveries), len(false), bool(world.cell.effect) and best >= SAME, round(best, 3), tuple(recovering[:3]), tuple(false[:3])
    )


def agreement(world: World, discovery: Discovery) -> float:
    """Signed phi with the plant, in [−1, 1]."""
    return discovery.sign * weighted_phi(discovery.holds, world.mark, world.halves)


def weighted_phi(one: BoolArray, other: BoolArray, weights: FloatArray) -> float:
    """Correlation of two yes/no columns under weights that add up to 1; 0 where one of them never changes.

    >>> round(weighted_phi(np.array([True, False]), np.array([True, False]), np.array([0.5, 0.5])), 9)
    1.0
    >>> weighted_phi(np.array([True, True]), np.array([True, False]), np.array([0.5, 0.5]))
    0.0
    """
    rate_one, rate_other = float(weights[one].sum()), float(weights[other].sum())
    spreads = rate_one * (1 - rate_one), rate_other * (1 - rate_other)
    if min(spreads) <= _EQUAL:
        return 0.0
    return (float(weights[one & other].sum()) - rate_one * rate_other) / (spreads[0] * spreads[1]) ** 0.5


def is_false(world: World, discovery: Discovery) -> bool:
    """Whether the yes/no is exactly as frequent under both models at every prompt."""
    return bool(np.abs(world.differences @ discovery.holds).max() < _EQUAL)
