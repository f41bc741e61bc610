"""What watchers are told is so: a stage that says how many steps it has takes exactly so many."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_interventions import stages
from auto_interventions.audit_file import load_audit
from auto_interventions.stages.order import order
from auto_interventions.stages.progress import MOST_LEADING, Named, RoundReport, Silent, Standing, leaders
from auto_interventions.stages.workspace import Workspace

from ..cli.test_live_audit import audit_file as live_file
from ..cli.test_small_audits import audit_file as recorded_file


class Recorder:
    """Notes what an observer is told: of each stage its name, its steps in all, its steps done."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None, int]] = []
        self.rounds: list[RoundReport] = []

    def stage(self, name: str, total: int | None = None) -> None:
        self.stages.append((name, total, 0))

    def advance(self, steps: int) -> None:
        assert steps >= 0
        name, total, done = self.stages[-1]
        self.stages[-1] = (name, total, done + steps)

    def round_ended(self, report: RoundReport) -> None:
        self.rounds.append(report)


@pytest.mark.parametrize("kind", ["recorded", "live", "live again"])
def test_every_stage_takes_the_steps_that_it_said(kind: str, demo: Path, tmp_path: Path) -> None:
    file = recorded_file(tmp_path, lambda role, *_: f"{role} says yes.", asked=40) if kind == "recorded" else live_file(tmp_path, demo)
    for folder in ("first", "second") if kind == "live again" else ("first",):  # the second finds all texts in the store
        told = Recorder()
        with Workspace.create(load_audit(file), tmp_path / folder, told) as where:
            where.reuse_run = False
            order(stages, where)
    counted = [(name, total, done) for name, total, done in told.stages if total]
    assert {name.split(": ")[-1] for name, *_ in counted} >= {"texts of the base", "texts of the intervention", "embedding"}
    for name, total, done in counted:
        assert done == total, f"{name}: {done} of {total} steps were told"
    for report in told.rounds:
        assert 0 < len(report.leading) <= MOST_LEADING
        assert sum(standing.held for standing in report.leading) == min(report.found, MOST_LEADING)
        assert all(bool(standing.more_in) == (report.phase == "confirm") for standing in report.leading)
        assert report.of >= len(report.leading)
    assert {report.phase for report in told.rounds} == {"explore", "confirm"}


def test_leaders_are_those_with_most_evidence_what_holds_first() -> None:
    standings = [Standing(str(number), float(number % 7), number == 3) for number in range(20)]
    first, *others = leaders(standings)
    assert first.name == "3"
    assert len(others) == MOST_LEADING - 1
    assert [one.log_e for one in others] == sorted((one.log_e for one in others), reverse=True)


def test_a_named_observer_says_whose_round_it_is() -> None:
    told = Recorder()
    named = Named(told, "null-1")
    named.stage("embedding", 3)
    named.round_ended(RoundReport("explore", 0, 10, 0.0, 0, 2))
    assert told.stages == [("null-1: embedding", 3, 0)]
    assert told.rounds[0].audit == "null-1"
    Silent().round_ended(told.rounds[0])
