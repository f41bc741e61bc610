"""Looking after a store: what it holds, what the last runs found in it, removing, moving to another store.

Everything streams: a store is listed entry by entry (`Store.entries`), values move in bounded batches, and nothing locks. An audit at
work meanwhile only finds less, or more, than before: it computes what is gone, and never reads half of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from auto_interventions.errors import Interrupted
from auto_interventions.fingerprint import fingerprint
from auto_interventions.stores.keys import NAME, ContentKeys, parts_of
from auto_interventions.stores.sealed import seal, unseal
from auto_interventions.stores.store import Entry, Store

STATS = "stats"
OTHER = "other"  # keys that this version does not write
_BATCH_ENTRIES = 1_000
_BATCH_BYTES = 16 * 2**20

Progress = Callable[[int], None]
"""Called with the number of entries that are newly done."""


class Spent(Protocol):
    """The counts of `runs.ledger.StageCounts` that tell hits from misses."""

    texts: int
    texts_reused: int
    embeddings_computed: int
    embeddings_cached: int
    judge_calls: int
    judge_calls_cached: int


class Spending(Protocol):
    """A `runs.ledger.Ledger`, which lives on a higher floor."""

    @property
    def all(self) -> Spent:
        """Sums over all stages."""
        ...


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run found in the store (`…_reused`, `…_cached`) and what it had to make."""

    run: str
    """The run directory."""
    name: str
    finished: str
    """ISO 8601, UTC."""
    texts: int
    """All texts of the run; `texts_reused` of them came from the store."""
    texts_reused: int
    embeddings_computed: int
    embeddings_cached: int
    judge_calls: int
    judge_calls_cached: int


@dataclass(slots=True)
class Size:
    """What a kind and model take up: bytes of values (keys and the engine's own overhead are not counted), times in epoch seconds."""

    entries: int = 0
    bytes: int = 0
    oldest: int | None = None
    newest: int | None = None

    def add(self, entry: Entry) -> None:
        """Counts one more entry."""
        self.entries += 1
        self.bytes += entry.size
        self.oldest = entry.written if self.oldest is None else min(self.oldest, entry.written)
        self.newest = entry.written if self.newest is None else max(self.newest, entry.written)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are meant; an empty selection means all of them. Times in epoch seconds, models as in `KeyParts.model`."""

    kinds: frozenset[str] = frozenset()
    models: frozenset[str] | None = None
    before: int | None = None
    since: int | None = None

    def holds(self, entry: Entry) -> bool:
        """Whether `entry` is meant."""
        kind, model = place_of(entry.key)
        return (
            (not self.kinds or kind in self.kinds)
            and (self.models is None or model in self.models)
            and (self.before is None or entry.written < self.before)
            and (self.since is None or entry.written >= self.since)
        )


@dataclass(slots=True)
class Survey:
    """What was found: sizes by (kind, model), where names of models do not count; and the records of all runs, the newest first."""

    sizes: dict[tuple[str, str], Size] = field(default_factory=dict[tuple[str, str], Size])
    names: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    runs: list[RunRecord] = field(default_factory=list[RunRecord])

    @property
    def total(self) -> Size:
        """Over all kinds and models."""
        whole = Size()
        for size in self.sizes.values():
            whole.entries += size.entries
            whole.bytes += size.bytes
        whole.oldest = min((size.oldest for size in self.sizes.values() if size.oldest is not None), default=None)
        whole.newest = max((size.newest for size in self.sizes.values() if size.newest is not None), default=None)
        return whole


@dataclass(slots=True)
class Moved:
    """What `move` did: entries and bytes written to the target; entries that were there already; entries that went away meanwhile."""

    entries: int = 0
    bytes: int = 0
    present: int = 0
    gone: int = 0


def place_of(key: str) -> tuple[str, str]:
    """Kind and model of a key; `other` and no model where it is none of this version's. Names and records of runs belong to no model."""
    parts = parts_of(key)
    if parts is None:
        return OTHER, ""
    return parts.kind, "" if parts.kind in (NAME, STATS) else parts.model


def record_run(store: Store, ledger: Spending, name: str, path: Path | str) -> None:
    """Keeps what a run that has just ended found in `store`, for `store stats`; a store that gives way now costs this record only.

    Args:
        name: what the audit file calls the audit.
        path: the run directory.
    """
    spent = ledger.all
    finished = datetime.now(UTC).isoformat(timespec="microseconds")
    counted = {item.name: getattr(spent, item.name) for item in fields(RunRecord) if hasattr(spent, item.name)}
    record = RunRecord(run=str(path), name=name, finished=finished, **counted)
    key = ContentKeys(STATS, 1, fingerprint("audit", name)).of_parts(str(path), finished)
    with suppress(Interrupted):
        store.put_many({key: seal(asdict(record))})


def survey(store: Store, selection: Selection | None = None) -> Survey:
    """Sizes of the selected entries, and whatever they are: names of all models and the records of all runs. One pass."""
    wanted = selection or Selection()
    found = Survey()
    names: list[str] = []
    records: list[str] = []
    for entry in store.entries():
        kind, model = place_of(entry.key)
        if kind == NAME:
            names.append(entry.key)
            continue
        if kind == STATS:
            records.append(entry.key)
        if wanted.holds(entry):
            found.sizes.setdefault((kind, model), Size()).add(entry)
    found.names = _named(store, names)
    records_read = (_record(value) for _, value in _values(store, records))
    found.runs = sorted((record for record in records_read if record is not None), key=lambda record: record.finished, reverse=True)
    return found


def model_names(store: Store) -> dict[str, tuple[str, ...]]:
    """What people call the models of the store, by the digits that keys hold."""
    return _named(store, [entry.key for entry in store.entries(f"{NAME}/")])


def prune(store: Store, selection: Selection, progress: Progress | None = None) -> int:
    """Removes the selected entries, then the names of models that hold nothing any more; returns how many entries went.

    The space is given back by `Store.compact`, which is the caller's to call.
    """
    removed = 0
    left: set[str] = set()
    names: dict[str, str] = {}

    def doomed() -> Iterator[str]:
        for entry in store.entries():
            parts = parts_of(entry.key)
            if parts is not None and parts.kind == NAME:
                names[entry.key] = parts.model
            elif selection.holds(entry):
                yield entry.key
            elif parts is not None:
                left.add(parts.model)

    for keys in _chunks(doomed(), _BATCH_ENTRIES):
        removed += store.delete_many(keys)
        if progress is not None:
            progress(len(keys))
    store.delete_many([key for key, model in names.items() if model not in left])
    return removed


def move(source: Store, target: Store, selection: Selection, progress: Progress | None = None) -> Moved:
    """Copies the selected entries of `source`, and the names of their models, to `target`, with the times at which they were written.

    What `target` has already is left as it is: repeated after a break, it goes on. Values are not looked into: a reader checks
    each one's checksum and counts a damaged one as a miss.
    """
    done = Moved()
    models: set[str] = set()
    names: list[Entry] = []

    def wanted() -> Iterator[Entry]:
        for entry in source.entries():
            parts = parts_of(entry.key)
            if parts is not None and parts.kind == NAME:
                names.append(entry)
            elif selection.holds(entry):
                if parts is not None:
                    models.add(parts.model)
                yield entry

    for batch in _batches(wanted()):
        _move_batch(source, target, batch, done)
        if progress is not None:
            progress(len(batch))
    uncounted = Moved()
    for batch in _batches(entry for entry in names if (parts := parts_of(entry.key)) is not None and parts.model in models):
        _move_batch(source, target, batch, uncounted)
    return done


def _move_batch(source: Store, target: Store, batch: list[Entry], done: Moved) -> None:
    there = target.get_many([entry.key for entry in batch])
    missing = [entry for entry, value in zip(batch, there, strict=True) if value is None]
    done.present += len(batch) - len(missing)
    by_time: dict[int, dict[str, bytes]] = {}
    for entry, value in zip(missing, source.get_many([entry.key for entry in missing]), strict=True):
        if value is None:
            done.gone += 1
        else:
            by_time.setdefault(entry.written, {})[entry.key] = value
    for written, items in by_time.items():
        target.put_many(items, written=written)
        done.entries += len(items)
        done.bytes += sum(len(value) for value in items.values())


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Batches of at most 1000 entries and 16 MiB (a larger value goes alone)."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == _BATCH_ENTRIES or size + entry.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _named(store: Store, keys: list[str]) -> dict[str, tuple[str, ...]]:
    names: dict[str, set[str]] = {}
    for key, value in _values(store, keys):
        parts = parts_of(key)
        if parts is not None:
            names.setdefault(parts.model, set()).add(value.decode("utf-8", "replace"))
    return {model: tuple(sorted(called)) for model, called in names.items()}


def _record(value: bytes) -> RunRecord | None:
    """None where the value is damaged or another version's."""
    data = unseal(value)
    if not isinstance(data, dict):
        return None
    given = cast("dict[str, Any]", data)
    try:
        values: dict[str, Any] = {item.name: (int if item.type == "int" else str)(given[item.name]) for item in fields(RunRecord)}
        return RunRecord(**values)
    except (KeyError, TypeError, ValueError):
        return None


def _values(store: Store, keys: list[str]) -> Iterator[tuple[str, bytes]]:
    for chunk in _chunks(iter(keys), _BATCH_ENTRIES):
        for key, value in zip(chunk, store.get_many(chunk), strict=True):
            if value is not None:
                yield key, value


def _chunks(keys: Iterator[str], size: int) -> Iterator[list[str]]:
    while chunk := list(islice(keys, size)):
        yield chunk
