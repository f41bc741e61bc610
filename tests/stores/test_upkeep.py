"""Upkeep of every kind of store: an embedded one, a Redis and a cluster."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from auto_interventions.fingerprint import fingerprint
from auto_interventions.runs import Ledger
from auto_interventions.stores import Store, open_store
from auto_interventions.stores.keys import ContentKeys, name_entry
from auto_interventions.stores.upkeep import Selection, Size, model_names, move, place_of, prune, record_run, survey
from tests.redis_server import RedisServer, Starter
from tests.stores.places import ALONE, CLUSTERED, EMBEDDED, Place, place_at, redis_cluster

__all__ = ["redis_cluster"]
ENCODER, WRITER = fingerprint("an encoder"), fingerprint("a writer")
VECTORS, TEXTS = ContentKeys("vector", 1, ENCODER), ContentKeys("generation", 2, WRITER)
LEGACY = "vector/v1/" + 64 * "0"


@pytest.fixture(params=[EMBEDDED, *ALONE[:1], *CLUSTERED])
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    running_servers: Callable[[str], RedisServer],
    redis_cluster: Callable[[], list[RedisServer]],
) -> Place:
    return place_at(request.param, tmp_path, running_servers, redis_cluster)[0]


def filled(folder: Path, vectors: int = 30, texts: int = 20) -> Store:
    return fill(open_store(str(folder)), vectors, texts)


def fill(store: Store, vectors: int = 30, texts: int = 20) -> Store:
    """Vectors of 1.5 kB written at second 1000, 1001, …; texts of 10 B at second 2000; a key of an older version."""
    for row in range(vectors):
        store.put_many({VECTORS.of(f"text {row}"): bytes([row % 256]) * 1500}, written=1000 + row)
    store.put_many({TEXTS.of(f"prompt {row}"): b"0123456789" for row in range(texts)}, written=2000)
    store.put_many({LEGACY: b"old"}, written=500)
    store.put_many(dict([name_entry(ENCODER, "minilm"), name_entry(WRITER, "story-teller"), name_entry(WRITER, "gpt")]), written=2500)
    return store


def content(store: Store) -> dict[str, tuple[bytes | None, int]]:
    entries = list(store.entries())
    return {entry.key: (value, entry.written) for entry, value in zip(entries, store.get_many([e.key for e in entries]), strict=True)}


def sizes(store: Store, selection: Selection | None = None) -> dict[str, int]:
    return {kind: size.entries for (kind, _), size in survey(store, selection).sizes.items()}


def test_a_survey_counts_by_kind_and_model(place: Place) -> None:
    found = survey(fill(place.open()))
    assert found.sizes == {
        ("vector", ENCODER[:12]): Size(30, 45_000, 1000, 1029),
        ("generation", WRITER[:12]): Size(20, 200, 2000, 2000),
        ("other", ""): Size(1, 3, 500, 500),
    }
    assert found.names == {ENCODER[:12]: ("minilm",), WRITER[:12]: ("gpt", "story-teller")}
    assert found.total == Size(51, 45_203, 500, 2000)
    assert found.runs == []


def test_an_empty_store(place: Place) -> None:
    store = place.open()
    assert survey(store).total == Size()
    assert prune(store, Selection()) == 0
    assert move(store, place.open("other"), Selection()).entries == 0


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(), {}),
        (Selection(kinds=frozenset({"vector"})), {"generation": 20, "other": 1}),
        (Selection(models=frozenset({WRITER[:12]})), {"vector": 30, "other": 1}),
        (Selection(before=1010), {"vector": 20, "generation": 20}),
        (Selection(since=1010), {"vector": 10, "other": 1}),
        (Selection(kinds=frozenset({"vector"}), before=1010), {"vector": 20, "generation": 20, "other": 1}),
        (Selection(models=frozenset({WRITER[:12]}), kinds=frozenset({"vector"})), {"vector": 30, "generation": 20, "other": 1}),
        (Selection(kinds=frozenset({"other"})), {"vector": 30, "generation": 20}),
    ],
)
def test_prune_removes_what_is_meant_and_nothing_else(place: Place, selection: Selection, left: dict[str, int]) -> None:
    store = fill(place.open())
    before = content(store)
    meant = sum(sizes(store, selection).values())
    seen: list[int] = []
    assert prune(store, selection, seen.append) == meant == sum(seen)
    assert sizes(store) == left
    assert all(before[key] == value for key, value in content(store).items())


def test_names_go_with_the_last_of_their_model(place: Place) -> None:
    store = fill(place.open())
    prune(store, Selection(before=1010))
    assert set(model_names(store)) == {ENCODER[:12], WRITER[:12]}
    prune(store, Selection(kinds=frozenset({"vector"})))
    assert set(model_names(store)) == {WRITER[:12]}


def test_compacting_gives_the_disk_its_space_back(tmp_path: Path) -> None:
    store = filled(tmp_path, vectors=2000)
    store.close()
    (file,) = tmp_path.glob("*.sqlite3")
    large = file.stat().st_size
    prune(store, Selection(kinds=frozenset({"vector"})))
    store.compact()
    store.close()
    assert file.stat().st_size < large / 5
    assert sizes(open_store(str(tmp_path))) == {"generation": 20, "other": 1}


def test_a_move_keeps_values_times_and_names(place: Place) -> None:
    source, target = fill(place.open("a")), place.open("b")
    seen: list[int] = []
    moved = move(source, target, Selection(), seen.append)
    assert (moved.entries, moved.bytes, moved.present, moved.gone) == (51, 45_203, 0, 0)
    assert sum(seen) == 51
    assert content(target) == content(source)


def test_a_move_takes_what_is_meant_and_the_names_of_its_models(place: Place) -> None:
    source, target = fill(place.open("a")), place.open("b")
    move(source, target, Selection(kinds=frozenset({"generation"})))
    assert sizes(target) == {"generation": 20}
    assert set(model_names(target)) == {WRITER[:12]}


def test_large_values_move_too(place: Place) -> None:
    source, target = place.open("a"), place.open("b")
    files = ContentKeys("file", 1, WRITER)
    source.put_many({files.of(str(row)): bytes([row]) * 9_000_000 for row in range(4)}, written=7)
    source.put_many({files.of("whole"): bytes(20_000_000)}, written=7)
    assert move(source, target, Selection()).bytes == 56_000_000
    assert content(target) == content(source)


class Breaking:
    """A target whose process ends, or whose line breaks, in the third write."""

    def __init__(self, store: Store) -> None:
        self.store, self.writes, self.location = store, 0, store.location

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return self.store.get_many(keys)

    def put_many(self, items: Mapping[str, bytes], written: int | None = None) -> None:
        self.writes += 1
        if self.writes == 3:
            raise KeyboardInterrupt
        self.store.put_many(items, written=written)

    def entries(self, prefix: str = "") -> Iterable[object]:
        return self.store.entries(prefix)


def test_a_broken_move_goes_on(place: Place) -> None:
    source, target = fill(place.open("a")), place.open("b")
    with pytest.raises(KeyboardInterrupt):
        move(source, Breaking(target), Selection())  # pyright: ignore[reportArgumentType]
    assert 0 < len(content(target)) < 51
    moved = move(source, target, Selection())
    assert moved.present > 0
    assert moved.present + moved.entries == 51
    assert content(target) == content(source)


def test_what_the_target_has_already_stays(place: Place) -> None:
    source, target = fill(place.open("a")), place.open("b")
    target.put_many({TEXTS.of("prompt 0"): b"mine"}, written=9)
    move(source, target, Selection())
    assert content(target)[TEXTS.of("prompt 0")] == (b"mine", 9)


READER = """
import sys
from auto_interventions.stores import open_store
store, keys = open_store(sys.argv[1]), sys.argv[2].split()
print("ready", flush=True)
absent = 0
while absent < len(keys):
    values = store.get_many(keys)
    assert all(value in (None, key.encode() * 20) for key, value in zip(keys, values)), "half a value"
    absent = values.count(None)
"""


def test_an_audit_at_work_while_the_store_is_pruned_and_compacted_sees_misses_only(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    keys = [VECTORS.of(str(row)) for row in range(300)]
    store.put_many({key: key.encode() * 20 for key in keys})
    reader = subprocess.Popen([sys.executable, "-c", READER, str(tmp_path), " ".join(keys)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reader.stdout is not None
    reader.stdout.readline()
    for part in range(6):
        prune(store, Selection(kinds=frozenset({"vector"}), before=None if part else 0))
        store.compact()
    _, problems = reader.communicate(timeout=60)
    assert reader.returncode == 0, problems.decode()


def ledger(**counts: int) -> Ledger:
    made = Ledger()
    with made.stage("scan: generate") as stage:
        for name, count in counts.items():
            setattr(stage, name, count)
    return made


def test_runs_are_remembered_the_last_one_first(place: Place) -> None:
    store = fill(place.open())
    record_run(store, ledger(texts=100, texts_reused=0, embeddings_computed=90, embeddings_cached=10), "first", Path("/runs/one"))
    record_run(store, ledger(texts=100, texts_reused=100, judge_calls=7, judge_calls_cached=7), "second", Path("/runs/one"))
    runs = survey(store).runs
    assert [(run.name, run.texts, run.texts_reused) for run in runs] == [("second", 100, 100), ("first", 100, 0)]
    assert (runs[1].embeddings_computed, runs[1].embeddings_cached, runs[0].judge_calls_cached) == (90, 10, 7)
    assert runs[0].run == str(Path("/runs/one"))
    assert runs[0].finished >= runs[1].finished
    assert sizes(store)["stats"] == 2


def test_a_store_that_gives_way_costs_the_record_only(start_redis: Starter) -> None:
    redis = start_redis()
    store = open_store(redis.url)
    with redis.client() as client:
        client.config_set("maxmemory", 1)
    record_run(store, ledger(texts=1), "run", "somewhere")
    assert survey(store).runs == []


def test_a_damaged_record_is_left_out(place: Place) -> None:
    store = place.open()
    record_run(store, ledger(texts=1), "run", "somewhere")
    (entry,) = store.entries()
    store.put_many({entry.key: b"\xff"})
    assert survey(store).runs == []


def test_keys_that_are_not_ours() -> None:
    assert place_of(LEGACY) == ("other", "")
    assert place_of("shared/0") == ("other", "")
    assert place_of(VECTORS.of("x")) == ("vector", ENCODER[:12])


def test_two_hundred_thousand_entries_are_listed_in_no_more_memory(tmp_path: Path) -> None:
    """Peak memory of a survey in a process of its own, over 200,000 entries of 1 kB, beside one over none."""
    code = """
import resource, sys
from auto_interventions.stores import open_store
from auto_interventions.stores.upkeep import survey
found = survey(open_store(sys.argv[1]))
print(found.total.entries, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    open_store(str(tmp_path / "empty")).close()
    store = open_store(str(tmp_path / "full"))
    store.close()
    with sqlite3.connect(next((tmp_path / "full").glob("*.sqlite3"))) as database:
        rows = ((VECTORS.of(str(row)), bytes(1000), row) for row in range(200_000))
        database.executemany("INSERT INTO entries (key, value, written) VALUES (?, ?, ?)", rows)
    database.close()
    peaks: list[int] = []
    for name, entries in (("empty", 0), ("full", 200_000)):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], capture_output=True, text=True, check=True)
        counted, peak = map(int, done.stdout.split())
        assert counted == entries
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 60_000, "kilobytes"
