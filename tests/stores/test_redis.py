"""What is Redis's own: keys, heads of values, time to live, passwords, TLS, clusters."""

from __future__ import annotations

import logging
import os
import pickle
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import trustme
from redis import exceptions as redis_errors

from auto_interventions.errors import AutoInterventionsError, BadInput, Interrupted
from auto_interventions.locations import RedisAddress
from auto_interventions.stores import open_store
from auto_interventions.stores.redis import BUCKETS, RedisStore
from auto_interventions.stores.vectors import pack_many, unpack_many
from tests.redis_server import RedisServer, Starter, cluster_of, free_port, servers_found
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


# TLS.


class TLSProxy:
    """TLS on a port of its own, before a server that speaks none."""

    def __init__(self, server: RedisServer, context: ssl.SSLContext) -> None:
        self._server, self._context = server, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
                secure = self._context.wrap_socket(line, server_side=True)
            except ssl.SSLError:
                continue  # a client that does not trust us
            except OSError:
                return
            behind = socket.create_connection(("127.0.0.1", self._server.port))
            for source, target in ((secure, behind), (behind, secure)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            target.close()

    def close(self) -> None:
        self._listener.close()


@contextmanager
def encrypted(server: RedisServer, folder: Path, client_certificates: bool = False) -> Iterator[tuple[int, Path]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    if client_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    proxy = TLSProxy(server, context)
    try:
        yield proxy.port, folder / "ca.pem"
    finally:
        proxy.close()


def test_tls(redis_server: RedisServer, tmp_path: Path) -> None:
    with encrypted(redis_server, tmp_path) as (port, authority):
        store = open_store(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority}", patience=2)
        store.put_many({f"k/{row}": os.urandom(1_500) for row in range(3_000)})
        assert None not in store.get_many([f"k/{row}" for row in range(3_000)])
        assert sum(1 for _ in pickle.loads(pickle.dumps(store)).entries("k/")) == 3_000
        with pytest.raises(BadInput, match=r"certificate is not trusted .*; give its authority's file as \?ssl_ca_certs=FILE"):
            open_store(f"rediss://127.0.0.1:{port}/0", patience=20)
        with pytest.raises(BadInput, match=r"`ssl_ca_certs` names .*nowhere.pem, which is no file"):
            open_store(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs=/nowhere.pem")
        with pytest.raises(Interrupted, match=r"waited 0\.5 seconds for Redis in vain"):
            open_store(f"redis://127.0.0.1:{port}/0", patience=0.5)


def test_tls_with_certificates_of_both_sides(redis_server: RedisServer, tmp_path: Path) -> None:
    with encrypted(redis_server, tmp_path, client_certificates=True) as (port, authority):
        mine = tmp_path / "client.pem"
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority}"
        store = open_store(f"{url}&ssl_certfile={mine}&ssl_keyfile={mine}", patience=2)
        store.put_many({"a": b"1"})
        assert store.get_many(["a"]) == [b"1"]
        with pytest.raises(Interrupted, match="in vain"):
            open_store(url, patience=0.5)


@pytest.mark.parametrize("version", ALONE)
def test_tls_of_the_server_itself(version: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    port = free_port()
    files = ["--tls-cert-file", tmp_path / "cert.pem", "--tls-key-file", tmp_path / "key.pem", "--tls-ca-cert-file", tmp_path / "ca.pem"]
    server = RedisServer(servers_found()[version], "--tls-port", str(port), *map(str, files), "--tls-auth-clients", "no")
    try:
        try:
            server.start()
        except RuntimeError:
            pytest.skip(f"{version} of this machine was built without TLS")
        store = open_store(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}", patience=5)
        store.put_many({"a": b"1"})
        assert store.get_many(["a"]) == [b"1"]
    finally:
        server.stop()


# Clusters.


@pytest.mark.parametrize("version", ALONE)
def test_a_cluster_of_one_node_that_holds_all_slots(version: str) -> None:
    [server] = cluster_of(servers_found()[version], 1)
    try:
        with server.client() as client, pytest.raises(redis_errors.ResponseError, match="slot"):
            client.mget(["a", "b"])  # the server does insist
        store = open_store(server.url)
        items = {f"vector/v1/{row}": f"{row}".encode() for row in range(5_000)}
        store.put_many(items)
        assert store.get_many(list(items)) == list(items.values())
        assert store.delete_many(list(items)) == 5_000
        for location in (f"unix://{server.socket}?db=0", f"redis://127.0.0.1:{server.port}/0"):
            if location.startswith("unix"):
                with pytest.raises(BadInput, match="is a node of a cluster"):
                    open_store(location)
        with pytest.raises(BadInput, match="no database 1; write a smaller number behind the host, 0 for a cluster"):
            open_store(f"redis://127.0.0.1:{server.port}/1")
    finally:
        server.stop()


@pytest.mark.skipif(not ALONE, reason="no redis-server here")
def test_slots_that_move_between_the_nodes_of_a_cluster() -> None:
    servers = cluster_of(servers_found()[ALONE[0]], 3)
    try:
        store = open_store(servers[0].url, patience=20)
        items = {f"vector/v1/{row}": f"{row}".encode() for row in range(3_000)}
        store.put_many(items)
        counts = []
        for server in servers:
            with server.client() as client:
                counts.append(client.dbsize())
        assert min(counts) > 500  # spread over all of them
        move_slots(servers[0], servers[1])
        assert store.get_many(list(items)) == list(items.values())
        store.put_many(items)
        assert sorted(entry.key for entry in store.entries()) == sorted(items)
    finally:
        for server in servers:
            server.stop()


def move_slots(source: RedisServer, target: RedisServer) -> None:
    """Every slot of `source` that holds keys goes to `target`, as `redis-cli --cluster reshard` does it."""
    with source.client() as old, target.client() as new:
        ids = {one: one.execute_command("CLUSTER", "MYID") for one in (old, new)}
        for slot in range(16_384 // 3):
            names = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
            if not names:
                continue
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[old])
            old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[new])
            old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *names)
            for one in (old, new):
                one.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[new])


# Locations (whatever needs no server is in tests/test_locations.py).


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
