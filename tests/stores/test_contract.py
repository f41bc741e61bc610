"""What every store promises, checked on an embedded one and on every Redis and Valkey that this machine has."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from auto_interventions.stores import Entry, Store
from tests.redis_server import RedisServer
from tests.stores.places import ALONE, CLUSTERED, EMBEDDED, Place, place_at, redis_cluster

__all__ = ["redis_cluster"]


@pytest.fixture(params=[EMBEDDED, *ALONE, *CLUSTERED])
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    running_servers: Callable[[str], RedisServer],
    redis_cluster: Callable[[], list[RedisServer]],
) -> Place:
    return place_at(request.param, tmp_path, running_servers, redis_cluster)[0]


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


def test_values_come_back_in_the_order_of_the_keys(store: Store) -> None:
    store.put_many({"k/1": b"one", "k/2": b"", "k/3": bytes(range(256))})
    assert store.get_many(["k/3", "k/0", "k/1", "k/2", "k/1"]) == [bytes(range(256)), None, b"one", b"", b"one"]


def test_empty_batches(store: Store) -> None:
    store.put_many({})
    assert store.get_many([]) == []
    assert store.delete_many([]) == 0
    assert list(store.entries()) == []
    store.compact()


def test_what_is_written_again_is_replaced(store: Store) -> None:
    store.put_many({"a": b"long " * 1000, "b": b"stays"}, written=1_000)
    store.put_many({"a": b"short"}, written=2_000)
    assert store.get_many(["a", "b"]) == [b"short", b"stays"]
    assert sorted(store.entries(), key=lambda entry: entry.key) == [Entry("a", 5, 2_000), Entry("b", 5, 1_000)]


def test_large_values_and_small_ones_in_one_batch(store: Store) -> None:
    items = {f"file/{row}": os.urandom(20_000_000) if row % 2 else b"small" for row in range(5)}
    store.put_many(items)
    assert store.get_many(list(items)) == list(items.values())
    assert {entry.key: entry.size for entry in store.entries()} == {key: len(value) for key, value in items.items()}


def test_a_hundred_thousand_keys(store: Store) -> None:
    items = {f"vector/v1/{row:06}": f"{row}".encode() * 5 for row in range(100_000)}
    store.put_many(items)
    assert store.get_many(list(items)) == list(items.values())
    assert sorted(entry.key for entry in store.entries()) == list(items)
    assert sum(1 for _ in store.entries("vector/v1/0123")) == 100
    assert store.delete_many(entry.key for entry in store.entries("vector/v1/00")) == 10_000
    assert store.get_many(["vector/v1/009999", "vector/v1/010000"]) == [None, items["vector/v1/010000"]]


def test_keys_of_all_scripts_and_of_signs_that_patterns_use(store: Store) -> None:
    keys = ["ключ/é/漢字/🦊", "a*b", "a?b", "a[b]", "a\\b", "a^b", "{a}b", "a b\nc", "axb", "x" * 5000]
    store.put_many({key: key.encode() for key in keys})
    assert store.get_many(keys) == [key.encode() for key in keys]
    assert {entry.key for entry in store.entries()} == set(keys)
    for prefix in ("a*", "a?", "a[", "a\\", "a^", "{a", "a b\n", "ключ/é/漢"):
        assert [entry.key for entry in store.entries(prefix)] == [key for key in keys if key.startswith(prefix)]
    assert store.delete_many(keys) == len(keys)


def test_entries_tell_size_and_time(store: Store) -> None:
    before = int(time.time())
    store.put_many({"new/1": b"12345"})
    store.put_many({"old/1": b"", "old/2": b"x" * 100}, written=1_500_000_000)
    told = {entry.key: entry for entry in store.entries()}
    assert before <= told["new/1"].written <= time.time()
    assert (told["new/1"].size, told["old/1"].size, told["old/2"]) == (5, 0, Entry("old/2", 100, 1_500_000_000))
    assert {entry.key for entry in store.entries("old/")} == {"old/1", "old/2"}
    assert list(store.entries("older")) == []


def test_deleting_counts_what_was_there(store: Store) -> None:
    store.put_many({f"k/{row}": b"x" for row in range(2_500)})
    assert store.delete_many([f"k/{row}" for row in range(0, 5_000, 2)]) == 1_250
    assert store.delete_many(["k/0", "k/1", "k/1"]) == 1
    assert sum(1 for _ in store.entries()) == 1_249


def test_entries_are_told_while_others_delete_and_write(store: Store) -> None:
    store.put_many({f"stays/{row}": b"x" for row in range(5_000)} | {f"goes/{row}": b"x" for row in range(5_000)})
    seen: set[str] = set()
    for number, entry in enumerate(store.entries()):
        seen.add(entry.key)
        if number == 100:
            assert store.delete_many(f"goes/{row}" for row in range(5_000)) == 5_000
            store.put_many({"comes/1": b"x"})
    assert {f"stays/{row}" for row in range(5_000)} <= seen


def test_any_order_of_calls_is_a_dictionary(store: Store) -> None:
    chance = random.Random(0)
    expected: dict[str, bytes] = {}
    for _ in range(150):
        keys = [f"k/{chance.randrange(60)}" for _ in range(chance.randrange(1, 30))]
        match chance.randrange(4):
            case 0 | 1:
                items = {key: chance.randbytes(chance.randrange(200)) for key in keys}
                store.put_many(items)
                expected |= items
            case 2:
                assert store.delete_many(keys) == len(set(keys) & set(expected))
                expected = {key: value for key, value in expected.items() if key not in keys}
            case _:
                assert store.get_many(keys) == [expected.get(key) for key in keys]
    assert {entry.key: entry.size for entry in store.entries()} == {key: len(value) for key, value in expected.items()}


def test_a_closed_store_opens_again_by_itself(store: Store) -> None:
    store.put_many({"a": b"1"})
    store.close()
    store.close()
    assert store.get_many(["a"]) == [b"1"]
    store.close()
    assert [entry.key for entry in store.entries()] == ["a"]


def test_namespaces_do_not_see_each_other(place: Place) -> None:
    one, two, third = place.open("one"), place.open("two"), place.open("on")
    one.put_many({"a": b"1", "b": b"1"})
    two.put_many({"a": b"2"})
    assert (one.get_many(["a", "b"]), two.get_many(["a", "b"]), third.get_many(["a"])) == ([b"1", b"1"], [b"2", None], [None])
    assert [entry.key for entry in two.entries()] == ["a"]
    assert list(third.entries()) == []
    assert two.delete_many(["a", "b"]) == 1
    assert one.get_many(["a"]) == [b"1"]


def test_many_threads_share_a_store(store: Store) -> None:
    def work(name: int) -> bool:
        for batch in range(10):
            store.put_many({f"{name}/{batch}/{row}": f"{name} {batch} {row}".encode() for row in range(20)})
            keys = [(batch, row) for batch in range(batch + 1) for row in range(20)]
            if store.get_many([f"{name}/{batch}/{row}" for batch, row in keys]) != [f"{name} {b} {r}".encode() for b, r in keys]:
                return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))


def _work_elsewhere(store: Store, name: str) -> None:
    assert store.get_many(["parent"]) == [b"1"]
    for batch in range(10):
        store.put_many({f"{name}/{batch}/{row}": f"{name} {batch} {row}".encode() for row in range(50)} | {"shared": b"the same"})
    # Not through the exit hooks of whatever earlier tests loaded into the process that was forked: Prefect's fail in a fork.
    os._exit(0)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_a_store(store: Store, method: str) -> None:
    store.put_many({"parent": b"1"})  # a connection is open when the children come to be
    context = multiprocessing.get_context(method)
    children = [context.Process(target=_work_elsewhere, args=(store, name)) for name in ("left", "right")]
    for child in children:
        child.start()
    for batch in range(20):
        store.put_many({f"parent/{batch}": b"x"})
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    rows = [(name, batch, row) for name in ("left", "right") for batch in range(10) for row in range(50)]
    assert store.get_many([f"{n}/{b}/{r}" for n, b, r in rows]) == [f"{n} {b} {r}".encode() for n, b, r in rows]
    assert store.get_many(["shared", "parent/19"]) == [b"the same", b"x"]


def test_a_pickled_copy_opens_by_itself(store: Store) -> None:
    store.put_many({"a": b"1"})
    copy: Store = pickle.loads(pickle.dumps(store))
    assert copy.location == store.location
    assert copy.get_many(["a"]) == [b"1"]
    assert [entry.key for entry in pickle.loads(pickle.dumps(store)).entries()] == ["a"]
