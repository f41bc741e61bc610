"""One exploring round after its texts are embedded: the partition, the bets; and at the end the hypotheses."""

from __future__ import annotations

import math

from auto_interventions.clustering import kmeans, stability
from auto_interventions.exploring import RoundBatch, run_round
from auto_interventions.hypotheses import propose as propose_hypotheses
from auto_interventions.hypotheses.proposing import MOST_PAIRS
from auto_interventions.inference import gate_is_open
from auto_interventions.stages.order import Counts
from auto_interventions.stages.progress import RoundReport
from auto_interventions.stages.sampling import all_vectors, sides
from auto_interventions.stages.workspace import Workspace

# Pairs that an exhaustive audit's proposals are read off: all of them at the usual sizes, as its cost is not what is saved.
EXHAUSTIVE_PAIRS = 60_000
# A cluster of fewer texts than this says nothing about shares.
TEXTS_PER_CLUSTER = 5


def cluster(where: Workspace, round: int) -> Counts:
    """The partition of all explored texts, warm-started from the last round's; its clusters keep their numbers."""
    where.observer.stage(f"explore round {round + 1}: clustering")
    config = where.config
    with where.ledger.stage(f"{where.stage_name('explore', round)}: cluster"):
        vectors = all_vectors(where)
        wanted = max(1, min(config.clustering.clusters, len(vectors) // TEXTS_PER_CLUSTER))
        previous = where.partition
        start = previous.centroids if previous is not None else None
        partition = kmeans(vectors, wanted, config.sampling.seed, start, config.clustering.backend)
        where.stability = math.nan
        if previous is not None:
            partition = partition.matched_to(previous)
            where.stability = stability(previous.assign(vectors), partition.assign(vectors))
        where.partition = partition
    return {"clusters": partition.clusters}


def diverge(where: Workspace, round: int) -> Counts:
    """Bets on the round's pairs with discriminators trained on earlier ones."""
    where.observer.stage(f"explore round {round + 1}: betting")
    with where.ledger.stage(f"{where.stage_name('explore', round)}: diverge"):
        batch = RoundBatch.of(where.pairs["explore", round], *where.vectors[round], cluster_stability=where.stability)
        state = run_round(where.explore_state(), batch, where.config)
        where.exploring = state
    evidence = state.history[-1]
    where.peeks["divergent"] |= bool(evidence.divergent)
    where.peeks["different"] |= gate_is_open(evidence.log_e_overall, where.config.inference.alpha)
    where.write_run()
    where.observer.round_ended(
        RoundReport("explore", round, state.texts, evidence.log_e_overall, len(evidence.divergent), len(state.strata))
    )
    return {"divergent": len(evidence.divergent), "texts": state.texts}


def propose(where: Workspace) -> Counts:
    """Hypotheses from the explored pairs."""
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
