"""What is Redis's own: keys, heads of values, time to live, passwords, TLS, clusters."""

from __future__ import annotations

import logging
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.errors import AutoInterventionsError, BadInput, Interrupted
from auto_interventions.locations import RedisAddress
from auto_interventions.stores import open_store
from auto_interventions.stores.redis import RedisStore
from auto_interventions.stores.redis_wire import BUCKETS
from auto_interventions.stores.vectors import pack_many, unpack_many
from tests.redis_server import RedisServer, Starter
from tests.stores.places import ALONE

PASSWORD = "p@ss:w0rd/with#odd%signs"


@pytest.fixture(params=ALONE)
def server(request: pytest.FixtureRequest, running_servers: Callable[[str], RedisServer]) -> RedisServer:
    running = running_servers(request.param)
    with running.client() as client:
        client.flushall()
    return running


def test_keys_are_readable_and_live_in_few_slots(server: RedisServer) -> None:
    store = open_store(f"{server.url}?namespace=mine")
    store.put_many({f"vector/v1/{row}": b"x" for row in range(2_000)})
    with server.client() as client:
        names = [name.decode() for name in client.scan_iter() if not name.endswith(b"probe")]
    assert len(names) == 2_000
    assert all(re.fullmatch(r"\{mine:\d\d\}vector/v1/\d+", name) for name in names)
    assert len({name.split("}")[0] for name in names}) == BUCKETS


def test_over_a_unix_socket_and_in_another_database(server: RedisServer) -> None:
    store = open_store(f"unix://{server.socket}?db=3")
    store.put_many({"a": b"1"})
    assert open_store(f"redis://127.0.0.1:{server.port}/3").get_many(["a"]) == [b"1"]
    assert open_store(server.url).get_many(["a"]) == [None]
    assert [entry.key for entry in pickle.loads(pickle.dumps(store)).entries()] == ["a"]


def test_other_programs_keys_and_bent_values_are_misses(server: RedisServer) -> None:
    store = open_store(server.url)
    keys = [f"vector/v1/{row}" for row in range(8)]
    store.put_many({key: b"value of " + key.encode() for key in keys})
    with server.client() as client:
        names = {name.split(b"}")[1].decode(): name for name in client.scan_iter()}
        client.set(names[keys[0]], b"another program's")
        client.set(names[keys[1]], b"")
        client.setrange(names[keys[2]], 0, b"XXXX")  # not our magic
        client.append(names[keys[3]], b"more")
        client.set(names[keys[4]], client.getrange(names[keys[4]], 0, 20))  # cut
        client.set(names[keys[5]], client.get(names[keys[6]]))  # whole, and another key's
        client.delete(names[keys[6]])
        client.rpush(names[keys[6]], b"a list")
    assert store.get_many(keys) == [None] * 7 + [b"value of vector/v1/7"]
    assert {entry.key for entry in store.entries()} <= {keys[3], keys[4], keys[7]}
    store.put_many(dict.fromkeys(keys, b"again"))  # and are made whole again
    assert store.get_many(keys) == [b"again"] * 8


def test_a_bent_vector_is_a_miss_and_no_wrong_vector(server: RedisServer) -> None:
    store = open_store(server.url)
    vectors = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
    keys = [f"vector/v1/{row}" for row in range(64)]
    store.put_many(dict(zip(keys, pack_many(vectors), strict=True)))
    with server.client() as client:
        for row, name in enumerate(sorted(name for name in client.scan_iter() if b"vector" in name)[:32]):
            client.setrange(name, 4 + row * 2, b"\xa5")  # somewhere in the heads, ours and the vector's, or in the floats
    found, hit = unpack_many(store.get_many(keys), 16)
    assert 32 <= hit.sum() <= 40  # the time of writing is in no checksum, and needs none
    np.testing.assert_array_equal(found[hit], vectors[hit])


def test_entries_go_by_themselves_after_their_time(server: RedisServer) -> None:
    store = open_store(f"{server.url}?ttl=30d&namespace=mortal")
    store.put_many({f"k/{row}": b"x" for row in range(2_500)}, written=1_500_000_000)
    with server.client() as client:
        left = [client.ttl(name) for name in client.keys("*mortal*k/*")]
    assert len(left) == 2_500
    assert all(30 * 86_400 - 60 < seconds <= 30 * 86_400 for seconds in left)
    short = open_store(f"{server.url}?ttl=1s&namespace=short")
    short.put_many({"a": b"1"})
    assert short.get_many(["a"]) == [b"1"]
    time.sleep(1.2)
    assert short.get_many(["a"]) == [None]
    assert list(short.entries()) == []


def test_what_the_memory_of_the_server_is(server: RedisServer) -> None:
    told = open_store(server.url).memory()  # pyright: ignore[reportAttributeAccessIssue]
    assert told["used"] > 100_000
    assert (told["max"], told["policy"]) == (0, "noeviction")


# Passwords.


@pytest.fixture
def guarded(start_redis: Starter, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    monkeypatch.delenv("REDIS_USERNAME", raising=False)
    monkeypatch.setenv("REDIS_PASSWORD", PASSWORD)
    return start_redis("--requirepass", PASSWORD)


def everything_said(error: BaseException) -> str:
    """The whole traceback, chained errors and all, as a person would see it at the worst."""
    return "".join(traceback.format_exception(error)) + repr(error)


def test_the_password_of_the_environment_opens_it(guarded: RedisServer) -> None:
    store = open_store(guarded.url)
    store.put_many({"a": b"1"})
    assert open_store(guarded.unix_url).get_many(["a"]) == [b"1"]
    script = f"from auto_interventions.stores import open_store; print(open_store({guarded.url!r}).get_many(['a']))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told == "[b'1']\n"


def test_nothing_shows_the_password(guarded: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = RedisStore(RedisAddress(port=guarded.port), patience=0.3, timeout=0.5)
    store.put_many({"a": b"1"})
    shown = [repr(store), str(store), store.location, repr(pickle.dumps(store)), repr(vars(store)), repr(store._client)]
    shown += [repr(connection) for connection in vars(store)["_client"].connection_pool.pool.queue]
    guarded.kill()
    with pytest.raises(Interrupted) as gone:
        store.get_many(["a"])
    shown += [everything_said(gone.value), caplog.text]
    assert "waiting for Redis" in caplog.text
    for text in shown:
        assert PASSWORD not in text
        assert "w0rd" not in text


@pytest.mark.parametrize(
    ("username", "password", "sentence"),
    [
        (None, None, r"Redis wants a password; set REDIS_PASSWORD .* in the environment of every process"),
        (None, "wr0ng-s3cret", "does not accept the password in REDIS_PASSWORD"),
        ("nobody", PASSWORD, "does not accept the password in REDIS_PASSWORD .or the user in REDIS_USERNAME"),
    ],
)
def test_a_wrong_password_is_one_sentence_at_once(
    guarded: RedisServer, monkeypatch: pytest.MonkeyPatch, username: str | None, password: str | None, sentence: str
) -> None:
    for name, value in (("REDIS_USERNAME", username), ("REDIS_PASSWORD", password)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    begun = time.monotonic()
    with pytest.raises(BadInput, match=sentence) as wrong:
        open_store(guarded.url)
    assert time.monotonic() - begun < 5
    for secret in ("wr0ng", "w0rd"):
        assert secret not in everything_said(wrong.value)


def test_a_password_that_is_not_wanted(start_redis: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", PASSWORD)
    with pytest.raises(BadInput, match="has no password; unset REDIS_PASSWORD") as wrong:
        open_store(start_redis().url)
    assert "w0rd" not in everything_said(wrong.value)


def test_a_user_needs_only_the_rights_that_the_sentence_names(start_redis: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start_redis()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", f">{PASSWORD}", "~{tests:*", "+mget")
    monkeypatch.setenv("REDIS_USERNAME", "worker")
    monkeypatch.setenv("REDIS_PASSWORD", PASSWORD)
    with pytest.raises(BadInput, match=r"may not .*ACL SETUSER … ~\{tests:\*") as wrong:
        open_store(f"{server.url}?namespace=tests")
    rights = str(wrong.value).split("ACL SETUSER … ")[1].split()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", *rights)
    store = open_store(f"{server.url}?namespace=tests")
    store.put_many({"a": b"1"})
    assert store.get_many(["a"]) == [b"1"]
    assert [entry.key for entry in store.entries()] == ["a"]
    assert store.delete_many(["a"]) == 1
    assert store.memory()["max"] == 0  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(BadInput, match="may not"):
        open_store(f"{server.url}?namespace=another")
    monkeypatch.delenv("REDIS_USERNAME")
    assert open_store(f"redis://worker@127.0.0.1:{server.port}/0?namespace=tests").get_many(["a"]) == [None]


# What is no place for a store (whatever needs no server to tell is in tests/test_locations.py).


def test_what_answers_is_no_redis(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            line.recv(1_000)
            line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            line.close()

    threading.Thread(target=answer, daemon=True).start()
    with pytest.raises(AutoInterventionsError, match="what answers there is no Redis; give the host and port of one"):
        open_store(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", patience=3)
    listener.close()


def test_a_database_that_is_not_there(redis_server: RedisServer) -> None:
    with pytest.raises(BadInput, match="has no database 99"):
        open_store(f"redis://127.0.0.1:{redis_server.port}/99")
