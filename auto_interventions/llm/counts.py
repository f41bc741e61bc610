"""What was asked of a model, for the ledger: calls, attempts, tokens and dollars; the cached apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields

from auto_interventions.llm.chat import Failure, FailureKind, Outcome, Usage


@dataclass
class CallCounts:
    """Sums over requests. `calls` were asked, `cached` came from the store; `attempts` are what the provider saw."""

    calls: int = 0
    cached: int = 0
    replies: int = 0
    failures: dict[FailureKind, int] = field(default_factory=dict[FailureKind, int])
    """Requests that ended without a usable answer, by kind."""
    attempts: int = 0
    repairs: int = 0
    """Replies that did not fit and were asked again with their error."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    dollars: float = 0.0
    dollars_unsure: float = 0.0
    """What attempts without an answer (timeouts, broken connections) can have cost at most, on top of `dollars`."""
    dollars_saved: float = 0.0
    """What the replies from the store cost when they were made."""
    seconds_waited: float = 0.0
    """For limits and between attempts, summed over calls."""

    def attempt(self, usage: Usage, dollars: float, unsure: float) -> None:
        """Counts one attempt."""
        self.attempts += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_input_tokens += usage.cached_input_tokens
        self.dollars += dollars
        self.dollars_unsure += unsure

    def ended(self, outcome: Outcome) -> None:
        """Counts a request that was asked."""
        self.calls += 1
        if isinstance(outcome, Failure):
            self.failures[outcome.kind] = self.failures.get(outcome.kind, 0) + 1
        else:
            self.replies += 1

    def __add__(self, other: CallCounts) -> CallCounts:
        """Sums of both."""
        failures = dict(self.failures)
        for kind, count in other.failures.items():
            failures[kind] = failures.get(kind, 0) + count
        numbers = {item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self) if item.name != "failures"}
        return CallCounts(failures=failures, **numbers)

    def as_dict(self) -> dict[str, object]:
        """JSON-native."""
        return asdict(self)
