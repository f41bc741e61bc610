"""Several audits side by side: each sentence in each run, cells with mean and standard deviation over seeds, what the variation is due to.

A matrix describes; it tests nothing. Whether two runs differ in a sentence is `diffing`'s to say. A sentence stands in it because some run
validated it; its size in every run is measured on that run's random sample alone, which did not choose it. In the run that validated it
that size is still one that was large enough to be found, so means over few runs are a little too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

from auto_interventions.diffing.sampled import Sampled, same_sentence, share_texts
from auto_interventions.errors import RunDirectoryError
from auto_interventions.matrix.cells import Cell, cells_of
from auto_interventions.matrix.judges import JudgeAgreement, agreements
from auto_interventions.matrix.rows import Row, measured
from auto_interventions.matrix.sources import Sources, sources
from auto_interventions.runs import Run

SCHEMA = "auto-interventions/matrix@1"


@dataclass(frozen=True, slots=True)
class Column:
    """A run: its name, its folder, its seed's name within its cell (see `Cell.seeds`), sentences it tested and validated."""

    name: str
    path: str
    seed: str
    tested: int
    validated: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Everything that matrix.json and matrix.html tell.

    Attributes:
        columns: the runs in the order given.
        cells: interventions on banks; each run is in one.
        rows: sentences that some run validated, those that say the same together.
        tested: sentences that any run tested, the same one once.
        sources: of all runs, then of each cell with several runs (left out where that is all of them).
    """

    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]
    rows: tuple[Row, ...]
    tested: int
    sources: tuple[Sources, ...]
    judges: tuple[JudgeAgreement, ...]
    notes: tuple[str, ...]

    @property
    def leaders(self) -> tuple[Row, ...]:
        """The rows that stand under no other."""
        return tuple(row for row in self.rows if row.under is None)

    @property
    def everywhere(self) -> int:
        """How many leaders, or one of those like it, every run validated."""
        return sum(self.found(row) == len(self.columns) for row in self.leaders)

    def found(self, row: Row) -> int:
        """How many runs validated a leader or one of those like it."""
        alike = [row, *(one for one in self.rows if one.under == row.statement)]
        return sum(any(one.values[run].status == "validated" for one in alike) for run in range(len(self.columns)))

    def as_dict(self) -> dict[str, object]:
        """The content of matrix.json."""
        return {
            "schema": SCHEMA,
            "runs": [asdict(column) for column in self.columns],
            "cells": [asdict(cell) for cell in self.cells],
            "tested": self.tested,
            "sentences": [{**row.as_dict(), "cells": [asdict(row.over(cell)) for cell in self.cells]} for row in self.rows],
            "variance": [one.as_dict() for one in self.sources],
            "judges": [one.as_dict() for one in self.judges],
            "notes": list(self.notes),
        }


def matrix_of(runs: Sequence[Run]) -> Matrix:
    """Two or more concluded runs, side by side.

    Raises:
        RunDirectoryError: fewer than two, one given twice, one that has not concluded, or that an earlier version made.
    """
    paths = [run.path.resolve() for run in runs]
    twice = next((run.path for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1), None)
    if twice is not None:
        raise RunDirectoryError(f"{twice}: is given twice; a matrix holds each run once")
    if len(runs) < 2:
        raise RunDirectoryError("a matrix needs two runs or more: give their folders (the --out of audits)")
    for run in runs:
        run.check_concluded()
    samples = [Sampled.of(run) for run in runs]
    cells = cells_of(runs)
    table = measured(runs, samples)
    several = [cell for cell in cells if len(cell.runs) > 1]
    parted = [sources("all runs", range(len(runs)), table, samples)]
    parted += [sources(cell.label, cell.runs, table, samples) for cell in several if len(cell.runs) < len(runs)]
    return Matrix(
        columns=tuple(_column(number, run, cells) for number, run in enumerate(runs)),
        cells=cells,
        rows=table.rows,
        tested=len({same_sentence(finding) for run in runs for finding in run.findings["findings"]}),
        sources=tuple(parted),
        judges=agreements(runs),
        notes=tuple(_notes(cells, runs, samples)),
    )


def _column(number: int, run: Run, cells: Sequence[Cell]) -> Column:
    cell = next(cell for cell in cells if number in cell.runs)
    findings = run.findings["findings"]
    held = sum(finding["status"] == "validated" for finding in findings)
    return Column(str(run.run["name"]), str(run.path), cell.seeds[cell.runs.index(number)], len(findings), held)


def _notes(cells: Sequence[Cell], runs: Sequence[Run], samples: Sequence[Sampled]) -> list[str]:
    """What a reader should know before believing that seeds agree."""
    notes: list[str] = []
    for cell in cells:
        shared = sum(share_texts(samples[one], samples[other]) for one, other in combinations(cell.runs, 2))
        if shared:
            pairs = len(cell.runs) * (len(cell.runs) - 1) // 2
            which = "its two runs" if pairs == 1 else f"{shared} of the {pairs} pairs of its runs"
            notes.append(f"{cell.label}: {which} have texts in common, so that they agree says less than if they were independent.")
    banks = {cell.bank for cell in cells}
    if len(banks) > 1:
        notes.append("The banks differ: each rate is over its own bank’s prompts.")
    alphas = sorted({float(run.findings["alpha"]) for run in runs})
    if len(alphas) > 1:
        notes.append(f"The runs validated at different levels (alpha {', '.join(f'{alpha:g}' for alpha in alphas)}).")
    return notes
