"""Progress on a terminal (stderr): a bar for the stage at work, a line for every round that ended."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from auto_interventions.config import AuditConfig
from auto_interventions.stages.progress import RoundReport


class _Bar:
    """A rich progress bar that lives as long as the block; one line a stage where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int | None = None) -> None:
        """Shows `name` with an empty bar of `total` steps (a pulse where they cannot be counted)."""
        if not self.console.is_terminal:
            self.console.print(Text(name, style="dim"))
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self, steps: int) -> None:
        """Moves the bar on."""
        if self._task is not None:
            self._progress.advance(self._task, steps)


class Watcher(_Bar):
    """Watches an audit: stage, round, texts, evidence so far."""

    def __init__(self, console: Console, config: AuditConfig) -> None:
        super().__init__(console)
        self._config = config

    def __enter__(self) -> Self:
        names = Text.assemble(
            ("Audit ", "bold"),
            self._config.name,
            ": ",
            (self._config.base.label, "cyan"),
            " → ",
            (self._config.intervention.label, "magenta"),
        )
        self.console.print(names)
        return super().__enter__()

    def round_ended(self, report: RoundReport) -> None:
        """One line: where the audit is and how strong the evidence is."""
        found = "strata differ" if report.phase == "explore" else "hypotheses hold"
        self.console.print(
            Text(
                f"  {report.phase} round {report.round + 1:>2}   {report.texts:>7,} texts   "
                f"evidence 10^{report.log_e / math.log(10):+.1f}   {report.found} of {report.of} {found}"
            )
        )


class PlantWatcher(_Bar):
    """Watches planting: called with the name of a part, its steps done and its steps in all."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._name = ""
        self._done = 0

    def __call__(self, name: str, done: int, total: int) -> None:
        """`done` of `total` steps of part `name` are made."""
        if name != self._name:
            self.stage(name, total)
            self._name, self._done = name, 0
        self.advance(done - self._done)
        self._done = done


class EntryWatcher(_Bar):
    """Watches entries of a store go by."""
