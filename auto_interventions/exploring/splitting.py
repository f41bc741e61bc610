"""Splitting a stratum that turns out mixed: the models differ at some kind of its prompts and not at the rest.

The stratum's prompts are clustered by their embeddings into up to `_KINDS` kinds; the kinds are put in the order of their mean payoffs
and cut where the means of the two sides lie most standard errors apart (the best split of categories into two is one of these cuts:
Fisher 1958, JASA 53:789-798). If that is more than `_CLEARLY` the stratum is split there, and each part starts with fresh wealth. The
split may look at all past payoffs, since the parts bet on later pairs only; so no correction for having looked is needed, except that
a split on noise wastes a share of the error budget (`exploring.strata`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from auto_interventions.clustering import kmeans, typical_words
from auto_interventions.exploring.state import NOTHING, RoundState
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, Prompt

Vectors = Callable[[Sequence[Prompt]], FloatMatrix]

_KINDS = 6
_CLEARLY = 3.0
_FEWEST_BETS = 30
_FEWEST_PROMPTS = 8
_PROMISING = 1.0  # standard errors above 0 from which a stratum is worth the look
_MOST_SPLITS = 4  # a round


def split_mixed(state: RoundState, prompts: Sequence[Prompt], vectors: Vectors) -> RoundState:
    """The state with its mixed strata split.

    Args:
        prompts: the explore pool.
        vectors: embeddings (n, d) of prompts; asked only for strata in which the models seem to differ.
    """
    for stratum in _candidates(state):
        members = [prompt for prompt, leaf in zip(prompts, state.tree.leaf_of(prompts).tolist(), strict=True) if leaf == stratum]
        if len(members) < 2 * _FEWEST_PROMPTS:
            continue
        chosen = _best_kinds(state, members, vectors(members), state.seed + stratum)
        if chosen is not None:
            inside = [prompt for prompt, yes in zip(members, chosen.tolist(), strict=True) if yes]
            outside = [prompt for prompt, yes in zip(members, chosen.tolist(), strict=True) if not yes]
            words = typical_words([prompt.whole for prompt in members], (~chosen).astype(np.int64), 2, 2)
            name = f"{state.strata[stratum]} › {' '.join(words[0]) or 'part'}"
            state = state.split(stratum, [(name, inside), (f"{state.strata[stratum]} › rest", outside)])
    return state


def _candidates(state: RoundState) -> list[int]:
    """Strata without parts in which payoffs lean to the intervention, the surest first."""
    count, total, squares = state.payoffs_by_stratum.T
    z = total / np.sqrt(np.maximum(squares, 1e-12))
    worth = (count >= _FEWEST_BETS) & (z > _PROMISING) & ~state.tree.is_split
    return sorted(np.flatnonzero(worth).tolist(), key=lambda stratum: -float(z[stratum]))[:_MOST_SPLITS]


def _best_kinds(state: RoundState, members: Sequence[Prompt], vectors: FloatMatrix, seed: int) -> BoolArray | None:
    """Which members belong to the kinds that stand out from the rest; None if none do."""
    labels = kmeans(vectors, min(_KINDS, len(members) // _FEWEST_PROMPTS), seed).assign(vectors)
    sums = np.array([state.payoffs.get(prompt.id, NOTHING) for prompt in members], dtype=np.float64)
    kinds = np.array([sums[labels == kind].sum(axis=0) for kind in range(int(labels.max()) + 1)])
    order = np.argsort(-kinds[:, 1] / np.maximum(kinds[:, 0], 1), kind="stable")
    upper = np.cumsum(kinds[order], axis=0)[:-1]
    contrasts = [_contrast(some, kinds.sum(axis=0) - some) for some in upper]
    if not contrasts or max(contrasts) <= _CLEARLY:
        return None
    chosen = np.isin(labels, order[: int(np.argmax(contrasts)) + 1])
    return chosen if min(chosen.sum(), (~chosen).sum()) >= _FEWEST_PROMPTS // 2 else None


def _contrast(one: FloatArray, other: FloatArray) -> float:
    """Difference of two means of payoffs in standard errors; each variance has one payoff of size 1 as prior, against small samples."""
    if min(one[0], other[0]) < _FEWEST_PROMPTS / 2:
        return 0.0
    means = one[1] / one[0], other[1] / other[0]
    variances = [(side[2] / side[0] - mean**2 + 1 / side[0] ** 2) / side[0] for side, mean in zip((one, other), means, strict=True)]
    return float((means[0] - means[1]) / np.sqrt(sum(variances)))
