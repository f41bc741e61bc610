"""Which confirm-pool prompts are asked, in which order, how often.

The backbone is fixed before the first prompt is seen: prompts in a random order, each visited once, with m pairs; then the per-prompt
differences are a random sample in its order, as the confidence sequence needs. With live models it is as large as it takes to see the
smallest effect of interest in one sentence, within the budget; more texts would buy precision that nobody asked for. Recorded texts cost
nothing to draw, so all of them are planned, within the budget.

Once all are visited, and a sentence is on its way (its evidence, growing as it did, would be enough after no more pairs than were
spent), all prompts get further samples alike, while the budget lasts and the sentence keeps its pace. They carry evidence, as focused
pairs do.

Besides, a round may hold focused pairs (`confirming.focus`): further samples of prompts in the strata where undecided sentences gain
most, at most twice the backbone, or while the budget lasts and some sentence is within reach in the strata where it holds.

Where language models judge every sentence, verdicts are dear and pairs are not: the backbone visits each prompt once, as few prompts as
`judge.max_pairs` needs, rounds are small, and once the backbone is done sentences that are still open get further samples of all
prompts alike, which carry evidence as focused pairs do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.confirming.evidence import nats_needed, pairs_needed
from auto_interventions.confirming.focus import FOCUSED, beliefs_of, focus_of
from auto_interventions.confirming.standing import AT_LEAST, SPARE, checks_decided, in_reach, is_open
from auto_interventions.confirming.state import ConfirmState
from auto_interventions.exploring.pool import apportion
from auto_interventions.exploring.state import RoundState
from auto_interventions.fingerprint import seed_of
from auto_interventions.inference.detectable import smallest_detectable
from auto_interventions.records import FloatArray, Prompt
from auto_interventions.subjects.base import Request

_FEWEST = 500
_MOST = 32_000
_MOST_FOCUSED = 2.0  # times the backbone
_MOST_MORE = 1.0  # times the pairs so far, for a sentence that is on its way when the plan is done
_UNLIMITED: int = 1 << 40
_FEW = 50  # pairs of a round where only language models have still to judge


@dataclass(frozen=True, slots=True)
class ConfirmPlan:
    """What confirming may ask.

    Attributes:
        backbone: one request a prompt from sample 0, in random order.
        pairs: what the budget allows in all.
        limits: samples that each prompt id can give; a missing id is unlimited.
    """

    backbone: tuple[Request, ...] = ()
    pairs: int = 0
    limits: Mapping[str, int] | None = None

    @property
    def most_focused(self) -> int:
        """Focused pairs at most."""
        planned = sum(request.samples for request in self.backbone)
        return max(0, min(int(_MOST_FOCUSED * planned), self.pairs))


@dataclass(frozen=True, slots=True)
class ConfirmRound:
    """A round's requests: `backbone` first, then `focused`."""

    backbone: tuple[Request, ...] = ()
    focused: tuple[Request, ...] = ()

    @property
    def requests(self) -> list[Request]:
        """All of them, in order."""
        return [*self.backbone, *self.focused]

    @property
    def backbone_pairs(self) -> int:
        """Pairs of the backbone; they come first."""
        return sum(request.samples for request in self.backbone)


def plan_confirmation(
    prompts: Sequence[Prompt],
    texts_spent: int,
    hypotheses: int,
    config: AuditConfig,
    capacity: Mapping[str, int] | None = None,
    checks: int | None = None,
) -> ConfirmPlan:
    """The plan of the confirming stage.

    Args:
        prompts: the confirm pool.
        texts_spent: texts drawn so far (exploring), both models together.
        hypotheses: how many sentences are tested; none, and nothing is asked.
        capacity: samples that each prompt id can give (recorded texts); a missing id, or None, is unlimited.
        checks: how many of the sentences have a check; the others are judged by language models. None: all.
    """
    limits: Mapping[str, int] = capacity or {}
    order = sorted((prompt for prompt in prompts if limits.get(prompt.id, 1) > 0), key=lambda prompt: _key(prompt, config))
    allowed = budget = (config.sampling.max_texts - texts_spent) // 2
    if not order or budget < 1 or hypotheses < 1:
        return ConfirmPlan()
    everything = config.sampling.strategy == "exhaustive" or all(prompt.id in limits for prompt in order)
    if checks == 0 and config.sampling.strategy != "exhaustive":
        allowed = budget = min(budget, SPARE * config.judge.max_pairs)
        wanted = 0
    else:
        wanted = budget if everything else min(budget, _pairs_for_smallest_effect(len(order), hypotheses, config))
    samples = max(config.sampling.samples_per_prompt, math.ceil(wanted / len(order)))
    if samples * len(order) > budget:  # rather every prompt fewer times than some prompts never
        samples = max(config.sampling.samples_per_prompt, budget // len(order))
    # An exhaustive audit uses up its budget: the first prompts are asked once more.
    more = max(0, budget - samples * len(order)) if config.sampling.strategy == "exhaustive" else 0
    plan: list[Request] = []
    for place, prompt in enumerate(order):
        asked = samples + (place < more)
        share = min(asked, limits.get(prompt.id, asked), budget)
        if share < 1:
            break
        plan.append(Request(prompt, 0, share))
        budget -= share
    return ConfirmPlan(tuple(plan), allowed, limits)


def next_round(plan: ConfirmPlan, state: ConfirmState, explored: RoundState, config: AuditConfig) -> ConfirmRound:
    """The next round's requests, about `per_round` texts, fewer where only language models judge; empty when there is nothing left."""
    left = plan.pairs - len(state.pairs)
    wanted = min(left, max(1, config.sampling.per_round // 2))
    if config.sampling.strategy == "exhaustive":
        wanted = left
        judging = np.zeros(len(state.hypotheses), dtype=np.bool_)
    else:
        judging = is_open(state, explored, config)
        if state.by_model.any() and (state.by_model.all() or checks_decided(state, explored, config, left)):
            wanted = min(wanted, _FEW)
    drawn = dict(state.drawn)
    focus = _focus(plan, state, explored, config, left) if config.sampling.strategy != "uniform" else None
    unvisited = plan.backbone[state.backbone_prompts :]
    if not unvisited and focus is None and (judging.any() or _within_reach(state, explored, config, left)):
        focus = _everywhere(plan, state)
    for_focus = 0 if focus is None else wanted if not unvisited else int(wanted * FOCUSED)
    backbone = _slice(unvisited, wanted - for_focus, left - for_focus, drawn) if wanted > for_focus else []
    visited = state.backbone_prompts + len(backbone)
    focused = _focused(plan, state, focus, for_focus, drawn, visited) if focus is not None else []
    return ConfirmRound(tuple(backbone), tuple(focused))


def _slice(unvisited: Sequence[Request], wanted: int, most: int, drawn: dict[str, int]) -> list[Request]:
    """The first of the unvisited prompts, about `wanted` pairs, `most` at most, continuing what focused pairs drew of them; at least one
    prompt."""
    chosen: list[Request] = []
    for request in unvisited:
        if chosen and wanted < request.samples:
            break
        have = drawn.get(request.prompt.id, 0)
        samples = min(request.samples, most)
        chosen.append(Request(request.prompt, have, samples))
        drawn[request.prompt.id] = have + samples
        wanted -= samples
    return chosen


def _focus(plan: ConfirmPlan, state: ConfirmState, explored: RoundState, config: AuditConfig, left: int) -> FloatArray | None:
    """(S,) where focused pairs should go; None for nowhere in particular."""
    if config.sampling.strategy == "exhaustive" or len(state.strata) < 2:
        return None
    spare = min(left, plan.most_focused - int((~state.backbone).sum()))
    if spare < 1 and not in_reach(state, explored, config, left).any():
        return None
    spare = spare if spare > 0 else left
    if state.by_model.all() and state.backbone_prompts < AT_LEAST:  # the intervals first: pairs are few
        return None
    needed = nats_needed(state, explored, config.inference.alpha)
    needed = np.where(state.by_model & ~is_open(state, explored, config), 0.0, needed)  # settled ones do not vote
    beliefs = beliefs_of(state.hypotheses, state.support, state.shares)
    return focus_of(state.seen, _sizes(plan, state), needed, beliefs, spare, state.by_model)


def _within_reach(state: ConfirmState, explored: RoundState, config: AuditConfig, left: int) -> bool:
    """Whether what is left, and no more than was spent so far, would validate some sentence with a check that is not shown to be small."""
    if config.sampling.strategy == "exhaustive" or not len(state.pairs):
        return False
    ahead = pairs_needed(state, explored, config.inference.alpha)
    near = np.flatnonzero(~state.by_model & (ahead > 0) & (ahead <= min(left, _MOST_MORE * len(state.pairs))))
    smallest = config.inference.smallest_effect
    return any(max(-low, high) > smallest for low, high in (state.interval(row, config.inference.alpha) for row in near.tolist()))


def _sizes(plan: ConfirmPlan, state: ConfirmState) -> FloatArray:
    """(S,) prompts of the plan in each stratum."""
    sizes, number = np.zeros(len(state.strata)), state.stratum_number
    for request in plan.backbone:
        sizes[number.get(request.prompt.stratum, 0)] += 1
    return sizes


def _everywhere(plan: ConfirmPlan, state: ConfirmState) -> FloatArray | None:
    """(S,) shares of the strata by their prompts; None if there are none."""
    sizes = _sizes(plan, state)
    return sizes / sizes.sum() if sizes.any() else None


def _focused(plan: ConfirmPlan, state: ConfirmState, focus: FloatArray, pairs: int, drawn: dict[str, int], visited: int) -> list[Request]:
    """Requests for up to `pairs` pairs spread as `focus` (S,) says: a stratum's least asked prompts first, in the plan's order.

    A prompt that the backbone has yet to visit (number `visited` and after) keeps what the backbone needs of it.
    """
    limits = plan.limits or {}
    members: list[list[tuple[int, Request]]] = [[] for _ in state.strata]
    number = state.stratum_number
    for place, request in enumerate(plan.backbone):
        members[number.get(request.prompt.stratum, 0)].append((place, request))
    taken: dict[str, list[int]] = {}
    prompts: dict[str, Prompt] = {}
    for stratum in np.flatnonzero(quotas := apportion(focus, pairs)).tolist():
        left = int(quotas[stratum])
        while left > 0:
            room: list[tuple[int, int, Prompt]] = []
            for place, request in members[stratum]:
                have = drawn.get(request.prompt.id, 0)
                kept = request.samples if place >= visited else 0
                if have < limits.get(request.prompt.id, _UNLIMITED) - kept:
                    room.append((have, place, request.prompt))
            if not room:
                break
            for have, _, prompt in sorted(room, key=lambda entry: entry[:2])[:left]:
                taken.setdefault(prompt.id, [have, 0])[1] += 1
                prompts[prompt.id] = prompt
                drawn[prompt.id] = have + 1
                left -= 1
    return [Request(prompts[key], first, count) for key, (first, count) in taken.items()]


def _pairs_for_smallest_effect(prompts: int, hypotheses: int, config: AuditConfig) -> int:
    pairs = _FEWEST
    while pairs < _MOST and _detectable(pairs, prompts, hypotheses, config) > config.inference.smallest_effect:
        pairs *= 2
    return pairs


def _detectable(pairs: int, prompts: int, hypotheses: int, config: AuditConfig) -> float:
    return smallest_detectable(pairs, min(prompts, pairs), hypotheses, config.inference.alpha)


def _key(prompt: Prompt, config: AuditConfig) -> int:
    return seed_of("confirming", config.sampling.seed, prompt.id)
