"""Which clusters are new, lost, grown or shrunk in the intervention: evidence that survives active sampling, and the size of the change.

Evidence: predict, then learn.  A pair is labelled by the partition as it stood before it learned the pair. If the models agree on its
prompt, its two texts could be swapped; so of the pairs with just one text in cluster c, that one is the intervention's with probability
½, whatever rule chose the prompt and however the partition came about. A bettor on these flips who mixes all biases (Krichevsky &
Trofimov 1981) has after a flips for the intervention and b for the base the capital

    e_c = 2^(a+b) · B(a + ½, b + ½) / B(½, ½),

a test martingale. A cluster that dies keeps its e-value in the family; one born in its row starts with 1 again.

Size: the difference of the shares of all explored texts in the final partition, reweighted for unequal sampling (`shares`), with

    n̄/(n̄ + z²/2) · ( d̂ ± z · √(se² + z²/(4n̄²)) ),      z = Φ⁻¹(1 − α/(2K)),   n̄ = 1/Σ share²,

Wald's interval with z²/4 pseudo-prompts of either kind of discordance (after Agresti & Min 2005), by Bonferroni for all K clusters at
once. It is an approximation for many prompts: the evidence decides *whether*, the interval says *how much*.

A class other than "unchanged" needs both: rejection by e-BH, and an interval without 0. "new": besides, the base's share is shown
(Wilson's upper end at z) to be below a fifth of the intervention's; "lost": the other way round; else "grown" or "shrunk". "unchanged"
means that no change was shown.

Sources: Krichevsky & Trofimov 1981, IEEE Trans. Inf. Theory 27:199–207; Ramdas et al. 2023, arXiv:2210.01948, section 3; Agresti & Min
2005, Statistics in Medicine 24:729–740; Wilson 1927, JASA 22:209–212.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln, ndtri

from auto_interventions.clustering.partition import NOT_LIVING, Partition
from auto_interventions.clustering.shares import ClusterShares
from auto_interventions.inference.proportion import wilson_interval
from auto_interventions.records import BoolArray, FloatArray, IntArray

Change = Literal["new", "lost", "grown", "shrunk", "unchanged"]
VANISHING = 0.2  # of the other model's share; below, a cluster is as good as absent


@dataclass(frozen=True, slots=True, eq=False)
class ChangeEvidence:
    """Flips of the clusters so far. `gains`, `losses`: (clusters,) pairs whose only text in the cluster is the intervention's, the base's.

    `born` is the partition's when they were counted; `buried` are the log e-values of clusters that died.
    """

    gains: IntArray
    losses: IntArray
    born: IntArray
    buried: FloatArray

    @staticmethod
    def start() -> ChangeEvidence:
        """Before any pair."""
        none = np.zeros(0, dtype=np.int64)
        return ChangeEvidence(none, none, none, np.zeros(0))

    def followed(self, partition: Partition) -> ChangeEvidence:
        """The evidence on the clusters of a later `partition`: what died is buried, what was born starts."""
        rows = partition.clusters
        if rows < len(self.born):
            raise ValueError(f"a partition of {rows} clusters does not continue one of {len(self.born)}")
        more = rows - len(self.born)
        gains, losses = (np.concatenate([counts, np.zeros(more, dtype=np.int64)]) for counts in (self.gains, self.losses))
        before = np.concatenate([self.born, np.full(more, NOT_LIVING)])
        changed = before != partition.born
        dead = changed & (before != NOT_LIVING)
        buried = np.concatenate([self.buried, flips_log_e(gains[dead], losses[dead])])
        gains, losses = np.where(changed, 0, gains), np.where(changed, 0, losses)
        return ChangeEvidence(gains, losses, partition.born.copy(), buried)

    def bet(self, partition: Partition, labels_base: IntArray, labels_intervention: IntArray) -> ChangeEvidence:
        """The evidence after more pairs, labelled by `partition`, which has not learned them; labels (n,) row i of both is pair i.

        Raises:
            ValueError: labels of different lengths, or a partition that does not continue the last one.
        """
        if labels_base.shape != labels_intervention.shape:
            raise ValueError(f"{len(labels_base)} labels of the base's texts but {len(labels_intervention)} of the intervention's")
        now = self.followed(partition)
        moved = labels_base != labels_intervention
        counts = [np.bincount(side[moved & (side >= 0)], minlength=partition.clusters) for side in (labels_intervention, labels_base)]
        return ChangeEvidence(now.gains + counts[0], now.losses + counts[1], now.born, now.buried)

    @property
    def log_e(self) -> FloatArray:
        """(clusters,) log e-values of the rows; a row that is not living has 0."""
        return flips_log_e(self.gains, self.losses)

    @property
    def family(self) -> FloatArray:
        """Log e-values of all clusters that ever were: the rows', then the buried."""
        return np.concatenate([self.log_e, self.buried])


def flips_log_e(gains: IntArray, losses: IntArray) -> FloatArray:
    """Log of the e-value against "either side is as likely", of `gains` and `losses` (n,).

    >>> [round(float(value), 2) + 0.0 for value in flips_log_e(np.array([0, 12, 5]), np.array([0, 0, 5]))]
    [0.0, 6.49, -1.4]
    """
    total = gains + losses
    return gammaln(gains + 0.5) + gammaln(losses + 0.5) - gammaln(total + 1) - np.log(np.pi) + total * np.log(2)


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Arrays (clusters,): the class of each and the interval of its difference (intervention − base), all at once."""

    change: tuple[Change, ...]
    lower: FloatArray
    upper: FloatArray


def classified(shares: ClusterShares, rejected: BoolArray, alpha: float) -> Changes:
    """The class of each cluster from its shares and whether the evidence rejects "no change" (clusters,).

    Raises:
        ValueError: not one rejection a cluster, or alpha outside (0, 1).
    """
    clusters = len(shares.difference)
    if len(rejected) != clusters:
        raise ValueError(f"{len(rejected)} rejections for {clusters} clusters")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
    z = float(-ndtri(alpha / (2 * max(clusters, 1))))
    lower, upper = difference_interval(shares, z)
    classes: list[Change] = []
    base_most, intervention_most = (
        wilson_interval(share, shares.prompts, z)[1] for share in (shares.base_share, shares.intervention_share)
    )
    for row in range(clusters):
        if not rejected[row] or lower[row] <= 0 <= upper[row]:
            classes.append("unchanged")
        elif lower[row] > 0:
            classes.append("new" if base_most[row] <= VANISHING * shares.intervention_share[row] else "grown")
        else:
            classes.append("lost" if intervention_most[row] <= VANISHING * shares.base_share[row] else "shrunk")
    return Changes(tuple(classes), lower, upper)


def difference_interval(shares: ClusterShares, z: float) -> tuple[FloatArray, FloatArray]:
    """Ends (clusters,) of the intervals of the differences; [−1, 1] with fewer than two prompts."""
    if shares.prompts <= 1:
        return np.full(len(shares.difference), -1.0), np.full(len(shares.difference), 1.0)
    kept = shares.prompts / (shares.prompts + z**2 / 2)
    centre = kept * shares.difference
    half = z * kept * np.sqrt(shares.standard_error**2 + z**2 / 4 / shares.prompts**2)
    lower, upper = np.maximum(centre - half, -1), np.minimum(centre + half, 1)
    return np.minimum(lower, shares.difference), np.maximum(upper, shares.difference)
