"""What two runs cost, from their ledgers: totals, and seconds by kind of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What is compared, and which fields of the ledger make it up: work that was found in the store was still asked for.
AMOUNTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("texts", ("texts",)),
    ("tokens", ("tokens",)),
    ("embeddings", ("embeddings_computed", "embeddings_cached")),
    ("judge calls", ("judge_calls", "judge_calls_cached")),
    ("dollars", ("dollars",)),
)
# The parts of stages' names that come after the phase, in the order of the work.
WORK = ("prepare", "generate", "embed", "cluster", "diverge", "propose", "judge", "conclude", "report")


@dataclass(frozen=True, slots=True)
class Cost:
    """One amount in both runs."""

    name: str
    active: float
    exhaustive: float

    @property
    def ratio(self) -> float | None:
        """How many times the active run's is contained in the exhaustive one's; None where the active one spent nothing."""
        return self.exhaustive / self.active if self.active > 0 else None

    def as_dict(self) -> dict[str, object]:
        """For compare.json."""
        return {"name": self.name, "active": self.active, "exhaustive": self.exhaustive, "ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class Costs:
    """All amounts.

    Attributes:
        totals: texts, tokens, embeddings, judge calls, dollars.
        seconds: all stages together.
        stages: seconds by kind of work, in its order.
        reused: texts that a run found in its store, (active, exhaustive): seconds then say too little.
    """

    totals: tuple[Cost, ...]
    seconds: Cost
    stages: tuple[Cost, ...]
    reused: tuple[int, int]

    def of(self, name: str) -> Cost:
        """The total called `name`."""
        return next(cost for cost in (*self.totals, self.seconds) if cost.name == name)

    def as_dict(self) -> dict[str, object]:
        """For compare.json."""
        return {
            "totals": [cost.as_dict() for cost in self.totals],
            "seconds": self.seconds.as_dict(),
            "seconds_by_stage": [cost.as_dict() for cost in self.stages],
            "texts_reused": {"active": self.reused[0], "exhaustive": self.reused[1]},
        }


def costs_of(active: Mapping[str, Any], exhaustive: Mapping[str, Any]) -> Costs:
    """From the contents of two ledger.json files."""
    ledgers = (active, exhaustive)
    whole = [ledger.get("all") or {} for ledger in ledgers]
    totals = [Cost(name, *(sum(float(one.get(field, 0)) for field in fields) for one in whole)) for name, fields in AMOUNTS]
    by_work = [_seconds_by_work(ledger.get("stages") or {}) for ledger in ledgers]
    known = [work for work in WORK if any(work in one for one in by_work)]
    others = sorted({work for one in by_work for work in one} - set(WORK))
    return Costs(
        totals=tuple(totals),
        seconds=Cost("seconds", *(float(one.get("seconds", 0.0)) for one in whole)),
        stages=tuple(Cost(work, *(one.get(work, 0.0) for one in by_work)) for work in [*known, *others]),
        reused=(int(whole[0].get("texts_reused", 0)), int(whole[1].get("texts_reused", 0))),
    )


def _seconds_by_work(stages: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Rounds of scanning, focusing and confirming folded together."""
    seconds: dict[str, float] = {}
    for name, counts in stages.items():
        work = name.rpartition(": ")[2]
        seconds[work] = seconds.get(work, 0.0) + float(counts.get("seconds", 0.0))
    return seconds
