"""Partitions of texts and prompts by their vectors: k-means and HDBSCAN, their quality, shares under both models, words and a map.

Knows vectors and labels only: not where the texts come from, nor which rounds there were.
"""

from __future__ import annotations

from auto_interventions.clustering.changes import Change, ChangeEvidence, Changes, classified
from auto_interventions.clustering.density import DensityPartition, hdbscan
from auto_interventions.clustering.kmeans import KMeansPartition, kmeans
from auto_interventions.clustering.partition import Partition, living, turnover
from auto_interventions.clustering.project import Projection
from auto_interventions.clustering.quality import silhouette, stability
from auto_interventions.clustering.shares import ClusterShares, cluster_shares
from auto_interventions.clustering.start import start_partition
from auto_interventions.clustering.words import typical_words

__all__ = [
    "Change",
    "ChangeEvidence",
    "Changes",
    "ClusterShares",
    "DensityPartition",
    "KMeansPartition",
    "Partition",
    "Projection",
    "classified",
    "cluster_shares",
    "hdbscan",
    "kmeans",
    "living",
    "silhouette",
    "stability",
    "start_partition",
    "turnover",
    "typical_words",
]
