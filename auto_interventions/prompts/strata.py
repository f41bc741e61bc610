"""Strata: clusters of prompts, so that an audit can say where a difference happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auto_interventions.clustering import kmeans, typical_words
from auto_interventions.config import PromptsConfig
from auto_interventions.errors import PromptError
from auto_interventions.records import FloatMatrix, IntArray, Prompt

# Fewer prompts than this a stratum say little about it.
PROMPTS_PER_STRATUM = 10
NAME_WORDS = 2


def stratify(prompts: Sequence[Prompt], vectors: FloatMatrix | None, config: PromptsConfig, seed: int) -> list[Prompt]:
    """The prompts with their strata, in the same order.

    `strata: given` keeps the bank's own. `auto` clusters `vectors` (one row a prompt) by k-means into at most `strata_count` strata
    of ten prompts or more on average, numbered by size and named by their two most typical words: "3 · otter river".

    Raises:
        PromptError: `strata: given` and a prompt has none.
        ValueError: `strata: auto` without a vector for each prompt.
    """
    if config.strata == "given":
        lone = next((prompt for prompt in prompts if not prompt.stratum), None)
        if lone is not None:
            raise PromptError(f"the prompt {lone.text[:60]!r} has no `stratum`, which `prompts.strata: given` needs; use `strata: auto`")
        return list(prompts)
    if vectors is None or len(vectors) != len(prompts):
        raise ValueError(f"`strata: auto` needs one vector for each of {len(prompts)} prompts")
    clusters = strata_made(prompts, config)
    labels = _by_size(kmeans(vectors, clusters, seed).assign(vectors))
    words = typical_words([prompt.text for prompt in prompts], labels, clusters, NAME_WORDS)
    names = [f"{number} · {' '.join(some)}" if some else str(number) for number, some in enumerate(words, start=1)]
    return [replace(prompt, stratum=names[label]) for prompt, label in zip(prompts, labels.tolist(), strict=True)]


def strata_made(prompts: Sequence[Prompt], config: PromptsConfig) -> int:
    """How many strata `stratify` makes of `prompts`: known before anything is embedded."""
    if config.strata == "given":
        return len({prompt.stratum for prompt in prompts})
    return max(1, min(config.strata_count, len(prompts) // PROMPTS_PER_STRATUM))


def _by_size(labels: IntArray) -> IntArray:
    """The same labelling, numbered 0, 1, … from the largest cluster; of equal ones the first seen comes first."""
    seen, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(seen), dtype=np.int64)
    rank[np.lexsort((first, -counts))] = np.arange(len(seen))
    return rank[inverse]
