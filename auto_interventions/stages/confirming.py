"""One confirming round: the judge's verdicts on fresh pairs, and the bets on them."""

from __future__ import annotations

from auto_interventions.confirming import confirm_round, validated
from auto_interventions.inference import gate_is_open, overall_log_e
from auto_interventions.stages.order import Counts
from auto_interventions.stages.progress import RoundReport
from auto_interventions.stages.sampling import sides
from auto_interventions.stages.workspace import Workspace


def confirm(where: Workspace, round: int) -> Counts:
    """Judges every hypothesis on both texts of every pair of the round."""
    pairs = where.pairs["confirm", round]
    where.observer.stage(f"confirm round {round + 1}: judging")
    with where.ledger.stage("confirm: judge") as counts:
        base, intervention = sides(pairs)
        scores = [where.judge.score(where.hypotheses, texts) for texts in (base, intervention)]
        counts.judge_calls += sum(score.size for score in scores)
        state = confirm_round(where.confirm_state(), pairs, *scores)
        where.confirming = state
    explored = where.explore_state()
    found = int(validated(state, explored, where.config.inference.alpha).sum())
    drawn = len(where.confirmed_pairs())
    log_e = overall_log_e(explored.overall.log_e, explored.log_e_strata, state.log_e)
    where.peeks["validated"] |= found > 0
    where.peeks["different"] |= gate_is_open(log_e, where.config.inference.alpha)
    texts = explored.texts + 2 * drawn
    where.confirm_rounds.append({"round": round, "pairs": drawn, "validated": found, "log_e_best": float(state.log_e.max())})
    where.write_run()
    where.observer.round_ended(RoundReport("confirm", round, texts, log_e, found, len(where.hypotheses)))
    return {"pairs": len(pairs), "validated": found}
