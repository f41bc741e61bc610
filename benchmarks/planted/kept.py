"""The finished audits that are kept in the repository, so that the tables of docs/benchmarks.md can be printed again, and gone on with.

`python -m benchmarks.planted --kept` prints them, `--go-on STATE` runs none of them again, and
`python -m benchmarks.planted.kept FILE --state STATE` adds those of a file of `--out`. Peers and null audits are not kept.

A state is the number of the last decision record that changed what audits find; rows of two states are not compared. Exhaustive audits
may be the same in several (`tables.exhaustive_states`).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.planted.records import Records, cell_of
from benchmarks.planted.tables import STRATEGIES, exhaustive_states

KEPT = Path(__file__).with_name("measured.csv")
_CELL = {"kind": str, "effect": float, "prevalence": float, "strata": int}
_AUDIT = {"strategy": str, "budget": int, "seed": int, "texts": int, "oracle": float}
_FOUND = ("recovered", "discoveries", "false")
_COLUMNS = (*_CELL, *_AUDIT, *_FOUND, "state")


def read(path: Path = KEPT) -> list[dict[str, Any]]:
    """The kept audits as rows of `Records`, with the `state` of the library that ran them."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [_row(line) for line in csv.DictReader(stream)]


def keep(rows: Iterable[dict[str, Any]], state: str, path: Path = KEPT) -> int:
    """Adds rows, sorted by cell; where a cell has some of another state by the same strategy, those go: a step holds one state only.

    Returns how many are kept now.
    """
    audits = (row for row in rows if row["strategy"] in STRATEGIES and row["effect"])
    new = [_line({**row, "state": row.get("state", state)}) for row in audits]
    state_of_arm = {_arm(line): line[-1] for line in new}
    lines = {_name(line): line for line in map(_line, read(path)) if state_of_arm.get(_arm(line), line[-1]) == line[-1]}
    lines |= {_name(line): line for line in new}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(lines[name] for name in sorted(lines))
    return len(lines)


def bring_back(state: str, records: Records, path: Path = KEPT) -> None:
    """Adds what is kept of one state of the library to records that a run goes on with.

    Raises:
        ValueError: nothing is kept of that state.
    """
    states = {"exhaustive": exhaustive_states(state)}
    rows = [row for row in read(path) if row["state"] in states.get(row["strategy"], (state,))]
    if not rows:
        raise ValueError(f"{path} keeps no audit of the state {state!r}")
    for row in rows:
        if records.get(cell_of(row), row["strategy"], row["budget"], row["seed"]) is None:
            records.add(row)


def _row(line: dict[str, str]) -> dict[str, Any]:
    values = {name: as_type(line[name]) if line[name] else None for name, as_type in (_CELL | _AUDIT).items()}
    found = {name: int(line[name]) for name in _FOUND}
    return {**values, "scored": {**found, "recovered": bool(found["recovered"])}, "state": line["state"]}


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    oracle = "" if row.get("oracle") is None else row["oracle"]
    found = (int(row["scored"][name]) for name in _FOUND)
    return (*(row[name] for name in (*_CELL, *_AUDIT) if name != "oracle"), oracle, *found, row["state"])


def _name(line: tuple[Any, ...]) -> tuple[Any, ...]:
    return line[: len(_CELL) + 3]


def _arm(line: tuple[Any, ...]) -> tuple[Any, ...]:
    """Its cell and strategy."""
    return line[: len(_CELL) + 1]


def main() -> int:
    """See the head of the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted.kept", description=__doc__)
    parser.add_argument("file", type=Path, help="what `python -m benchmarks.planted --out` wrote")
    parser.add_argument("--state", required=True, help="the last decision record that changed what audits find, such as 26")
    parser.add_argument("--to", type=Path, default=KEPT, help="the file of kept audits")
    arguments = parser.parse_args()
    rows = Records(arguments.file).rows
    if not rows:
        parser.error(f"{arguments.file} holds no finished audit")
    sys.stdout.write(f"{keep(rows, arguments.state, arguments.to):,} audits are kept\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
