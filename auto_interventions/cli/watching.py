"""Progress on stderr: on a terminal a live view of the work at hand and the evidence so far; else a line a stage and round.

It says what is known and no more: a bar only where steps can be counted, never one that runs back; time left of the stage at work alone,
because when the evidence will decide nobody knows (docs/terminal.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.spinner import Spinner
from rich.text import Text

from auto_interventions.cli.ending import stopping
from auto_interventions.cli.evidence import evidence_table, round_line
from auto_interventions.config import AuditConfig
from auto_interventions.report.plain import one_line
from auto_interventions.report.sections import duration
from auto_interventions.stages.progress import RoundReport

# A stage of which less than this was done, or that began less than this ago, has no speed yet that would hold.
_KNOWN_SHARE, _KNOWN_SECONDS = 0.05, 5.0
# Without a terminal: seconds between two lines of a stage that goes on.
_LINE_SECONDS = 60.0
_STOPPING = "Stopping: what was done is being saved. Ctrl-C again leaves at once."
# Columns of a terminal on which numbers leave room for a bar.
_ROOM_FOR_BAR = 70
# Lines of the terminal that the table of evidence leaves to what stands above it.
_ABOVE = 10


class Stage:
    """Steps of the stage at work, as they were told: never more done than there are, never fewer than before.

    `total` is None where steps cannot be counted, or turn out to be more than was said.
    """

    def __init__(self, name: str, total: int | None) -> None:
        self.name, self.total, self.done = name, total or None, 0

    def advance(self, steps: int) -> None:
        """`steps` more are done."""
        self.done += max(0, steps)
        if self.total is not None and self.done > self.total:
            self.total = None

    @property
    def counted(self) -> str:
        """How far it is: "120 of 300", "120", or nothing."""
        if self.total is not None:
            return f"{self.done:,} of {self.total:,}"
        return f"{self.done:,}" if self.done else ""


class _Counted(ProgressColumn):
    """What `Stage.counted` says."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn.render`."""
        return Text(str(task.fields.get("counted", "")), style="progress.percentage")


class _Elapsed(ProgressColumn):
    """Time since the stage began."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn.render`."""
        return Text(str(timedelta(seconds=int(task.elapsed or 0))), style="progress.elapsed")


class _Left(ProgressColumn):
    """The time that the stage will take, where its speed is known; nothing once that time is over, for then it was not."""

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        """See `ProgressColumn.render`."""
        if task.total is None or task.time_remaining is None or task.finished:
            return Text("")
        if (task.elapsed or 0.0) < _KNOWN_SECONDS or task.completed < _KNOWN_SHARE * task.total:
            return Text("")
        left = task.time_remaining - (task.get_time() - task.fields["advanced"])
        return Text(f"about {duration(left)} left" if left >= 1 else "", style="progress.remaining")


class Watching:
    """Shows the stage at work as long as the block lasts. On a terminal it is drawn in place and vanishes; elsewhere it is lines."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self._clock = clock
        self.at_work = Stage("", None)
        # Colours may be forced into a file (FORCE_COLOR), where moving the cursor would be noise.
        self.live = console.is_interactive and console.file.isatty() and not console.quiet
        self._told = clock()
        self._bars = Progress(*_columns(console.width), console=console, get_time=clock)
        self._task: TaskID | None = None
        self._turning = Spinner("dots", style="progress.spinner")
        self._drawn = Live(console=console, get_renderable=self.picture, transient=True, refresh_per_second=8, vertical_overflow="crop")

    def __enter__(self) -> Self:
        if self.live:
            self._drawn.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:
            self._drawn.stop()

    def picture(self) -> RenderableType:
        """What is drawn in place: the stage at work, and below it how far it is."""
        stage = Group(self._turning, self._bars)
        return Group(stage, Text(_STOPPING, style="bold")) if stopping() else stage

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins: `total` steps where they can be counted."""
        self.at_work = Stage(one_line(name), total)
        self._told = self._clock()
        if not self.live:
            self.line(Text(self.at_work.name + (f": {total:,}" if total else ""), style="dim"))
            return
        self._turning.update(text=Text(self.at_work.name, no_wrap=True, overflow="ellipsis"))
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(self.at_work.name, total=self.at_work.total, counted=self.at_work.counted, advanced=self._clock())

    def advance(self, steps: int) -> None:
        """`steps` more of it are done."""
        self.at_work.advance(steps)
        if self._task is not None:
            stage = self.at_work
            self._bars.update(self._task, completed=stage.done, total=stage.total, counted=stage.counted, advanced=self._clock())
        elif not self.live and self._clock() - self._told >= _LINE_SECONDS:
            self._told = self._clock()
            self.line(Text(f"  {self.at_work.counted}", style="dim"))

    def line(self, text: Text) -> None:
        """A line that stays."""
        self.console.print(text, soft_wrap=not self.live)


class Watcher(Watching):
    """Watches an audit: stage, rounds, texts, and where the evidence is."""

    def __init__(self, console: Console, config: AuditConfig) -> None:
        self._config = config
        self._last: RoundReport | None = None
        super().__init__(console)

    def __enter__(self) -> Self:
        base, intervention = (one_line(side.label, 60) for side in (self._config.base, self._config.intervention))
        self.line(Text.assemble(("Audit ", "bold"), one_line(self._config.name), ": ", (base, "cyan"), " → ", (intervention, "magenta")))
        return super().__enter__()

    def round_ended(self, report: RoundReport) -> None:
        """One line that stays: where the audit is and how strong the evidence is. The table shows where it is strongest."""
        self._last = report
        self.line(Text(round_line(report)))

    def picture(self) -> RenderableType:
        """See `Watching.picture`."""
        parts = [super().picture()]
        if self._last is None:
            return parts[0]
        most = self._config.sampling.max_texts
        parts.append(Text(f"  {self._last.texts:,} texts by the last round, {most:,} at most", style="dim"))
        rows = self.console.height - _ABOVE
        if self._last.leading and rows > 0:
            parts += [Text(""), evidence_table(self._last, rows)]
        return Group(*parts)


class PlantWatcher(Watching):
    """Watches planting: called with the name of a part, its steps done and its steps in all."""

    def __call__(self, name: str, done: int, total: int) -> None:
        """`done` of `total` steps of part `name` are made."""
        if one_line(name) != self.at_work.name or done < self.at_work.done:
            self.stage(name, total)
        self.advance(done - self.at_work.done)


class EntryWatcher(Watching):
    """Watches entries of a store go by."""


def _columns(width: int) -> list[ProgressColumn]:
    """What stands below the name of the stage; on a narrow terminal numbers alone."""
    bar = [BarColumn(bar_width=24)] if width >= _ROOM_FOR_BAR else []
    return [TextColumn(" "), *bar, _Counted(), _Elapsed(), _Left()]
