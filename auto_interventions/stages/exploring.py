"""The end of exploring: the partition settles, hypotheses are proposed."""

from __future__ import annotations

from collections import Counter

import numpy as np

from auto_interventions.confirming import focus_of, payoff_sums, shares_of
from auto_interventions.hypotheses import propose as propose_hypotheses
from auto_interventions.hypotheses.proposing import MOST_PAIRS
from auto_interventions.records import FloatArray, Hypothesis
from auto_interventions.stages.clustering import settle
from auto_interventions.stages.order import Counts
from auto_interventions.stages.sampling import sides
from auto_interventions.stages.workspace import Workspace

# Pairs that an exhaustive audit's proposals are read off: all of them at the usual sizes, as its cost is not what is saved.
EXHAUSTIVE_PAIRS = 60_000


# Nats of explored evidence from which a sentence is worth confirming: it was the best of about a thousand candidates.
NAMED = 10.0
# Pairs that suspicion goes by.
_MOST_SUSPECTED = 10_000


def propose(where: Workspace) -> Counts:
    """Settles the partition; hypotheses from the explored pairs."""
    settle(where)
    where.observer.stage("proposing hypotheses")
    with where.ledger.stage("propose"):
        where.hypotheses = proposals(where)
    return {"hypotheses": len(where.hypotheses)}


def named(where: Workspace) -> bool:
    """Whether what was explored so far describes the difference well enough to be confirmed."""
    with where.ledger.stage("propose"):
        return any(hypothesis.evidence >= NAMED for hypothesis in proposals(where))


def suspicion(where: Workspace, pairs_left: int) -> FloatArray | None:
    """(strata of the bank,) where more pairs would soonest decide about the sentences that are suggested so far; None: nowhere more than
    elsewhere.

    The rule by which confirming focuses (`confirming.focus`), here on explored pairs: a word that came up three times in one stratum
    only is looked for there, and stands out or is refuted.
    """
    state = where.explore_state()
    found = [one for one in proposals(where) if one.check is not None]
    if not state.round or not found:
        return None
    names = state.strata[: state.tree.roots]
    pairs = where.explored_pairs()[-_MOST_SUSPECTED:]
    base, intervention = (where.judge.score(found, texts).astype(np.float64) for texts in sides(pairs))
    sums = payoff_sums(intervention - base, [pair.prompt.stratum for pair in pairs], names)
    pool = Counter(prompt.stratum for prompt in where.prompts_of("explore"))
    needed = np.array([max(NAMED - one.evidence, 0.0) for one in found])
    sizes = np.array([pool[name] for name in names], dtype=np.float64)
    return focus_of(sums, sizes, needed, shares_of(found), pairs_left, (state.seed, state.round))


def proposals(where: Workspace) -> tuple[Hypothesis, ...]:
    """The sentences that the pairs explored so far suggest."""
    rounds = where.exploring.round if where.exploring is not None else 0
    if where.proposed is None or where.proposed[0] != rounds:
        pairs = where.explored_pairs()
        base, intervention = sides(pairs)
        found = propose_hypotheses(
            base,
            intervention,
            [pair.prompt.id for pair in pairs],
            [pair.prompt.stratum for pair in pairs],
            where.config.hypotheses,
            rounds,
            EXHAUSTIVE_PAIRS if where.config.sampling.strategy == "exhaustive" else MOST_PAIRS,
        )
        where.proposed = (rounds, found)
    return where.proposed[1]
