"""Finished audits as lines of JSON: a benchmark that was killed goes on where it stopped."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from benchmarks.planted.world import Cell

Key = tuple[str, str, int, int]
"""Cell, strategy or peer, budget, seed."""


class Records:
    """An append-only file of rows, each of which has the fields of a cell, `strategy`, `budget` and `seed`."""

    def __init__(self, path: Path) -> None:
        """Reads what is there; a last line that a kill cut in two is left out."""
        self.path = path
        self._rows: dict[Key, dict[str, Any]] = {}
        self._read_to = 0
        self.refresh()

    def refresh(self) -> None:
        """Reads what other processes have added."""
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            stream.seek(self._read_to)
            added = stream.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            self._rows[key_of(row)] = row

    def get(self, cell: Cell, strategy: str, budget: int, seed: int) -> dict[str, Any] | None:
        """A finished row."""
        return self._rows.get((cell.name, strategy, budget, seed))

    def add(self, row: dict[str, Any]) -> None:
        """Appends a row; several processes may."""
        self._rows[key_of(row)] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write((json.dumps(row, ensure_ascii=False) + "\n").encode())

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows."""
        return list(self._rows.values())


def cell_of(row: dict[str, Any]) -> Cell:
    """The cell of a row."""
    return Cell(row["kind"], row["effect"], row["prevalence"], row["strata"])


def key_of(row: dict[str, Any]) -> Key:
    """What names a row."""
    return cell_of(row).name, row["strategy"], row["budget"], row["seed"]
