"""redis-py's clients for an address: pools, time limits, TLS, and where the password comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from auto_interventions.errors import BadInput
from auto_interventions.locations import PASSWORD_VARIABLE, USERNAME_VARIABLE, RedisAddress

Client = redis.Redis | redis.RedisCluster
Command = tuple[bytes | str | int, ...]

_CONNECTIONS = 64
_CONNECTING_SECONDS = 5.0
_AHEAD = 2


class _FromEnvironment(redis.CredentialProvider):
    """Reads user and password when a connection is made: what is not kept cannot be shown."""

    def __init__(self, username: str | None) -> None:
        self._username = username

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """What AUTH is given."""
        username, password = self._username or os.environ.get(USERNAME_VARIABLE), os.environ.get(PASSWORD_VARIABLE, "")
        return (username, password) if username else (password,)


def _common(address: RedisAddress, timeout: float) -> dict[str, Any]:
    wanted = address.username or os.environ.get(USERNAME_VARIABLE) or os.environ.get(PASSWORD_VARIABLE)
    return {
        "credential_provider": _FromEnvironment(address.username) if wanted else None,
        "socket_timeout": timeout,
        "protocol": 2,  # all that is needed, and spoken by every version
    }


def _tls(address: RedisAddress) -> dict[str, Any]:
    if not address.tls:
        return {}
    return {"ssl_ca_certs": address.ssl_ca_certs, "ssl_certfile": address.ssl_certfile, "ssl_keyfile": address.ssl_keyfile}


def server_client(address: RedisAddress, timeout: float) -> redis.Redis:
    """A client of one server, with a pool of connections; `timeout` seconds for an answer. Connects when it is used."""
    given = _common(address, timeout) | {"db": address.db, "retry": Retry(NoBackoff(), 0)}  # we wait ourselves, and say so
    kind: Any = redis.SSLConnection if address.tls else redis.Connection
    if address.socket is not None:
        kind = redis.UnixDomainSocketConnection
        given |= {"path": address.socket}
    else:
        connecting = min(_CONNECTING_SECONDS, timeout)
        given |= {"host": address.host, "port": address.port, "socket_connect_timeout": connecting, "socket_keepalive": True}
    pool = redis.BlockingConnectionPool(
        max_connections=_CONNECTIONS, timeout=max(1, round(timeout)), connection_class=kind, **given, **_tls(address)
    )
    return redis.Redis(connection_pool=pool)


def cluster_client(address: RedisAddress, timeout: float) -> redis.RedisCluster:
    """A client of the cluster that the server at `address` is a node of; asks it at once who the others are."""
    return redis.RedisCluster(
        host=address.host,
        port=address.port,
        ssl=address.tls,
        socket_connect_timeout=min(_CONNECTING_SECONDS, timeout),
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 3),  # for slots that move; the waiting is ours here too
        **_common(address, timeout),
        **_tls(address),
    )


def check_files(address: RedisAddress) -> None:
    """Raises:
    BadInput: a file for TLS that is not there.
    """
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        file = getattr(address, name)
        if file is not None and not Path(file).is_file():
            raise BadInput(f"{address}: `{name}` names {file}, which is no file; give the path of one")


def ask(client: Client, commands: Sequence[Command | bytes]) -> Iterator[Any]:
    """The replies to `commands` (or, for a server alone, to what stands for them on the wire), in order; an error reply is raised.

    A server alone works on one command while the reply to the one before is taken apart here. In a cluster all commands of a node go
    in one pipeline, and slots that have moved are found.
    """
    return _ask_cluster(client, commands) if isinstance(client, redis.RedisCluster) else _ask_server(client, commands)


def _ask_server(client: redis.Redis, commands: Sequence[Command | bytes]) -> Iterator[Any]:
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        for number, command in enumerate(commands):
            if isinstance(command, bytes):
                connection.send_packed_command([command])
            else:
                connection.send_command(*command)
            if number >= _AHEAD - 1:
                yield connection.read_response()
        for _ in commands[-(_AHEAD - 1) :]:
            yield connection.read_response()
    except BaseException:
        connection.disconnect()  # replies may be under way: the next user must not take them for its own
        raise
    finally:
        pool.release(connection)


def _ask_cluster(client: redis.RedisCluster, commands: Sequence[Command | bytes]) -> Iterator[Any]:
    pipeline = client.pipeline()
    for command in commands:
        if not isinstance(command, bytes):
            pipeline.execute_command(*command)
    for reply in pipeline.execute(raise_on_error=False):
        if isinstance(reply, Exception):
            raise reply
        yield reply
