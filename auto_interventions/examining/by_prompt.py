"""Means over the pairs of each prompt: the prompt is the unit of every interval here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auto_interventions.records import FloatArray, IntArray, Pair, numbers_of


def numbered(pairs: Sequence[Pair]) -> IntArray:
    """(n,) number of each pair's prompt, in the order in which the prompts first come."""
    return numbers_of(pair.prompt.id for pair in pairs)


def means(values: FloatArray, prompts: IntArray) -> FloatArray:
    """Mean of `values` (n,) over the pairs of each prompt, in order of first visit; NaN values, and prompts with no other, are left out.

    >>> means(np.array([1.0, 0.0, np.nan, 0.5]), np.array([0, 0, 1, 2]))
    array([0.5, 0.5])
    """
    known = ~np.isnan(values)
    sums = np.bincount(prompts[known], weights=values[known])
    counts = np.bincount(prompts[known])
    return np.asarray(sums[counts > 0] / counts[counts > 0], dtype=np.float64)
