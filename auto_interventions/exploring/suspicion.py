"""Suspicion: which strata would soonest decide about the checks that the explored pairs suggest.

Each suggested check is an arm in each stratum where it has paid so far: payoffs of mean m, second moment v, shrunk towards all strata as
far as chance explains their scatter (`divergence.doubt`); a bettor would gain G (`betting.best_growth`) nats a pair there. Means are
drawn from their approximate posteriors, the best arm of each draw gets a vote, and pairs are spread by the votes: Thompson sampling
(1933; Russo & Van Roy 2018), a batch at a time. So a word that came up three times, each time in the same stratum, is looked for there
until it stands out or is refuted; one that came up three times in three places is not.

Kinds of checks vote apart, with as many draws each: of thousands of words some will have come up three times in a row by chance, of twenty
measures of form none.
"""

from __future__ import annotations

import numpy as np

from auto_interventions.exploring.divergence import doubt
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import best_growth
from auto_interventions.records import FloatArray, IntArray

DRAWS = 64
CONCENTRATED = 2.0  # an arm has to promise so many times what its check promises everywhere


def suspected(seen: FloatArray, forward: FloatArray, kinds: IntArray, sizes: FloatArray, seed: tuple[int, int]) -> FloatArray | None:
    """(S,) shares of the votes; None where no check is concentrated anywhere.

    Args:
        seen: (C, S, 3) number, sum and sum of squares of each check's payoffs in each stratum.
        forward: (C,) +1 or −1: the direction in which each check leans.
        kinds: (C,) number of each check's kind.
        sizes: (S,) prompts of the pool; nothing is expected of a stratum without any.
        seed: of the draws.
    """
    votes = np.zeros(seen.shape[1])
    for kind in np.unique(kinds).tolist():
        own = kinds == kind
        votes += _votes(seen[own], forward[own], sizes, (*seed, kind))
    return votes / votes.sum() if votes.any() else None


def _votes(seen: FloatArray, forward: FloatArray, sizes: FloatArray, seed: tuple[int, int, int]) -> FloatArray:
    """(S,) votes of one kind."""
    whole = seen.sum(axis=1)
    count = np.maximum(whole[:, 0], 1.0)
    mean, second = np.maximum(forward * whole[:, 1], 0.0) / count, np.maximum(whole[:, 2] / count, 1e-6)
    check, stratum = np.nonzero((forward[:, None] * seen[..., 1] > 0) & (sizes > 0))
    if not len(check):
        return np.zeros(seen.shape[1])
    prior = doubt(seen)[check]
    arms = seen[check, stratum]
    weight = arms[:, 0] + prior
    means = (forward[check] * arms[:, 1] + prior * mean[check]) / weight
    seconds = (arms[:, 2] + prior * second[check]) / weight
    draws = generator("suspicion", *seed).standard_normal((DRAWS, len(check)))
    gains = best_growth(np.maximum(means + draws * np.sqrt(seconds / weight), 0.0), seconds)
    best = gains.argmax(axis=1)
    worth = gains[np.arange(DRAWS), best] > CONCENTRATED * best_growth(mean, second)[check[best]]
    return np.bincount(stratum[best[worth]], minlength=seen.shape[1]).astype(np.float64)
