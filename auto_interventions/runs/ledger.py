"""The ledger: what each stage spent. Cached work is counted apart, so that a resumed run shows what it did not do again."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields


@dataclass
class StageCounts:
    """Costs of one stage. `tokens` are those that the subjects generated; `seconds` wall clock.

    `judge_calls` are verdicts of the sentences' own checks and calls of language models that judge. `calls` are all calls of language
    models, labelling and examining too: `calls_cached` of them came from the store, `calls_failed` gave nothing usable.
    """

    texts: int = 0
    texts_reused: int = 0
    tokens: int = 0
    seconds: float = 0.0
    embeddings_computed: int = 0
    embeddings_cached: int = 0
    judge_calls: int = 0
    judge_calls_cached: int = 0
    calls: int = 0
    calls_cached: int = 0
    calls_failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0


@dataclass
class Ledger:
    """Costs by stage, in the order in which the stages first ran.

    `models`: of each language model, what it was asked and cost; `hypotheses`: of each sentence's judging, by its id. `dollars_before`:
    spent by earlier attempts at the same run; what they paid for is in the store.
    """

    stages: dict[str, StageCounts] = field(default_factory=dict[str, StageCounts])
    models: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])
    hypotheses: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])
    dollars_before: float = 0.0

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
            **({"models": self.models, "hypotheses": self.hypotheses} if self.models else {}),
            "dollars_before": round(self.dollars_before, 6),
        }


def _rounded(counts: StageCounts) -> dict[str, float]:
    return {key: round(value, 6 if key == "dollars" else 3) if isinstance(value, float) else value for key, value in asdict(counts).items()}
