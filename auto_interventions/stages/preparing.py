"""Prompts, and whose turn it is: loading, strata, pools, and which of them a round asks."""

from __future__ import annotations

from collections.abc import Sequence

from auto_interventions.confirming import next_round, outlook, why_stop_confirming
from auto_interventions.exploring import allocation_of, pairs_wanted, why_stop
from auto_interventions.prompts import Bank, Origin, load_bank, split, stratify, write_rows
from auto_interventions.records import Pool, Prompt
from auto_interventions.runs.ledger import StageCounts
from auto_interventions.stages.answering import numbered
from auto_interventions.stages.checking import check_bank, check_budget
from auto_interventions.stages.confirming import begin
from auto_interventions.stages.exploring import for_exploring, named, suspicion
from auto_interventions.stages.growing import free_bank, grow
from auto_interventions.stages.order import Counts
from auto_interventions.stages.workspace import Workspace
from auto_interventions.subjects import RecordedTexts, Request, recorded_texts

# A first round on recorded texts takes at most this share of what they hold, so that later rounds have something to bet on.
FIRST_SHARE = 0.25
_FREE = Origin(*2 * ("beginnings of texts that the two models wrote from nothing",))


def prepare(where: Workspace) -> Counts:
    """Loads the bank, groups it into strata, splits it into pools."""
    config = where.config
    where.observer.stage("prompts")
    with where.ledger.stage("prepare") as counts:
        recorded = recorded_texts(config)
        prompts = _bank(where, recorded, counts)
        where.extra["repeated_texts_left_out"] = sum(file.repeats for file in recorded)
        vectors = None
        if config.prompts.strata == "auto":
            vectors = where.encoder.encode([prompt.text for prompt in prompts])
            counts.embeddings_computed, counts.embeddings_cached = where.encoder.computed, where.encoder.cached
        stratified = stratify(prompts, vectors, config.prompts, config.sampling.seed)
        where.prompts = tuple(split(stratified, config.prompts.explore_share, config.sampling.seed))
    where.write_run()
    strata = len({prompt.stratum for prompt in where.prompts})
    check_budget(config, strata)
    return {"prompts": len(where.prompts), "strata": strata}


def _bank(where: Workspace, recorded: Sequence[RecordedTexts], counts: StageCounts) -> list[Prompt]:
    """The bank, written by the two models or by a third one first where that is wanted; what it is goes into run.json (`prompts.bank`)."""
    config, written = where.config.prompts, None
    if config.source == "free":
        bank = Bank(free_bank(where, counts), _FREE, config.free_texts)
        where.bank = bank.facts()
        return bank.prompts
    if config.written is not None:
        where.observer.stage(f"prompts: written by {config.written.by}")
        asker = where.language.asker(config.written.by, config.written.chat)
        with where.language.charged(counts):
            written = write_rows(asker, config.written)
    bank = load_bank(config, recorded, where.config.sampling.seed, written)
    check_bank(bank.prompts, bank.origin.place)
    where.bank = bank.facts()
    return bank.prompts


def plan(where: Workspace, phase: Pool, round: int) -> int:
    """Chooses the prompts of the next round; how many pairs, 0 when the phase is over (why is noted in the workspace)."""
    if where.out_of_time():
        where.out_of_budget = True
        reason, requests = f"the time budget of {where.config.budget.minutes:g} minutes is spent", []
    elif where.served and where.out_of_money:
        reason, requests = "the money for further texts is spent", []
    else:
        reason, requests = _plan_explore(where, round) if phase == "explore" else _plan_confirm(where, round)
    where.requests[phase, round] = numbered(where, requests)
    if not requests:
        where.stopped[phase] = reason
    return sum(request.samples for request in requests)


def _plan_explore(where: Workspace, round: int) -> tuple[str, list[Request]]:
    config, state = for_exploring(where), where.explore_state()
    if reason := why_stop(state, config, named=lambda: named(where)):
        return reason, []
    pool = where.prompts_of("explore")
    capacity = where.capacities(pool)
    wanted = pairs_wanted(state, config)
    if round == 0 and capacity and config.sampling.strategy != "exhaustive":
        wanted = min(wanted, max(2, int(sum(capacity.values()) * FIRST_SHARE)))
    rule = allocation_of(config, suspicion(where) if config.sampling.strategy == "active" else None)
    requests = rule.allocate(state, pool, wanted, config, capacity)
    targeted = config.sampling.strategy in ("active", "divergence")
    if targeted and grow(where, set(state.tree.leaf_of([request.prompt for request in requests]).tolist())):
        pool = where.prompts_of("explore")
        requests = rule.allocate(where.explore_state(), pool, wanted, config, where.capacities(pool))
    return "" if requests else str(why_stop(state, config, exhausted=True)), requests


def _plan_confirm(where: Workspace, round: int) -> tuple[str, list[Request]]:
    config, explored = where.within_money, where.explore_state()
    if not where.hypotheses:
        return "nothing was proposed, so there was nothing to confirm", []
    if where.confirming is None:
        begin(where)
    state = where.confirm_state()
    where.confirm_requests[round] = next_round(where.confirm_plan, state, explored, config)
    requests = where.confirm_requests[round].requests
    planned = len(where.confirm_plan.backbone)  # without the prompts that a side did not answer
    left = where.confirm_plan.pairs - len(state.pairs)
    if reason := why_stop_confirming(state, explored, config, exhausted=not requests, planned=planned, left=left):
        where.outlook = outlook(state, explored, config)
        return reason, []
    return "", requests
