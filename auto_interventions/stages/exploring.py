"""The end of exploring: the partition settles, hypotheses are proposed."""

from __future__ import annotations

from auto_interventions.hypotheses import propose as propose_hypotheses
from auto_interventions.hypotheses.proposing import MOST_PAIRS
from auto_interventions.stages.clustering import settle
from auto_interventions.stages.order import Counts
from auto_interventions.stages.sampling import sides
from auto_interventions.stages.workspace import Workspace

# Pairs that an exhaustive audit's proposals are read off: all of them at the usual sizes, as its cost is not what is saved.
EXHAUSTIVE_PAIRS = 60_000


def propose(where: Workspace) -> Counts:
    """Settles the partition; hypotheses from the explored pairs."""
    settle(where)
    where.observer.stage("proposing hypotheses")
    pairs = where.explored_pairs()
    with where.ledger.stage("propose"):
        base, intervention = sides(pairs)
        where.hypotheses = propose_hypotheses(
            base,
            intervention,
            [pair.prompt.id for pair in pairs],
            [pair.prompt.stratum for pair in pairs],
            where.config.hypotheses,
            where.exploring.round if where.exploring is not None else 0,
            EXHAUSTIVE_PAIRS if where.config.sampling.strategy == "exhaustive" else MOST_PAIRS,
        )
    return {"hypotheses": len(where.hypotheses)}
