"""A Redis that goes away, hangs, is full, busy, read-only or cannot save: the real thing, broken on purpose."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis.exceptions

from auto_interventions.errors import BadInput, Interrupted
from auto_interventions.flows.server import free_port
from auto_interventions.locations import RedisAddress, redis_address
from auto_interventions.stores import Store, open_store
from auto_interventions.stores.redis import RedisStore
from auto_interventions.stores.redis_faults import sentence
from tests.redis_server import RedisServer, Starter, cluster_of, servers_found
from tests.stores.places import ALONE

pytestmark = pytest.mark.skipif(not ALONE, reason="no redis-server here")


def batch(number: int) -> dict[str, bytes]:
    return {f"vector/v1/{number}/{row}": f"{number} {row} ".encode() * 100 for row in range(50)}


@contextmanager
def in_background(work: Callable[[], object]) -> Iterator[None]:
    """`work` runs meanwhile; what it raises is raised here."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield
        future.result(60)


@pytest.mark.parametrize("version", ALONE)
def test_killed_and_started_again_in_the_middle_of_the_work(start_redis: Starter, version: str, caplog: pytest.LogCaptureFixture) -> None:
    server = start_redis(save=True, version=version)
    store = open_store(server.url, patience=30)
    stop = threading.Event()

    def disturb() -> None:
        for _ in range(3):
            time.sleep(0.4)
            server.kill()
            time.sleep(0.4)
            server.start()
        stop.set()

    done = 0
    with in_background(disturb):
        while not stop.is_set():
            store.put_many(batch(done))
            assert store.get_many(list(batch(done))) == list(batch(done).values())
            done += 1
    assert done > 3
    for number in range(done):  # nothing that was told written is lost, Redis saving every write
        assert store.get_many(list(batch(number))) == list(batch(number).values())
    assert "waiting for Redis at redis://127.0.0.1" in caplog.text
    assert re.search(r"Redis at .* answers again after \d+ s", caplog.text)


CALLS: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get_many(["a"]),
    "put": lambda store: store.put_many({"a": b"1"}),
    "list": lambda store: list(store.entries()),
    "delete": lambda store: store.delete_many(["a"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_gone_for_good_is_one_sentence_in_the_given_time(start_redis: Starter, call: str) -> None:
    server = start_redis()
    store = open_store(server.url, patience=1.5)
    server.kill()
    begun = time.monotonic()
    with pytest.raises(Interrupted, match=r"waited 1\.5 seconds for Redis in vain \(.*refused\); .*: bring it back and start again"):
        CALLS[call](store)
    assert 1.4 < time.monotonic() - begun < 4


def test_never_there(tmp_path: object) -> None:
    with pytest.raises(Interrupted, match="in vain"):
        open_store(f"redis://127.0.0.1:{free_port()}/0", patience=0.5)
    with pytest.raises(Interrupted, match="in vain"):
        open_store(f"unix://{tmp_path}/nowhere.sock", patience=0.5)
    with pytest.raises(Interrupted, match="in vain"):
        open_store("redis://no-such-host.invalid/0", patience=0.5)


def test_a_server_that_accepts_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = RedisAddress(host="127.0.0.1", port=deaf.getsockname()[1])
        begun = time.monotonic()
        with pytest.raises(Interrupted, match=r"in vain \(Timeout reading from"):
            RedisStore(address, patience=1.0, timeout=0.3)
        assert time.monotonic() - begun < 5


def test_a_server_that_hangs_for_a_while_never_mixes_answers_up(start_redis: Starter) -> None:
    server = start_redis()
    store = RedisStore(RedisAddress(host="127.0.0.1", port=server.port), patience=30, timeout=0.2)
    for number in range(20):
        store.put_many(batch(number))
    assert server.process is not None
    stop = threading.Event()

    def stutter() -> None:
        for _ in range(4):
            server.process.send_signal(signal.SIGSTOP)  # pyright: ignore[reportOptionalMemberAccess]
            time.sleep(0.5)
            server.process.send_signal(signal.SIGCONT)  # pyright: ignore[reportOptionalMemberAccess]
            time.sleep(0.2)
        stop.set()

    def read(worker: int) -> None:
        number = worker
        while not stop.is_set():
            number = (number + 7) % 20
            assert store.get_many(list(batch(number))) == list(batch(number).values())

    with in_background(stutter), ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))


def test_connections_that_the_server_closes_are_made_anew(start_redis: Starter, caplog: pytest.LogCaptureFixture) -> None:
    server = start_redis()
    store = open_store(server.url, patience=10)
    for number in range(20):
        store.put_many(batch(number))
        with server.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert store.get_many(list(batch(number))) == list(batch(number).values())
    assert "waiting" not in caplog.text  # nothing worth a line


@pytest.mark.parametrize("version", ALONE)
def test_full_and_evicting_nothing(start_redis: Starter, version: str) -> None:
    server = start_redis("--maxmemory", "20mb", "--maxmemory-policy", "noeviction", version=version)
    store = open_store(server.url, patience=30)
    store.put_many(batch(0))
    begun = time.monotonic()
    sentence = r"Redis is full \(maxmemory\) and evicts nothing; raise maxmemory, set `maxmemory-policy allkeys-lru`"
    with pytest.raises(Interrupted, match=sentence):
        store.put_many({f"file/{number}": os.urandom(1_000_000) for number in range(40)})
    assert time.monotonic() - begun < 20
    assert store.get_many(list(batch(0))) == list(batch(0).values())  # what was written can be read
    told = store.memory()  # pyright: ignore[reportAttributeAccessIssue]
    assert (told["max"], told["policy"]) == (20 * 2**20, "noeviction")
    with server.client() as client:
        client.config_set("maxmemory", "5mb")
    with pytest.raises(Interrupted, match="Redis is full"):
        open_store(server.url)  # before anything is computed
    assert store.delete_many(entry.key for entry in store.entries("file/")) > 5
    store.put_many(batch(1))


@pytest.mark.parametrize("version", ALONE)
def test_full_and_evicting_gives_misses_and_never_wrong_values(start_redis: Starter, version: str) -> None:
    server = start_redis("--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru", version=version)
    store = open_store(server.url)
    expected: dict[str, bytes] = {}
    for number in range(60):
        items = {f"file/{number}/{row}": os.urandom(10_000) for row in range(100)}
        store.put_many(items)
        expected |= items
    values = store.get_many(list(expected))
    missing = values.count(None)
    assert 3_000 < missing < 6_000
    assert all(value is None or value == right for value, right in zip(values, expected.values(), strict=True))
    with server.client() as client:
        assert client.info("stats")["evicted_keys"] >= missing


def test_a_replica_takes_no_writes_until_it_is_the_primary(start_redis: Starter, caplog: pytest.LogCaptureFixture) -> None:
    primary = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(primary.port))
    with pytest.raises(
        Interrupted, match=r"in vain \(.*read only replica.*\); .*: give `store` the address of the primary and start again"
    ):
        open_store(replica.url, patience=0.5)

    def fail_over() -> None:
        time.sleep(1)
        with replica.client() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")

    with in_background(fail_over):
        store = open_store(replica.url, patience=20)
    store.put_many(batch(0))
    assert "waiting for Redis" in caplog.text


@pytest.mark.parametrize("version", ALONE)
def test_a_redis_that_cannot_save(start_redis: Starter, version: str) -> None:
    server = start_redis(version=version)
    store = open_store(server.url, patience=20)
    (server.folder / "dump.rdb").mkdir()  # a folder is in the dump's place: every save fails
    with server.client() as client:
        client.config_set("save", "1 1")
        client.set("changed", 1)
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            time.sleep(0.1)
    with pytest.raises(Interrupted, match=r"cannot save to its disk and takes no writes \(MISCONF\); give its disk space"):
        store.put_many(batch(0))
    assert store.get_many(["a"]) == [None]


@pytest.mark.parametrize("version", ALONE)
def test_a_redis_that_still_loads_its_data(start_redis: Starter, version: str) -> None:
    server = start_redis(save=True, version=version)
    store = open_store(server.url, patience=30)
    store.put_many(batch(39))
    with server.client() as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(3_000):
            pipeline.set(f"another program's {number}", b"x")
        pipeline.execute()
    server.kill()
    server.options += ["--key-load-delay", "500"]  # microseconds a command, for Redis's own tests
    server.start(wait=False)
    begun = time.monotonic()
    assert store.get_many(list(batch(39))) == list(batch(39).values())
    assert time.monotonic() - begun > 0.5


def test_a_redis_that_is_busy_with_a_script(start_redis: Starter) -> None:
    server = start_redis("--lua-time-limit", "10")
    store = open_store(server.url, patience=30)
    store.put_many(batch(0))

    def loop() -> None:
        with server.client(socket_timeout=60) as client, pytest.raises(Exception, match="killed"):
            client.eval("while true do end", 0)

    def end() -> None:
        time.sleep(1)
        with server.client() as client:
            client.execute_command("SCRIPT", "KILL")

    with in_background(loop), in_background(end):
        time.sleep(0.2)
        begun = time.monotonic()
        assert store.get_many(list(batch(0))) == list(batch(0).values())
        assert time.monotonic() - begun > 0.5


def test_too_many_clients(start_redis: Starter) -> None:
    server = start_redis("--maxclients", "2")
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
    time.sleep(0.2)

    def leave() -> None:
        time.sleep(0.7)
        for line in held:
            line.close()

    with in_background(leave):
        store = open_store(server.url, patience=20)
    store.put_many(batch(0))


def test_a_listing_does_not_go_on_in_another_run_of_the_server(start_redis: Starter) -> None:
    server = start_redis(save=True)
    store = open_store(server.url, patience=20)
    for number in range(100):
        store.put_many(batch(number))
    listing = store.entries()
    next(listing)
    with server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert sum(1 for _ in listing) == 4_999  # the same server: goes on
    listing = store.entries()
    next(listing)
    server.kill()
    server.start()
    with pytest.raises(Interrupted, match="Redis started anew while its entries were being listed; start again"):
        list(listing)


def test_a_cluster_that_loses_a_node_and_gets_it_back() -> None:
    servers: list[RedisServer] = cluster_of(servers_found()[ALONE[0]], 3, save=True)
    try:
        store = open_store(servers[0].url, patience=40)
        store.put_many(batch(0))
        hasty = open_store(servers[0].url, patience=1)
        servers[1].kill()
        with pytest.raises(Interrupted, match="in vain"):
            hasty.get_many(list(batch(0)))

        def come_back() -> None:
            time.sleep(1)
            servers[1].start()

        with in_background(come_back):
            assert store.get_many(list(batch(0))) == list(batch(0).values())
        store.put_many(batch(1))
    finally:
        for server in servers:
            server.stop()


def test_waiting_tells_every_half_minute_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(Interrupted):
        open_store(f"redis://127.0.0.1:{free_port()}/0", patience=2)
    assert caplog.text.count("waiting for Redis") == 1


def test_more_moved_slots_than_a_client_follows_are_waited_for() -> None:
    """redis-py says "TTL exhausted" after 16 redirections of one call; the next call knows where they went."""
    address = redis_address("redis://127.0.0.1/0")
    assert sentence(redis.exceptions.ClusterError("TTL exhausted."), address) is None
    assert sentence(redis.exceptions.ClusterDownError("CLUSTERDOWN"), address) is None
    assert isinstance(sentence(redis.exceptions.ResponseError("unknown command"), address), BadInput)
