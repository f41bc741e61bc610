"""Which confirm-pool prompts are asked, in which order, how often. Fixed before the first of them is seen.

Prompts come in a random order and each is visited once, with m pairs: then the per-prompt differences are a random sample in its order,
as the confidence sequence needs. With live models the plan is as large as it takes to see the smallest effect of interest in one
sentence, within the budget; more texts would buy precision that nobody asked for. Recorded texts cost nothing to draw, so all of them
are planned, within the budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from auto_interventions.config import AuditConfig
from auto_interventions.fingerprint import seed_of
from auto_interventions.inference.detectable import smallest_detectable
from auto_interventions.records import Prompt
from auto_interventions.subjects.base import Request

_FEWEST = 500
_MOST = 32_000


def plan_confirmation(
    prompts: Sequence[Prompt],
    texts_spent: int,
    hypotheses: int,
    config: AuditConfig,
    capacity: Mapping[str, int] | None = None,
) -> tuple[Request, ...]:
    """All requests of the confirming stage, in order.

    Args:
        prompts: the confirm pool.
        texts_spent: texts drawn so far (exploring), both models together.
        hypotheses: how many sentences are tested; none, and nothing is asked.
        capacity: samples that each prompt id can give (recorded texts); a missing id, or None, is unlimited.

    Returns:
        One request a prompt from sample 0, in random order; empty if there is no budget, prompt or hypothesis.
    """
    limits: Mapping[str, int] = capacity or {}
    order = sorted((prompt for prompt in prompts if limits.get(prompt.id, 1) > 0), key=lambda prompt: _key(prompt, config))
    budget = (config.sampling.max_texts - texts_spent) // 2
    if not order or budget < 1 or hypotheses < 1:
        return ()
    recorded = all(prompt.id in limits for prompt in order)
    wanted = budget if recorded else min(budget, _pairs_for_smallest_effect(len(order), hypotheses, config))
    samples = max(config.sampling.samples_per_prompt, math.ceil(wanted / len(order)))
    if samples * len(order) > budget:  # rather every prompt fewer times than some prompts never
        samples = max(config.sampling.samples_per_prompt, budget // len(order))
    plan: list[Request] = []
    for prompt in order:
        share = min(samples, limits.get(prompt.id, samples), budget)
        if share < 1:
            break
        plan.append(Request(prompt, 0, share))
        budget -= share
    return tuple(plan)


def next_requests(plan: Sequence[Request], visited: int, config: AuditConfig) -> list[Request]:
    """The next round's requests: those after the first `visited`, about `per_round` texts; empty when the plan is done."""
    wanted = max(1, config.sampling.per_round // 2)
    chosen: list[Request] = []
    for request in plan[visited:]:
        if chosen and wanted < request.samples:
            break
        chosen.append(request)
        wanted -= request.samples
    return chosen


def _pairs_for_smallest_effect(prompts: int, hypotheses: int, config: AuditConfig) -> int:
    pairs = _FEWEST
    while pairs < _MOST and _detectable(pairs, prompts, hypotheses, config) > config.inference.smallest_effect:
        pairs *= 2
    return pairs


def _detectable(pairs: int, prompts: int, hypotheses: int, config: AuditConfig) -> float:
    return smallest_detectable(pairs, min(prompts, pairs), hypotheses, config.inference.alpha, seed=config.sampling.seed)


def _key(prompt: Prompt, config: AuditConfig) -> int:
    return seed_of("confirming", config.sampling.seed, prompt.id)
