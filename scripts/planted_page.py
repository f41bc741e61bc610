"""Writes the kept audits of the planted benchmark (benchmarks/planted/measured.csv) into the tables of docs/benchmarks.md:
`.venv/bin/python scripts/planted_page.py`.

A row of the page stays where fewer seeds than wanted are kept of its cell, or where a climb has not got as far as the row has. Of a climb
that was ended early nothing is written.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

from picture_figures import DOCS, TABLE, table

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.planted import kept  # noqa: E402
from benchmarks.planted.tables import Line, Reached, exhaustive_states, headline, in_order, summary, texts_table  # noqa: E402
from benchmarks.planted.world import Cell  # noqa: E402

PAGE = DOCS / "benchmarks.md"
_HEADLINE = re.compile(r"^\d+ of \d+ cells that were begun .*$", flags=re.MULTILINE)


def lines_of(strata: int) -> list[Line]:
    """The lines that `texts_table` printed onto the page."""
    found: list[Line] = []
    for row in table(f"{strata} strata"):
        cell = Cell(row["kind"], _share(row["effect"]), _share(row["affected"]), strata)
        recovered, seeds = (int(number) for number in (row["recall"].split()[0] if row["recall"] else "0/0").split("/"))
        mine, failed = _reached(row["active"], recovered, seeds)
        every, every_failed = _reached(row["exhaustive"], 0, 0)
        found.append(Line(cell, mine, failed, every, every_failed, float(row["oracle"].replace(",", "")), row.get("state", "")))
    return found


def _share(text: str) -> float:
    return int(text.rstrip("%")) / 100


def _reached(text: str, recovered: int, seeds: int) -> tuple[Reached | None, int]:
    texts = int(re.sub(r"\D", "", text) or 0)
    return (None, texts) if text.startswith((">", "–")) else (Reached(texts, texts, recovered, seeds), 0)


def completed(old: Line | None, new: Line) -> Line:
    """What is kept of a cell, with the page's exhaustive sizes where no exhaustive audit is kept and those of the page are the same."""
    if old is None or new.exhaustive or new.exhaustive_failed or old.state not in exhaustive_states(new.state):
        return new
    return replace(new, exhaustive=old.exhaustive, exhaustive_failed=old.exhaustive_failed)


def newer(old: Line | None, new: Line) -> bool:
    """Whether the kept audits say as much of a cell as the page does."""
    arms = ((new.reached, new.failed), (new.exhaustive, new.exhaustive_failed))
    if not all(reached or failed for reached, failed in arms):
        return False
    if new.exhaustive and not new.reached and new.failed < new.exhaustive.texts / 2:
        return False  # a climb that was ended before it could have been worse than exhaustive's says nothing yet
    if old is None:
        return True
    before = ((old.reached, old.failed), (old.exhaustive, old.exhaustive_failed))
    return all(mine or failed >= (was.texts if was else was_failed) for (mine, failed), (was, was_failed) in zip(arms, before, strict=True))


def rewritten(page: str, strata: int, kept_lines: list[Line]) -> str:
    """The page with one table and its headline as of now."""
    start = page.index(f"\n### {strata} strata\n")
    end = page.find("\n### ", start + 1)
    lines = {line.cell: line for line in lines_of(strata)}
    known = (completed(lines.get(line.cell), line) for line in kept_lines)
    lines |= {line.cell: line for line in known if newer(lines.get(line.cell), line)}
    seeds = min(line.reached.seeds for line in lines.values() if line.reached)
    every = sorted(lines.values(), key=lambda line: in_order(line.cell))
    section = TABLE.sub(texts_table(every) + "\n", page[start:end], count=1)
    return page[:start] + _HEADLINE.sub(headline(every, seeds), section) + page[end:]


def main() -> None:
    """See the head of the page."""
    rows = kept.read()
    page = PAGE.read_text(encoding="utf-8")
    for strata in sorted({row["strata"] for row in rows}):
        page = rewritten(page, strata, summary([row for row in rows if row["strata"] == strata], "active"))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
