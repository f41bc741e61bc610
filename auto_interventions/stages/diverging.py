"""The bets on an exploring round's pairs, and the strata that they show to be mixed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auto_interventions.exploring import RoundBatch, run_round, split_mixed
from auto_interventions.inference import gate_is_open
from auto_interventions.records import FloatArray, FloatMatrix, Prompt
from auto_interventions.stages.order import Counts
from auto_interventions.stages.progress import RoundReport, Standing, leaders
from auto_interventions.stages.sampling import pairs_of, vectors_of
from auto_interventions.stages.workspace import Workspace


def diverge(where: Workspace, round: int) -> Counts:
    """Bets on the round's pairs with discriminators that learned earlier ones; splits strata that turn out mixed."""
    if not pairs_of(where, "explore", round):
        return {"divergent": 0, "texts": where.explore_state().texts}
    where.observer.stage(f"explore round {round + 1}: betting")
    with where.ledger.stage(f"{where.stage_name('explore', round)}: diverge"):
        vectors = vectors_of(where, round)
        batch = RoundBatch.of(
            pairs_of(where, "explore", round),
            *vectors,
            cluster_stability=where.stability,
            boundary=_boundary(where, vectors),
            clusters=where.cluster_quality,
        )
        state = run_round(where.explore_state(), batch, where.config)
        where.exploring = state
        if where.config.sampling.strategy in ("active", "divergence"):
            where.exploring = split_mixed(state, where.prompts_of("explore"), lambda prompts: _embedded(where, prompts))
    evidence = state.history[-1]
    where.peeks["divergent"] |= bool(evidence.divergent)
    where.peeks["different"] |= gate_is_open(evidence.log_e_overall, where.config.inference.alpha)
    where.write_run()
    found, of = state.kinds_among(evidence.divergent), state.tree.roots
    leading = leaders(
        Standing(name, log_e, number in evidence.divergent)
        for number, (name, log_e) in enumerate(zip(state.strata, state.log_e_strata.tolist(), strict=True))
    )
    where.observer.round_ended(RoundReport("explore", round, state.texts, evidence.log_e_overall, found, of, leading))
    return {"divergent": found, "texts": state.texts}


def _boundary(where: Workspace, vectors: tuple[FloatMatrix, FloatMatrix]) -> FloatArray | None:
    """(n,) how near the pairs' texts lie to a border between two clusters; only where the allocation goes by it."""
    if where.partition is None or where.config.sampling.strategy not in ("active", "boundary"):
        return None
    return np.mean([where.partition.margin(side) for side in vectors], axis=0)


def _embedded(where: Workspace, prompts: Sequence[Prompt]) -> FloatMatrix:
    return where.encoder.encode([prompt.whole for prompt in prompts])
