"""The whole comparison of two runs: costs, findings, clusters; and what compare.json holds of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.clustering import start_partition
from auto_interventions.clustering.start import Algorithm
from auto_interventions.comparing.clusters import ClusterComparison, compare_clusters
from auto_interventions.comparing.costs import Costs, costs_of
from auto_interventions.comparing.findings import FindingComparison, match_findings
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatMatrix
from auto_interventions.runs import Run

SCHEMA = "auto-interventions/compare@1"
HELD_OUT = 4_000
"""Texts that clusters and checks are compared on."""
Encode = Callable[[Sequence[str]], FloatMatrix]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that compare.json and compare.html tell. `clusters` is None where a run clustered no texts."""

    name: str
    base: str
    intervention: str
    strategy: str
    alpha: float
    costs: Costs
    findings: FindingComparison
    clusters: ClusterComparison | None
    verdicts: tuple[str, str]
    statuses: tuple[str, str]

    def as_dict(self) -> dict[str, object]:
        """The content of compare.json."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "base": self.base,
            "intervention": self.intervention,
            "strategy": self.strategy,
            "alpha": self.alpha,
            "verdicts": {"active": self.verdicts[0], "exhaustive": self.verdicts[1]},
            "statuses": {"active": self.statuses[0], "exhaustive": self.statuses[1]},
            "costs": self.costs.as_dict(),
            "findings": self.findings.as_dict(),
            "clusters": None if self.clusters is None else self.clusters.as_dict(),
        }


def compare_runs(active: Run, exhaustive: Run, encode: Encode) -> Comparison:
    """Compares two concluded runs of one audit.

    Held-out texts are drawn uniformly from the exhaustive run's confirm-pool texts: neither clustering saw their prompts, and their
    number in a stratum is that of the pool.

    Args:
        encode: texts to (n, d) vectors, as both runs' encoder made them.

    Raises:
        RunDirectoryError: a run that has not concluded.
    """
    for run in (active, exhaustive):
        run.check_concluded()
    config: Mapping[str, Any] = exhaustive.run["config"]
    seed = int(config["sampling"]["seed"])
    held_out = _held_out(exhaustive.texts, set(), seed)
    unseen = _held_out(exhaustive.texts, {str(one) for one in active.texts["id"]}, seed)
    return Comparison(
        name=str(active.run["name"]),
        base=str(active.findings["base"]),
        intervention=str(active.findings["intervention"]),
        strategy=str(active.run["config"]["sampling"]["strategy"]),
        alpha=float(active.findings["alpha"]),
        costs=costs_of(active.ledger, exhaustive.ledger),
        findings=match_findings(
            active.findings, exhaustive.findings, _column(held_out, "text"), float(config["inference"]["smallest_effect"])
        ),
        clusters=_clusters(active, exhaustive, unseen, encode, config["clustering"], seed),
        verdicts=(str(active.findings["overall"]["verdict"]), str(exhaustive.findings["overall"]["verdict"])),
        statuses=(str(active.run["status"]), str(exhaustive.run["status"])),
    )


def _held_out(texts: pd.DataFrame, known: set[str], seed: int) -> pd.DataFrame:
    """Uniformly drawn texts of the exhaustive run's confirm pool, less those that are `known` (by id): the active run's last partition
    learned the confirmed texts that it drew."""
    own = texts.loc[(texts["pool"] == "confirm") & ~texts["id"].isin(known), ["text", "stratum"]]
    if len(own) > HELD_OUT:
        own = own.iloc[np.sort(generator("compare", "held out", seed).choice(len(own), HELD_OUT, replace=False))]
    return own


def _column(texts: pd.DataFrame, name: str) -> list[str]:
    return [str(value) for value in texts[name]]


def _clusters(
    active: Run, exhaustive: Run, held_out: pd.DataFrame, encode: Encode, clustering: Mapping[str, Any], seed: int
) -> ClusterComparison | None:
    ours, theirs = active.centroids, exhaustive.centroids
    if ours is None or theirs is None or not len(held_out):
        return None
    explored = exhaustive.texts[exhaustive.texts["pool"] == "explore"]
    again = _another(encode(_column(explored, "text")), str(clustering["algorithm"]), len(theirs), seed + 1)  # pyright: ignore[reportArgumentType]
    return compare_clusters(encode(_column(held_out, "text")), _column(held_out, "stratum"), ours, theirs, again, seed)


def _another(vectors: FloatMatrix, algorithm: Algorithm, clusters: int, seed: int) -> FloatMatrix:
    """Centroids of a second clustering of the same texts, made as the stages make theirs: in one go, then settled."""
    partition = start_partition(algorithm, vectors, min(clusters, len(vectors)), seed).polished(vectors, seed)
    labels = partition.assign(vectors)
    return partition.centroids[np.unique(labels[labels >= 0])]
