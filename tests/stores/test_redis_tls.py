"""A Redis behind TLS: through a proxy for every server, and the server's own where it was built with it."""

from __future__ import annotations

import os
import pickle
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from auto_interventions.errors import BadInput, Interrupted
from auto_interventions.flows.server import free_port
from auto_interventions.stores import open_store
from tests.redis_server import RedisServer, servers_found
from tests.stores.places import ALONE


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
