"""Which clusters grew and which shrank: the share of each model's texts in each cluster, clustered by prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ClusterShares:
    """Arrays (clusters,): counts of texts, mean shares over prompts, their difference and its standard error.

    `difference` is intervention − base; the standard error is NaN with fewer than two prompts. `prompts` is how many prompts of equal
    weight would say as much (Kish 1965): their number where all weigh the same.
    """

    base_texts: IntArray
    intervention_texts: IntArray
    base_share: FloatArray
    intervention_share: FloatArray
    difference: FloatArray
    standard_error: FloatArray
    prompts: float = 0.0


def cluster_shares(
    labels_base: IntArray,
    labels_intervention: IntArray,
    prompts_base: Sequence[str],
    prompts_intervention: Sequence[str],
    clusters: int,
    weights: Mapping[str, float] | None = None,
) -> ClusterShares:
    """Shares of `clusters` under both models, from the label and the prompt id of each text.

    The prompt is the unit: a prompt's share is the mean over its texts, the model's share the mean over the prompts that both
    models answered, so that a prompt with many texts weighs as much as one with few. Where every text is one answer of a pair
    this is the plain share. `weights` undo unequal sampling: the weight of each prompt id, 1 where it is missing. Negative labels
    (not embedded) do not count. A plain estimate: it describes, it tests nothing.

    Raises:
        ValueError: labels and prompts of different lengths, or a label ≥ `clusters`.
    """
    names, of_text = np.unique(np.concatenate([np.asarray(prompts_base), np.asarray(prompts_intervention)]), return_inverse=True)
    rows_base, rows_intervention = of_text[: len(prompts_base)], of_text[len(prompts_base) :]
    base, asked_base = _by_prompt(labels_base, rows_base, len(names), clusters)
    intervention, asked_intervention = _by_prompt(labels_intervention, rows_intervention, len(names), clusters)
    paired = asked_base & asked_intervention
    weight = np.array([(weights or {}).get(str(name), 1.0) for name in names])[paired]
    share = weight / max(float(weight.sum()), 1e-300)
    base, intervention, prompts = base[paired], intervention[paired], int(paired.sum())
    difference = csr_matrix(intervention - base)
    mean = _weighted(difference, share)
    # Linearised (Hájek) variance: Σ share² (d − mean)²; with equal weights the usual variance over prompts.
    squares = _weighted(difference.multiply(difference), share**2)
    spread = squares - 2 * mean * _weighted(difference, share**2) + mean**2 * float((share**2).sum())
    variance = np.maximum(spread, 0) * prompts / max(prompts - 1, 1)
    return ClusterShares(
        base_texts=_counts(labels_base, clusters),
        intervention_texts=_counts(labels_intervention, clusters),
        base_share=_weighted(base, share),
        intervention_share=_weighted(intervention, share),
        difference=mean,
        standard_error=np.sqrt(variance) if prompts > 1 else np.full(clusters, np.nan),
        prompts=1 / squared if (squared := float((share**2).sum())) else 0.0,
    )


def _by_prompt(labels: IntArray, prompts: IntArray, count: int, clusters: int) -> tuple[csr_matrix, BoolArray]:
    """(count, clusters) sparse: each prompt's share of texts in each cluster; and which prompts have texts at all."""
    if len(labels) != len(prompts):
        raise ValueError(f"{len(labels)} labels but {len(prompts)} prompts; give one of each a text")
    if len(labels) and labels.max() >= clusters:
        raise ValueError(f"label {labels.max()} does not fit {clusters} clusters")
    kept = labels >= 0
    texts = np.bincount(prompts[kept], minlength=count)
    weights = 1 / texts[prompts[kept]]
    return csr_matrix((weights, (prompts[kept], labels[kept])), shape=(count, clusters)), texts > 0


def _weighted(matrix: csr_matrix, weights: FloatArray) -> FloatArray:
    """Σ over prompts of weight × row, (clusters,)."""
    return np.asarray(matrix.T @ weights, dtype=np.float64).ravel()


def _counts(labels: IntArray, clusters: int) -> IntArray:
    return np.bincount(labels[labels >= 0], minlength=clusters).astype(np.int64)
