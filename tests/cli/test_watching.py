"""What is said of time and steps, by a clock that the test turns."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from auto_interventions.cli.watching import EntryWatcher, PlantWatcher, Watching


class Screen(io.StringIO):
    """A terminal that cannot be asked for its size."""

    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def drawn(watcher: Watching) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(watcher.picture())
    printed = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    return watcher.at_work.name + re.sub(r"\s+", " ", re.sub(r"[━╸╺]+ ", "", printed.splitlines()[1].rstrip()))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watcher(clock: Clock) -> Watching:
    return Watching(Console(file=Screen(), force_terminal=True, width=120), clock)


def test_time_left_is_known_from_the_speed_and_only_while_it_holds(watcher: Watching, clock: Clock) -> None:
    assert watcher.live
    watcher.stage("texts", 1_000)
    watcher.advance(400)  # from the store, at once: no speed
    assert drawn(watcher) == "texts 400 of 1,000 0:00:00"
    for _ in range(3):
        clock.now += 1
        watcher.advance(10)
    assert drawn(watcher) == "texts 430 of 1,000 0:00:03", "too soon"
    for _ in range(3):
        clock.now += 1
        watcher.advance(10)
    assert drawn(watcher) == "texts 460 of 1,000 0:00:06 about 54 s left"
    clock.now += 30  # nothing happens
    assert drawn(watcher) == "texts 460 of 1,000 0:00:36 about 24 s left"
    clock.now += 30
    assert drawn(watcher) == "texts 460 of 1,000 0:01:06", "it should have been over: the speed was not known"


def test_a_stage_without_steps_says_no_time(watcher: Watching, clock: Clock) -> None:
    watcher.stage("clustering")
    clock.now += 60
    assert drawn(watcher) == "clustering 0:01:00"
    watcher.advance(5)
    assert drawn(watcher) == "clustering 5 0:01:00"


def test_more_steps_than_were_said(watcher: Watching, clock: Clock) -> None:
    watcher.stage("copying", 100)
    for _ in range(11):
        clock.now += 1
        watcher.advance(10)
    assert drawn(watcher) == "copying 110 0:00:11", "neither a full bar nor a time"


def test_steps_never_run_back(watcher: Watching) -> None:
    watcher.stage("odd", 10)
    watcher.advance(4)
    watcher.advance(-3)
    assert watcher.at_work.done == 4


def test_parts_of_planting_are_stages(clock: Clock) -> None:
    watcher = PlantWatcher(Console(file=Screen(), force_terminal=True, width=120), clock)
    watcher("training", 1, 50)
    watcher("training", 20, 50)
    assert (watcher.at_work.name, watcher.at_work.done, watcher.at_work.total) == ("training", 20, 50)
    watcher("training", 2, 30)  # the next one of that name
    assert (watcher.at_work.name, watcher.at_work.done, watcher.at_work.total) == ("training", 2, 30)
    watcher("measuring", 0, 5)
    assert (watcher.at_work.name, watcher.at_work.done) == ("measuring", 0)


def test_a_log_gets_a_line_a_minute(clock: Clock) -> None:
    log = io.StringIO()
    watcher = EntryWatcher(Console(file=log, width=120), clock)
    with watcher:
        watcher.stage("copying", 1_000)
        for _ in range(300):
            clock.now += 1
            watcher.advance(1)
    assert [line.strip() for line in log.getvalue().splitlines()] == [
        "copying: 1,000", "60 of 1,000", "120 of 1,000", "180 of 1,000", "240 of 1,000", "300 of 1,000",
    ]  # fmt: skip
