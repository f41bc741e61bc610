"""Prompts that nobody wrote: mined prefixes where the explore pool was asked dry, and a whole bank for base models that have none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from auto_interventions.clustering.threads import one_thread
from auto_interventions.config import AuditConfig, SubjectConfig
from auto_interventions.errors import PromptError
from auto_interventions.exploring import RoundBatch, RoundState
from auto_interventions.prompts import beginning, capped, free_prompts, mine_prefixes, without_copies
from auto_interventions.records import ROLES, FloatArray, FloatMatrix, IntArray, Pair, Prompt
from auto_interventions.runs.ledger import StageCounts
from auto_interventions.stages.checking import FEWEST_PROMPTS
from auto_interventions.stages.sampling import draw, sides
from auto_interventions.stages.workspace import Workspace
from auto_interventions.subjects import Request

# New prompts a stratum and call: as many as it has, within these bounds.
FEWEST_NEW, MOST_NEW = 8, 64
# The last pairs that are scored, and of those the best whose beginnings are embedded.
PAIRS_SCORED = 2000
PAIRS_EMBEDDED = 512


def free_bank(where: Workspace, counts: StageCounts) -> list[Prompt]:
    """The bank of `prompts.source: free`: beginnings of texts that the two models wrote from nothing, half of each.

    The texts are in `counts` and in the store; none of them is ever part of a pair.

    Raises:
        PromptError: too few distinct beginnings.
        SubjectError: a model writes nothing.
    """
    config = where.config.prompts
    where.observer.stage("prompts: texts from nothing", config.free_texts)
    each = {"base": config.free_texts - config.free_texts // 2, "intervention": config.free_texts // 2}
    texts = [text.text for role in ROLES for text in draw(where, role, [Request(Prompt(""), 0, each[role])], counts)]
    prompts = without_copies(free_prompts(texts, config.prefix_words), config.near_duplicates, lambda prompt: prompt.text)
    if len(prompts) < FEWEST_PROMPTS:
        raise PromptError(
            f"`prompts.source: free`: {len(texts)} texts that the models wrote from nothing have {len(prompts)} distinct beginnings of "
            f"{config.prefix_words} words, and an audit needs {FEWEST_PROMPTS}; raise `prompts.prefix_words` or `prompts.free_texts`, or "
            f"give a prompt file"
        )
    return capped(prompts, config.max_prompts, where.config.sampling.seed)


def grow(where: Workspace, strata: Collection[int] | None = None) -> int:
    """Adds prompts with mined prefixes to the explore pool; how many.

    They go to those of `strata` (numbers in the exploring state; None: all) in which every exploring prompt was asked
    `sampling.prefixes_after` times or more; they belong to the stratum, or the part of it, that they were mined in. Nothing is added where
    sampling is to be even (uniform, exhaustive), or from recorded texts, which cannot go on from a prefix.
    """
    config, state = where.config, where.explore_state()
    if config.sampling.prefixes_after is None or state.discriminator is None or not _can_grow(config):
        return 0
    pool = where.prompts_of("explore")
    sizes = _dry(state, pool, config.sampling.prefixes_after)
    wanted = {stratum: min(MOST_NEW, max(FEWEST_NEW, size)) for stratum, size in sizes.items() if strata is None or stratum in strata}
    if not wanted:
        return 0
    with where.ledger.stage("focus: prefixes") as counts:
        computed, cached = where.encoder.computed, where.encoder.cached
        pairs, own, scores = _scored(where, state, list(wanted))
        mined = mine_prefixes(pairs, scores, own, wanted, config.prompts.prefix_words, where.prompts)
        counts.embeddings_computed += where.encoder.computed - computed
        counts.embeddings_cached += where.encoder.cached - cached
        return sum(_admit(where, stratum, prompts) for stratum, prompts in mined.items())


def _can_grow(config: AuditConfig) -> bool:
    even = config.sampling.strategy in ("uniform", "exhaustive")
    return not even and all(_continues(side) for side in (config.base, config.intervention))


def _continues(side: SubjectConfig) -> bool:
    """Whether it can be made to go on from given words (`Reasoner.places_prefixes`)."""
    reasoning = side.reasoning
    return side.model is not None and (reasoning is None or (reasoning.audit == "answer" and reasoning.begin == "forced"))


def _dry(state: RoundState, pool: Sequence[Prompt], after: int) -> dict[int, int]:
    """The strata whose prompts were all asked `after` times or more, and how many prompts each has."""
    leaves = state.tree.leaf_of(pool)
    drawn = np.array([state.drawn.get(prompt.id, 0) for prompt in pool], dtype=np.int64)
    fewest = np.full(len(state.tree), np.iinfo(np.int64).max)
    np.minimum.at(fewest, leaves, drawn)
    sizes = np.bincount(leaves, minlength=len(state.tree))
    return {int(stratum): int(sizes[stratum]) for stratum in np.flatnonzero((sizes > 0) & (fewest >= after))}


def _scored(where: Workspace, state: RoundState, strata: Sequence[int]) -> tuple[list[Pair], IntArray, FloatArray]:
    """The last pairs of `strata`, their strata (n,), and how much of their evidence follows the beginning that would be mined (n,).

    That is the payoff of the whole texts less the payoff of their beginnings, measured for the pairs with the largest payoffs, 0 for
    the rest: where the beginning itself gives the model away, both models would go on from the give-away.
    """
    assert state.discriminator is not None
    pairs, base, intervention = _last_pairs(where, state, strata)
    prompts = [pair.prompt for pair in pairs]
    roots = state.tree.root_of(prompts)
    with one_thread():
        whole = state.discriminator.payoffs_of(RoundBatch.of(pairs, base, intervention).differences, roots).mean(axis=0)
    best = np.argsort(-whole, kind="stable")[:PAIRS_EMBEDDED]
    best = best[whole[best] > 0]
    scores = np.zeros(len(pairs))
    if len(best):
        cut = [_beginnings(pairs[place], where.config.prompts.prefix_words) for place in best.tolist()]
        vectors = where.encoder.encode([text for side in sides(cut) for text in side])
        with one_thread():
            batch = RoundBatch.of(cut, vectors[: len(cut)], vectors[len(cut) :])
            scores[best] = whole[best] - state.discriminator.payoffs_of(batch.differences, roots[best]).mean(axis=0)
    return pairs, state.tree.leaf_of(prompts), scores


def _last_pairs(where: Workspace, state: RoundState, strata: Sequence[int]) -> tuple[list[Pair], FloatMatrix, FloatMatrix]:
    """The last explored pairs of `strata`, the newest round first, and the vectors of their two texts."""
    pairs: list[Pair] = []
    base: list[FloatMatrix] = []
    intervention: list[FloatMatrix] = []
    for round in sorted(where.vectors, reverse=True):
        if (room := PAIRS_SCORED - len(pairs)) <= 0:
            break
        drawn = where.pairs["explore", round]
        rows = np.flatnonzero(np.isin(state.tree.leaf_of([pair.prompt for pair in drawn]), strata))[:room]
        pairs += [drawn[row] for row in rows.tolist()]
        base.append(where.vectors[round][0][rows])
        intervention.append(where.vectors[round][1][rows])
    return pairs, np.concatenate(base), np.concatenate(intervention)


def _beginnings(pair: Pair, words: int) -> Pair:
    base, intervention = (replace(text, text=beginning(text.text, words)) for text in (pair.base, pair.intervention))
    return replace(pair, base=base, intervention=intervention)


def _admit(where: Workspace, stratum: int, prompts: Sequence[Prompt]) -> int:
    """Adds to the explore pool those of `prompts` that both models have room for; how many."""
    full = {key for key, held in where.capacities(prompts).items() if held < 1}
    fresh = [prompt for prompt in prompts if prompt.id not in full]
    where.prompts = (*where.prompts, *fresh)
    state = where.explore_state()
    if state.tree.parents[stratum] >= 0:
        parts = {**state.tree.part_of, **dict.fromkeys([prompt.id for prompt in fresh], stratum)}
        where.exploring = replace(state, tree=replace(state.tree, part_of=parts))
    return len(fresh)
