"""Suspicion: which strata would soonest decide about the checks that the explored pairs suggest.

Each suggested check is believed as far as its evidence of holding in some strata (`clumps.with_clumps`), as odds, exceeds 1, less so
where it may as well hold everywhere: such a check needs no place. Taken to be real, each is located (`places.locate`), and gives its vote
to the strata in proportion to their prompts × G², where G are the nats a pair that are to be expected there. So a word that came up three
times, each time in the same stratum, is looked for there until it stands out or is refuted, and one whose rate rose a little in ten
strata of a hundred in those ten.

Kinds of checks vote apart: of thousands of words some will have come up three times in a row by chance, of twenty measures of form none.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from auto_interventions.inference.places import decided, evidence_everywhere, locate
from auto_interventions.records import FloatArray, IntArray

_CERTAIN = 500.0  # nats: more belief than this overflows
_VOTERS = 100  # of each kind, the most believed; the others would hardly add to the vote


def suspected(seen: FloatArray, forward: FloatArray, some: FloatArray, kinds: IntArray, sizes: FloatArray) -> FloatArray | None:
    """(S,) shares of the votes; None where nothing was paid anywhere.

    Args:
        seen: (C, S, 3) number, sum and sum of squares of each check's payoffs in each stratum.
        forward: (C,) +1 or −1: the direction in which each check leans.
        some: (C,) nats for "it holds in some strata" (`clumps.with_clumps`).
        kinds: (C,) number of each check's kind.
        sizes: (S,) prompts of the pool; nothing is expected of a stratum without any.
    """
    votes = np.zeros(seen.shape[1])
    for kind in np.unique(kinds).tolist():
        own = kinds == kind
        votes += _votes(seen[own], forward[own], some[own], sizes)
    return votes / votes.sum() if votes.any() else None


def _votes(seen: FloatArray, forward: FloatArray, some: FloatArray, sizes: FloatArray) -> FloatArray:
    """(S,) votes of one kind, adding up to what its believed checks owe to places."""
    _, won, lost = decided(seen, forward)
    local = expit(some - evidence_everywhere(won.sum(axis=1), lost.sum(axis=1)))
    belief = np.maximum(np.expm1(np.minimum(some, _CERTAIN)), 0.0) * local
    voters = np.argsort(-belief, kind="stable")[:_VOTERS]
    voters = voters[won[voters].any(axis=1)]
    believed, local = belief[voters] / max(belief[voters].sum(), 1e-300), local[voters]
    each = sizes * locate(seen[voters], forward[voters]).growth ** 2
    each /= np.maximum(each.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray((believed @ each) * (believed @ local), dtype=np.float64)
