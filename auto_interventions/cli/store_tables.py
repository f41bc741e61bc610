"""What a store holds, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import cast

from rich.box import SIMPLE_HEAD
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from auto_interventions.stores import Store
from auto_interventions.stores.embedded import EmbeddedStore
from auto_interventions.stores.upkeep import RunRecord, Size, Survey

Figures = dict[str, int | str | None]


def engine_figures(store: Store) -> Figures:
    """What the engine says of itself: `disk_bytes` of an embedded store; `used`, `max` (bytes) and `policy` of a Redis server."""
    if isinstance(store, EmbeddedStore):
        files = (store.path.with_name(store.path.name + ending) for ending in ("", "-wal", "-shm"))
        return {"disk_bytes": sum(file.stat().st_size for file in files if file.exists())}
    memory = cast("Callable[[], Figures] | None", getattr(store, "memory", None))
    return memory() if memory is not None else {}


def engine_lines(figures: Figures) -> list[str]:
    """The same, to be read."""
    lines: list[str] = []
    if (disk := figures.get("disk_bytes")) is not None:
        lines.append(f"On disk: {decimal(int(disk))}")
    if (used := figures.get("used")) is not None:
        limit = int(figures.get("max") or 0)
        bound = f" of {decimal(limit)}, {figures.get('policy')} when it is full" if limit else ", without a limit"
        lines.append(f"Memory of the server, all its users together: {decimal(int(used))}{bound}")
    return lines


def sizes_table(found: Survey, title: str = "What it holds") -> Table:
    """One row a kind and model, the largest first, and their sum."""
    table = _table(title)
    for column in ("kind", "model", "entries", "bytes", "written"):
        table.add_column(column, justify="right" if column in ("entries", "bytes") else "left")
    for (kind, model), size in sorted(found.sizes.items(), key=lambda item: (-item[1].bytes, item[0])):
        table.add_row(kind, Text(_called(model, found)), f"{size.entries:,}", decimal(size.bytes), _span(size))
    table.add_section()
    whole = found.total
    table.add_row("all", "", f"{whole.entries:,}", decimal(whole.bytes), _span(whole), style="bold")
    return table


def runs_table(runs: list[RunRecord], of: int) -> Table:
    """One row a run, the last one first: what it found in the store, of how many it needed."""
    table = _table("Last runs: found in the store, of all that were needed" + (f" ({len(runs)} of {of} runs)" if len(runs) < of else ""))
    for column in ("ended", "audit", "texts", "vectors", "judge calls", "run"):
        table.add_column(column, justify="right" if column in ("texts", "vectors", "judge calls") else "left", overflow="fold")
    for run in runs:
        table.add_row(
            run.finished[:16].replace("T", " "),
            Text(run.name),
            _share(run.texts_reused, run.texts),
            _share(run.embeddings_cached, run.embeddings_cached + run.embeddings_computed),
            _share(run.judge_calls_cached, run.judge_calls),
            Text(run.run),
        )
    return table


def as_dict(location: str, found: Survey, figures: Figures, runs: int) -> dict[str, object]:
    """`store stats --json`; times are ISO 8601, UTC."""
    return {
        "schema": "auto-interventions/store@1",
        "location": location,
        **_size(found.total),
        **figures,
        "sizes": [
            {"kind": kind, "model": model or None, "names": list(found.names.get(model, ())), **_size(size)}
            for (kind, model), size in sorted(found.sizes.items())
        ],
        "runs": [asdict(run) for run in found.runs[:runs]],
    }


def _size(size: Size) -> dict[str, object]:
    return {"entries": size.entries, "bytes": size.bytes, "oldest": _iso(size.oldest), "newest": _iso(size.newest)}


def _iso(moment: int | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def _called(model: str, found: Survey) -> str:
    """Its names, or where it has none its digits."""
    return ", ".join(found.names.get(model, ())) or model


def _span(size: Size) -> str:
    days = [str(datetime.fromtimestamp(moment, UTC).date()) for moment in (size.oldest, size.newest) if moment is not None]
    return " … ".join(dict.fromkeys(days))


def _share(found: int, needed: int) -> str:
    return f"{found:,} of {needed:,}" if needed else "–"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", pad_edge=False, header_style="dim", box=SIMPLE_HEAD)
