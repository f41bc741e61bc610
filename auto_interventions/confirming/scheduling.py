"""Which sentences a language model judges on the next pairs: a block at a time, where a dollar buys most evidence.

The rule that makes it valid.  Whether sentence h is judged on pair i may depend on verdicts of earlier blocks only, never on any verdict
on pair i's own block. Within a block all verdicts are given before one is looked at. Then, given everything before the block, the pairs
that h is judged on are fixed, and if the models agree on h its payoffs there are symmetric around 0: the capital of every sentence is a
martingale in one filtration, that of the blocks, and e-BH may be read after each. If another sentence's verdict on the same pair chose,
h would be judged on a selection of texts: a long text mentions everything.

For the same reason `cost` must not be computed from the pairs that are about to be judged, nor may a pair that was passed over be judged
later. What one sentence's verdicts on earlier pairs say of another is no harm.

The rule that saves.  Sentences with a check are judged on every pair. Of the others only open ones (`confirming.standing`), each on its
first 20 pairs whatever they show, then by growth of evidence / (nats still needed × dollars a pair): those below a quarter of the best
wait. Blocks are small (10 pairs) and grow to 50 with what has been seen. Pairs of one prompt tell less than pairs of as many prompts: of
a visit of the backbone only as many samples are judged as it takes to reach `judge.max_pairs`. The pairs of a visit are never divided
between blocks: whether a prompt counts, and how, must not depend on half of its verdicts.

The rule that spends.  Most sentences are false, and most verdicts are bought for them: there the strong judge, who costs twenty times as
much, sees nothing. Once a sentence is promising, with a quarter of the evidence that it needs, or the cheap judge is undecided about most
of its pairs, the strong one sees what the cheap one is undecided about, and a slice of the rest.

The rule that sizes.  A strong judge that sees a fifth of the clear pairs leaves a wide interval (|y| ≤ 9, `inference.cascade`). So once a
sentence has a third of the evidence that it needs, the strong judge sees every further pair of it: few sentences get so far that are not
true, and those that do are sized by direct verdicts. The chance is fixed by the past, so y stays unbiased; sizes rest on the pairs from
there on, which are fresh: what made the sentence promising is not among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.confirming.evidence import nats_needed, validated
from auto_interventions.confirming.standing import AT_LEAST, hoped_for, is_open
from auto_interventions.confirming.state import ConfirmState, confirm_round
from auto_interventions.exploring.divergence import doubt
from auto_interventions.exploring.state import RoundState
from auto_interventions.judging.judged import Judged
from auto_interventions.records import BoolArray, FloatArray, IntArray, Pair

_SMALL, _LARGE = 10, 50
_GROWS = 3  # a block is a third of what was seen
_WAITS = 0.25  # of the best
_OPTIMISM = 1.0  # standard errors
_PROMISING, _LEADS = 1 / 4, 1 / 3  # of the evidence that a sentence needs


@dataclass(frozen=True, slots=True)
class Block:
    """What is judged next.

    Attributes:
        pairs: how many of the waiting pairs; 0: nothing is left to judge on any of them.
        cells: (H, pairs) which sentence is judged on which.
        backbone_pairs: how many of the pairs belong to the backbone.
        slices: (H, 2) with what chance the strong judge sees pairs that the cheap one is sure about, and those that it is not;
            0: there is no second judge.
    """

    pairs: int
    cells: BoolArray
    backbone_pairs: int
    slices: FloatArray


def judge_round(
    state: ConfirmState,
    explored: RoundState,
    config: AuditConfig,
    pairs: Sequence[Pair],
    backbone_pairs: int,
    cost: FloatArray,
    judge: Callable[[Sequence[Pair], BoolArray], Judged] | Callable[[Sequence[Pair], BoolArray, FloatArray], Judged],
    folded: Callable[[ConfirmState], None] | None = None,
    sizing: bool = False,
    later: float = math.inf,
) -> ConfirmState:
    """The state after a round of fresh pairs, judged block by block; one block where every sentence has a check.

    Args:
        pairs: drawn and not yet judged, those of the backbone first.
        cost: (H,) expected dollars of judging a pair, 0 where it is free; known before these pairs were drawn.
        judge: answers pairs and (H, n) cells. What it raises passes through: the block at work is then lost, all before it has counted.
        folded: called with the state after each block.
        sizing: whether `judge` takes the (H, 2) slices as well; else the strong judge is asked as `judge.slice` says.
        later: pairs that can still be drawn after these: where they are few (recorded texts), no sentence waits while they go by.
    """
    done = 0
    while done < len(pairs):
        block = next_block(state, explored, config, cost, pairs[done:], max(0, backbone_pairs - done), later)
        if not block.pairs:
            break
        fresh = pairs[done : done + block.pairs]
        told = (block.slices,) if sizing else ()
        judged = judge(fresh, block.cells, *told)
        state = confirm_round(
            state, fresh, backbone_pairs=block.backbone_pairs, judged=judged, cells=block.cells, slices=block.slices if sizing else None
        )
        done += block.pairs
        if folded is not None:
            folded(state)
    return state


def next_block(
    state: ConfirmState,
    explored: RoundState,
    config: AuditConfig,
    cost: FloatArray,
    waiting: Sequence[Pair],
    backbone_left: int,
    later: float = math.inf,
) -> Block:
    """The next pairs to judge, and which sentences on which of them.

    Args:
        cost: (H,) expected dollars a pair.
        waiting: pairs that were drawn and not yet judged, in order; `backbone_left` of them, the first ones, belong to the backbone.
        later: pairs that can still be drawn after these.
    """
    by_model = state.by_model
    count, backbone_left = len(waiting), min(backbone_left, len(waiting))
    slices = np.full((len(by_model), 2), config.judge.slice if config.judge.strong is not None else 1.0)
    cells = np.repeat(~by_model[:, None], count, axis=1)
    if not by_model.any():
        return Block(count, cells, backbone_left, slices)
    eligible = _eligible(state, config, waiting, backbone_left)
    if state.fixed:
        first = eligible & (np.cumsum(eligible) <= config.judge.max_pairs)
        cells[by_model] = first
        return Block(count, cells, backbone_left, slices)
    chosen = chosen_rows(state, explored, config, cost, later)
    if not chosen.any():  # what is left is for the checks
        return Block(0 if by_model.all() else count, cells, backbone_left, slices)
    count = _length(eligible, _wanted(state, chosen), waiting, backbone_left)
    rows = np.flatnonzero(chosen)
    cells[rows] = eligible & _worthwhile(state, rows, waiting, backbone_left)
    room = config.judge.max_pairs - state.tried[rows]
    cells[rows] &= np.cumsum(cells[rows], axis=1) <= room[:, None]
    if config.judge.strong is not None:
        slices[by_model] = 0.0
        slices[_has(state, explored, config, _PROMISING) | _puzzling(state, config)] = config.judge.slice, 1.0
        slices[_has(state, explored, config, _LEADS)] = 1.0
    return Block(count, cells[:, :count], min(backbone_left, count), slices)


def chosen_rows(state: ConfirmState, explored: RoundState, config: AuditConfig, cost: FloatArray, later: float = math.inf) -> BoolArray:
    """(H,) which sentences a language model judges on the next pairs: the open ones, but for those that wait.

    A sentence waits only if pairs enough are left for it afterwards (`later`): one that was passed over is never judged.
    """
    opened = is_open(state, explored, config)
    dollars = np.where(cost > 0, cost, cost[cost > 0].min() if np.any(cost > 0) else 1.0)
    needed = np.maximum(nats_needed(state, explored, config.inference.alpha), 0.5)
    worth = hoped_for(state.seen.sum(axis=1), _OPTIMISM) / (needed * dollars)
    # A validated sentence that wants prompts for its interval needs no more evidence: it would make all others wait until it has them.
    sized = validated(state, explored, config.inference.alpha)
    best = worth[opened & ~sized].max(initial=0.0)
    hurried = (state.tried < AT_LEAST) | (later < config.judge.max_pairs - state.tried)
    return opened & (sized | (worth >= _WAITS * best) | hurried)


def _has(state: ConfirmState, explored: RoundState, config: AuditConfig, share: float) -> BoolArray:
    """(H,) which sentences have this share of the evidence that they need."""
    missing = nats_needed(state, explored, config.inference.alpha)
    return (state.tried >= _SMALL) & (state.log_e >= share * (state.log_e + missing)) & (state.log_e > 0)


def _puzzling(state: ConfirmState, config: AuditConfig) -> BoolArray:
    """(H,) which sentences the cheap judge was undecided about, or silent, on more than half of the pairs."""
    low, high = config.judge.borderline
    both = np.stack([state.judged.cheap_base, state.judged.cheap_intervention])
    clear = ((both < low) | (both > high)).all(axis=0).sum(axis=1)  # NaN compares false
    return (state.tried >= _SMALL) & (2 * clear < state.tried)


def _eligible(state: ConfirmState, config: AuditConfig, waiting: Sequence[Pair], backbone_left: int) -> BoolArray:
    """(n,) the pairs that language models judge: all focused ones, and the first samples of each visit of the backbone."""
    most = max(config.sampling.samples_per_prompt, math.ceil(config.judge.max_pairs / max(state.planned_prompts, 1)))
    seen: dict[str, int] = {}
    eligible = np.ones(len(waiting), dtype=np.bool_)
    for place, pair in enumerate(waiting[:backbone_left]):
        seen[pair.prompt.id] = seen.get(pair.prompt.id, 0) + 1
        eligible[place] = seen[pair.prompt.id] <= most
    return eligible


def _wanted(state: ConfirmState, chosen: BoolArray) -> int:
    """Pairs in the next block: so many that a sentence which would be settled in the midst of it wastes little."""
    tried = int(np.median(state.tried[chosen]))
    return max(AT_LEAST - tried, min(max(_SMALL, tried // _GROWS), _LARGE))


def _length(eligible: BoolArray, wanted: int, waiting: Sequence[Pair], backbone_left: int) -> int:
    """How many pairs hold `wanted` eligible ones, the last visit of the backbone whole."""
    held = np.cumsum(eligible)
    count = min(int(np.searchsorted(held, wanted)) + 1, len(waiting))
    while count < backbone_left and waiting[count].prompt.id == waiting[count - 1].prompt.id:
        count += 1
    return count


def _worthwhile(state: ConfirmState, rows: IntArray, waiting: Sequence[Pair], backbone_left: int) -> BoolArray:
    """(rows, n) focused pairs are judged where the sentence pays no less than everywhere; once the backbone is done, anywhere."""
    worthwhile = np.ones((len(rows), len(waiting)), dtype=np.bool_)
    if len(waiting) == backbone_left or state.backbone_prompts >= state.planned_prompts:
        return worthwhile
    seen = state.seen[rows]
    whole = seen.sum(axis=1, keepdims=True)  # (rows, 1, 3)
    prior = doubt(seen)[:, None, None]
    pooled = seen + prior * whole / np.maximum(whole[..., :1], 1.0)
    everywhere = whole / np.maximum(whole[..., :1], 1.0) * pooled[..., :1]
    pays = hoped_for(pooled, 0.0) >= hoped_for(everywhere, 0.0) - 1e-9  # (rows, S)
    number = state.stratum_number
    strata = np.array([number.get(pair.prompt.stratum, 0) for pair in waiting[backbone_left:]], dtype=np.int64)
    worthwhile[:, backbone_left:] = pays[:, strata]
    return worthwhile
