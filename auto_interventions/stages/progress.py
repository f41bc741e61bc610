"""What a stage tells whoever watches: its name, its steps, the evidence so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from auto_interventions.records import Direction

MOST_LEADING = 12
"""Strata or sentences that a `RoundReport` names: a screen of them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How much evidence a stratum or a sentence has: `log_e` in nats. `held`: it counts as different, or as validated, by now; `more_in`:
    whose texts a sentence describes more often, by what was explored; None of a stratum.
    """

    name: str
    log_e: float
    held: bool
    more_in: Direction | None = None


@dataclass(frozen=True, slots=True)
class RoundReport:
    """One line of progress at the end of a round.

    `log_e` is the natural logarithm of the overall e-value so far; `found` counts divergent strata (explore) or validated
    hypotheses (confirm) among `of`. `leading`: those with most evidence, at most `MOST_LEADING`. `audit`: which of several is at work.
    """

    phase: str
    round: int
    texts: int
    log_e: float
    found: int
    of: int
    leading: tuple[Standing, ...] = ()
    audit: str = ""


def leaders(standings: Iterable[Standing]) -> tuple[Standing, ...]:
    """Those with most evidence, the strongest first; what holds comes before what does not."""
    return tuple(sorted(standings, key=lambda one: (not one.held, -one.log_e, one.name))[:MOST_LEADING])


class Observer(Protocol):
    """Watches an audit. Called from the thread that does the work; must be quick."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins; `total` steps where they can be counted."""
        ...

    def advance(self, steps: int) -> None:
        """`steps` more of the stage are done."""
        ...

    def round_ended(self, report: RoundReport) -> None:
        """A round is complete."""
        ...


class Silent:
    """Watches nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Ignores it."""

    def advance(self, steps: int) -> None:
        """Ignores it."""

    def round_ended(self, report: RoundReport) -> None:
        """Ignores it."""


class Named:
    """An observer that says which of several audits is at work."""

    def __init__(self, observer: Observer, name: str) -> None:
        self._observer = observer
        self._name = name

    def stage(self, name: str, total: int | None = None) -> None:
        """See `Observer.stage`."""
        self._observer.stage(f"{self._name}: {name}", total)

    def advance(self, steps: int) -> None:
        """See `Observer.advance`."""
        self._observer.advance(steps)

    def round_ended(self, report: RoundReport) -> None:
        """See `Observer.round_ended`."""
        self._observer.round_ended(replace(report, audit=self._name))
