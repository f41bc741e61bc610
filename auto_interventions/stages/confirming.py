"""One confirming round: the judges' verdicts on fresh pairs, and the bets on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auto_interventions.confirming import ConfirmState, judge_round, log_e_overall, payoff_sums, plan_confirmation, validated
from auto_interventions.judging.judged import Judged
from auto_interventions.records import BoolArray, FloatArray, Pair
from auto_interventions.runs.ledger import StageCounts
from auto_interventions.stages.affording import affordable
from auto_interventions.stages.answering import backbone_kept
from auto_interventions.stages.order import Counts
from auto_interventions.stages.progress import RoundReport, Standing, leaders
from auto_interventions.stages.sampling import pairs_of, sides
from auto_interventions.stages.workspace import Workspace

# Explored pairs that say where to look; more would only cost time.
_MOST_PAIRS = 20_000
# Explored pairs that say what judging a pair costs.
_PRICED = 20


def begin(where: Workspace) -> None:
    """Plans confirming: what exploring paid each hypothesis, and the confirm pool's prompts in their order."""
    config, pool = where.config, where.prompts_of("confirm")
    spent = where.explore_state().texts
    where.confirm_plan = plan_confirmation(pool, spent, len(where.hypotheses), config, where.capacities(pool), _checks(where))
    # A fixed-n test starts from nothing and looks everywhere.
    pairs = [] if config.sampling.strategy == "exhaustive" else where.explored_pairs()[-_MOST_PAIRS:]
    with where.ledger.stage("confirm: judge") as counts:
        base, intervention = (where.language.checker.score(where.hypotheses, texts).astype(np.float64) for texts in sides(pairs))
        counts.judge_calls += 2 * _checks(where) * len(pairs)
    names = list(where.confirm_strata())
    where.explored_payoffs = payoff_sums(intervention - base, [pair.prompt.stratum for pair in pairs], names)
    if where.screened is not None and pairs:
        judged, tried = where.screened
        payoffs = (judged.intervention - judged.base).astype(np.float64)
        by_model = [hypothesis.check is None for hypothesis in where.hypotheses]
        where.explored_payoffs[by_model] = payoff_sums(payoffs, [pair.prompt.stratum for pair in tried], names)
    where.confirming = where.confirm_state()


def _checks(where: Workspace) -> int:
    """Hypotheses that a check judges."""
    return sum(hypothesis.check is not None for hypothesis in where.hypotheses)


def confirm(where: Workspace, round: int) -> Counts:
    """Judges the hypotheses on the round's pairs."""
    pairs = pairs_of(where, "confirm", round)
    where.observer.stage(f"confirm round {round + 1}: judging", None if _checks(where) == len(where.hypotheses) else len(pairs))
    with where.ledger.stage("confirm: judge") as counts:
        where.confirming = _judged(where, pairs, backbone_kept(where, round), counts)
    state, explored = where.confirming, where.explore_state()
    held = validated(state, explored, where.config.inference.alpha)
    found = int(held.sum())
    drawn = len(where.confirmed_pairs())
    log_e = log_e_overall(state, explored, where.config.inference.alpha)
    where.peek(state)
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
    leading = leaders(
        Standing(one.statement, own, sure, one.more_in)
        for one, own, sure in zip(state.hypotheses, state.log_e.tolist(), held.tolist(), strict=True)
    )
    where.observer.round_ended(RoundReport("confirm", round, texts, log_e, found, len(where.hypotheses), leading))
    return {"pairs": len(pairs), "validated": found}


def _judged(where: Workspace, pairs: list[Pair], backbone_pairs: int, counts: StageCounts) -> ConfirmState:
    """The state after the pairs, block by block; each block is told to the workspace, so that an interruption loses one at most."""

    def judge(block: Sequence[Pair], cells: BoolArray, slices: FloatArray) -> Judged:
        counts.judge_calls += 2 * _checks(where) * len(block)
        with where.language.charged(counts, judging=True):
            return affordable(where, where.hypotheses, block, cells, slices=slices)

    def folded(after: ConfirmState) -> None:
        where.observer.advance(len(after.pairs) - len(where.confirm_state().pairs))
        where.confirming = after
        where.peek(after)
        if _checks(where) < len(where.hypotheses):
            where.write_ledger()

    return judge_round(
        where.confirm_state(), where.explore_state(), where.within_money, pairs, backbone_pairs, _prices(where), judge, folded, sizing=True
    )


def _prices(where: Workspace) -> FloatArray:
    """(H,) dollars of judging a pair, by explored ones: it must not depend on the pairs that are about to be judged."""
    return where.language.judges.cost_per_pair(where.hypotheses, where.explored_pairs()[:_PRICED])
