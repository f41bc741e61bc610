"""What undoes unequal sampling: how much each explored prompt and text weighs, so that all weigh as in the explore pool."""

from __future__ import annotations

from collections import Counter

import numpy as np

from auto_interventions.records import FloatArray, Pair, Prompt
from auto_interventions.stages.workspace import Workspace


def round_weights(where: Workspace, pairs: list[Pair]) -> FloatArray:
    """(n,) weights of a round's `pairs`, which are not in the state yet: the stratum's share of the pool over its share of the pairs
    drawn so far. Linear in the new pairs; a first approximation, which `text_weights` replaces when all are there. Their mean is 1.
    """
    state = where.explore_state()
    count = state.tree.roots
    own = state.tree.root_of([pair.prompt for pair in pairs])
    pool = np.bincount(state.tree.root_of(_population(where)), minlength=count)
    drawn = state.pairs_by_stratum[:count] + np.bincount(own, minlength=count)
    return _mean_one((pool / np.maximum(drawn, 1))[own])


def prompt_weights(where: Workspace) -> dict[str, float]:
    """The weight of each prompt id that was asked while exploring: its cell's share of the pool's prompts over its share of the prompts
    asked. A cell is a stratum, or a part of one that exploring split. Their mean is 1.

    Prompts that were mined on the way (beginnings of texts) belong to no population and weigh 0.
    """
    asked = {pair.prompt.id: pair.prompt for pair in where.explored_pairs()}
    native = {key: prompt for key, prompt in asked.items() if not _is_mined(prompt)}
    cells = dict(zip(native, _cells(where, list(native.values())), strict=True))
    of_asked = Counter(cells.values())
    of_pool = Counter(_cells(where, _population(where)))
    covered = sum(of_pool[cell] for cell in of_asked)
    weights = {key: of_pool[cell] / of_asked[cell] * len(native) / covered for key, cell in cells.items()}
    return {key: weights.get(key, 0.0) for key in asked}


def text_weights(where: Workspace) -> FloatArray:
    """(n,) the weight of both texts of each explored pair: its prompt's, shared by all pairs of the prompt. Their mean is 1."""
    weights = prompt_weights(where)
    ids = [pair.prompt.id for pair in where.explored_pairs()]
    drawn = Counter(ids)
    return _mean_one(np.array([weights[one] / drawn[one] for one in ids]))


def _mean_one(weights: FloatArray) -> FloatArray:
    """`weights` with mean 1; all alike where nothing weighs anything."""
    return weights / weights.mean() if weights.any() else np.ones(len(weights))


def _population(where: Workspace) -> list[Prompt]:
    return [prompt for prompt in where.prompts_of("explore") if not _is_mined(prompt)]


def _is_mined(prompt: Prompt) -> bool:
    return bool(prompt.prefix)


def _cells(where: Workspace, prompts: list[Prompt]) -> list[int]:
    """The number of each prompt's smallest stratum."""
    return where.explore_state().tree.leaf_of(prompts).tolist()
