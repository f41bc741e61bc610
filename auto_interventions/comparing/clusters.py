"""How good the active run's clusters are, as a fraction of the exhaustive run's, on the same texts that neither clustering saw.

Both partitions are given as centroids; every held-out text goes to its nearest one. With d² the mean squared distance to that centroid
(inertia) and v the variance of the held-out vectors about their mean,

    inertia kept            = d²(exhaustive) / d²(active)
    explained variance      = 1 − d²/v,   kept = explained(active) / explained(exhaustive)
    silhouette kept         = silhouette(active) / silhouette(exhaustive)       (Rousseeuw 1987)
    strata kept             = agreement with the prompts' strata(active) / the same(exhaustive)
    agreement               = adjusted Rand index of both labelings             (Hubert & Arabie 1985)

Agreement with the strata is the adjusted Rand index of a labeling and of which stratum each text's prompt is of: labels that no
clustering of texts made, and so a yardstick of quality. Agreement with the exhaustive labels says how alike two partitions are. Two
clusterings of the same texts with different seeds do not agree fully either: the exhaustive texts are clustered a second time with
another seed, and its figures stand beside the active run's as the ceiling.

What it does not say: that clusters mean something. Held-out texts must be drawn uniformly; texts that an active run chose would favour it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from auto_interventions.clustering import KMeansPartition, silhouette, stability
from auto_interventions.records import FloatMatrix, IntArray, numbers_of

_SILHOUETTE_TEXTS = 4_000


@dataclass(frozen=True, slots=True)
class ClusterQuality:
    """One partition on the held-out texts; `strata`: agreement with the prompts' strata, `agreement`: with the exhaustive run's labels."""

    clusters: int
    inertia: float
    explained: float
    silhouette: float
    strata: float
    agreement: float


@dataclass(frozen=True, slots=True)
class ClusterComparison:
    """Three partitions on the same held-out texts; `again`: the exhaustive texts clustered with another seed."""

    texts: int
    active: ClusterQuality
    exhaustive: ClusterQuality
    again: ClusterQuality

    def kept(self, one: ClusterQuality) -> dict[str, float | None]:
        """`one`'s figures as fractions of the exhaustive run's; None where that is 0."""
        own = self.exhaustive
        return {
            "inertia": own.inertia / one.inertia if one.inertia > 0 else None,
            "explained": one.explained / own.explained if own.explained > 0 else None,
            "silhouette": one.silhouette / own.silhouette if own.silhouette > 0 else None,
            "strata": one.strata / own.strata if own.strata > 0 else None,
            "agreement": one.agreement / self.again.agreement if self.again.agreement > 0 else None,
        }

    def as_dict(self) -> dict[str, object]:
        """For compare.json."""
        return {
            "texts": self.texts,
            **{name: asdict(getattr(self, name)) for name in ("active", "exhaustive", "again")},
            "kept": self.kept(self.active),
            "ceiling": self.kept(self.again),
        }


def compare_clusters(
    vectors: FloatMatrix, strata: Sequence[str], active: FloatMatrix, exhaustive: FloatMatrix, again: FloatMatrix, seed: int
) -> ClusterComparison:
    """Compares partitions given by their centroids (clusters, d).

    Args:
        vectors: (n, d) of uniformly drawn texts that no partition was made from.
        strata: (n,) the stratum of each text's prompt.
        again: a second partition of the exhaustive run's texts, with another seed.
        seed: of the sample for the silhouette.

    Raises:
        ClusteringError: dimensions that do not fit.
        ValueError: no vectors, or not as many strata.
    """
    if len(strata) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors need as many strata, not {len(strata)}")
    if not len(vectors):
        raise ValueError("clusters are compared on held-out texts, and there are none")
    variance = float(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    stratum = numbers_of(strata)
    reference = KMeansPartition.at(exhaustive).assign(vectors)

    def quality(centroids: FloatMatrix) -> ClusterQuality:
        labels, distances = KMeansPartition.at(centroids).nearest(vectors)
        inertia = float(distances.mean())
        return ClusterQuality(
            clusters=len(centroids),
            inertia=inertia,
            explained=1.0 - inertia / variance if variance > 0 else 0.0,
            silhouette=silhouette(vectors, _dense(labels), seed, _SILHOUETTE_TEXTS),
            strata=stability(labels, stratum),
            agreement=stability(labels, reference),
        )

    return ClusterComparison(len(vectors), quality(active), quality(exhaustive), quality(again))


def _dense(labels: IntArray) -> IntArray:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
