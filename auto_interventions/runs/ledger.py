"""The ledger: what each stage spent. Cached work is counted apart, so that a resumed run shows what it did not do again."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields


@dataclass
class StageCounts:
    """Costs of one stage. `tokens` are generated ones; `seconds` wall clock."""

    texts: int = 0
    texts_reused: int = 0
    tokens: int = 0
    seconds: float = 0.0
    embeddings_computed: int = 0
    embeddings_cached: int = 0
    judge_calls: int = 0
    judge_calls_cached: int = 0
    dollars: float = 0.0


@dataclass
class Ledger:
    """Costs by stage, in the order in which the stages first ran."""

    stages: dict[str, StageCounts] = field(default_factory=dict[str, StageCounts])

    @contextmanager
    def stage(self, name: str) -> Generator[StageCounts]:
        """Times a block of stage `name` and gives its counts to add to."""
        counts = self.stages.setdefault(name, StageCounts())
        started = time.perf_counter()
        try:
            yield counts
        finally:
            counts.seconds += time.perf_counter() - started

    @property
    def all(self) -> StageCounts:
        """Sums over the stages."""
        return StageCounts(
            **{item.name: sum(getattr(counts, item.name) for counts in self.stages.values()) for item in fields(StageCounts)}
        )

    def as_dict(self) -> dict[str, object]:
        """The content of ledger.json."""
        return {
            "schema": "auto-interventions/ledger@1",
            "stages": {name: _rounded(counts) for name, counts in self.stages.items()},
            "all": _rounded(self.all),
        }


def _rounded(counts: StageCounts) -> dict[str, float]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(counts).items()}
