"""One confirming round: the judge's verdicts on fresh pairs, and the bets on them."""

from __future__ import annotations

import numpy as np

from auto_interventions.confirming import confirm_round, log_e_overall, payoff_sums, plan_confirmation, validated
from auto_interventions.inference import gate_is_open
from auto_interventions.stages.order import Counts
from auto_interventions.stages.progress import RoundReport
from auto_interventions.stages.sampling import pairs_of, sides
from auto_interventions.stages.workspace import Workspace

# Explored pairs that say where to look; more would only cost time.
_MOST_PAIRS = 20_000


def begin(where: Workspace) -> None:
    """Plans confirming: what exploring paid each hypothesis, and the confirm pool's prompts in their order."""
    config, pool = where.config, where.prompts_of("confirm")
    spent = where.explore_state().texts
    where.confirm_plan = plan_confirmation(pool, spent, len(where.hypotheses), config, where.capacities(pool))
    # A fixed-n test starts from nothing and looks everywhere.
    pairs = [] if config.sampling.strategy == "exhaustive" else where.explored_pairs()[-_MOST_PAIRS:]
    with where.ledger.stage("confirm: judge") as counts:
        base, intervention = (where.language.checker.score(where.hypotheses, texts).astype(np.float64) for texts in sides(pairs))
        counts.judge_calls += base.size + intervention.size
    where.explored_payoffs = payoff_sums(intervention - base, [pair.prompt.stratum for pair in pairs], list(where.confirm_strata()))
    where.confirming = where.confirm_state()


def confirm(where: Workspace, round: int) -> Counts:
    """Judges every hypothesis on both texts of every pair of the round."""
    pairs = pairs_of(where, "confirm", round)
    where.observer.stage(f"confirm round {round + 1}: judging")
    with where.ledger.stage("confirm: judge") as counts:
        base, intervention = sides(pairs)
        before, after = (where.language.checker.score(where.hypotheses, texts) for texts in (base, intervention))
        counts.judge_calls += before.size + after.size
        state = confirm_round(where.confirm_state(), pairs, before, after, where.confirm_requests[round].backbone_pairs)
        where.confirming = state
    explored = where.explore_state()
    found = int(validated(state, explored, where.config.inference.alpha).sum())
    drawn = len(where.confirmed_pairs())
    log_e = log_e_overall(state, explored)
    where.peeks["validated"] |= found > 0
    where.peeks["different"] |= gate_is_open(log_e, where.config.inference.alpha)
    texts = explored.texts + 2 * drawn
    where.confirm_rounds.append(
        {
            "round": round,
            "pairs": drawn,
            "focused": int((~state.backbone).sum()),
            "validated": found,
            "log_e_best": float(state.log_e.max()),
        }
    )
    where.write_run()
    where.observer.round_ended(RoundReport("confirm", round, texts, log_e, found, len(where.hypotheses)))
    return {"pairs": len(pairs), "validated": found}
