"""Partitions of texts and prompts by their vectors: k-means, its quality, shares under both models, words and a map.

Knows vectors and labels only: not where the texts come from, nor which rounds there were.
"""

from __future__ import annotations

from auto_interventions.clustering.kmeans import Partition, kmeans
from auto_interventions.clustering.project import Projection
from auto_interventions.clustering.quality import silhouette, stability
from auto_interventions.clustering.shares import ClusterShares, cluster_shares
from auto_interventions.clustering.words import typical_words

__all__ = ["ClusterShares", "Partition", "Projection", "cluster_shares", "kmeans", "silhouette", "stability", "typical_words"]
