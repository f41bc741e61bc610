"""What a language model did as a judge, for the ledger and the report: verdicts, failures, position bias, what each sentence cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from auto_interventions.inference.proportion import proportion_interval
from auto_interventions.judging.questions import Label, Mode
from auto_interventions.llm.chat import Failure, Outcome


@dataclass
class StatementCost:
    """What judging one sentence took. `calls` were asked, `cached` came from the store."""

    calls: int = 0
    cached: int = 0
    dollars: float = 0.0


@dataclass
class JudgeRecord:
    """Sums over what one judge was asked in this process, replies from the store included.

    `asked` counts items: pairs, or texts where graded. `failed`: items without a verdict in the end, by kind (those of `llm.Failure`, and
    missing, doubled, unknown: numbers of a reply that do not fit). `asked_again`: items whose batch was of no use to them.
    """

    name: str
    mode: Mode
    asked: int = 0
    first: int = 0
    second: int = 0
    both: int = 0
    neither: int = 0
    unclear: int = 0
    scored: int = 0
    failed: dict[str, int] = field(default_factory=dict[str, int])
    asked_again: int = 0
    reliable: bool = True
    """False: too many batches were of no use, and items are asked about one at a time."""
    statements: dict[str, StatementCost] = field(default_factory=dict[str, StatementCost])

    def verdict(self, label: Label) -> None:
        """Counts one verdict."""
        setattr(self, label, getattr(self, label) + 1)

    def failure(self, kind: str) -> None:
        """Counts an item that stays without a verdict."""
        self.failed[kind] = self.failed.get(kind, 0) + 1

    def call(self, statement: str, outcome: Outcome) -> None:
        """Counts one call about `statement`, whose dollars are all its own."""
        cost = self.statements.setdefault(statement, StatementCost())
        if not isinstance(outcome, Failure) and outcome.cached:
            cost.cached += 1
        else:
            cost.calls += 1
        cost.dollars += outcome.dollars

    @property
    def position_bias(self) -> tuple[float, float, float] | None:
        """(first − second) / (first + second) and its 95% interval; None where no text was preferred.

        Who is shown first is a coin, so a judge without bias is at 0 whatever the texts are like.
        """
        decided = self.first + self.second
        if not decided:
            return None
        low, high = proportion_interval(self.first, decided)
        return (self.first - self.second) / decided, 2 * low - 1, 2 * high - 1

    def as_dict(self) -> dict[str, object]:
        """JSON-native."""
        verdicts = ("first", "second", "both", "neither", "unclear") if self.mode == "pairwise" else ("scored", "unclear")
        told: dict[str, object] = {"judge": self.name, "mode": self.mode, "asked": self.asked}
        told |= {label: getattr(self, label) for label in verdicts}
        told |= {"failed": dict(self.failed), "asked_again": self.asked_again, "batches_given_up": not self.reliable}
        bias = self.position_bias
        told["position_bias"] = None if bias is None else {"value": bias[0], "interval": [bias[1], bias[2]]}
        told["statements"] = {statement: vars(cost).copy() for statement, cost in self.statements.items()}
        return told
