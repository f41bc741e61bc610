"""The store in a Redis, shared by workers on many machines (Redis 6 to 8, Valkey; alone or as a cluster).

How entries lie there is in `redis_wire`, what can go wrong in `redis_faults`.

Every command may be repeated, so every call may be: it waits for a Redis that is away.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice, pairwise
from typing import Any, TypeVar

from redis import RedisCluster
from redis import exceptions as redis_errors

from auto_interventions.errors import BadInput, Interrupted
from auto_interventions.locations import RedisAddress
from auto_interventions.stores.redis_clients import Client, Command, ask, check_files, cluster_client, server_client
from auto_interventions.stores.redis_faults import Waiting, sentence
from auto_interventions.stores.redis_wire import BUCKETS, HEAD_BYTES, Names, entry_of, tagged, unwrap, wrap
from auto_interventions.stores.store import Entry

PATIENCE = 120.0
_KEYS_A_TURN = 2_000
# In a turn the server works on one command while we take the other's reply apart, or make the next one. Measured: 125 to 1000 keys each.
_KEYS_READ = 1_000
_KEYS_WRITTEN = 250
_FIRST_TURN = 250  # keys to read while it is not known how large the values are
_BYTES_A_TURN = 8 * 2**20  # a server is deaf to everybody else while it answers: some milliseconds
_KEYS_A_SCAN = 1_000
_PROBE_SECONDS = 60

ReplyT = TypeVar("ReplyT")


class RedisStore:
    """A `Store` in the Redis at `address`. The password is read from the environment whenever a connection is made, and kept nowhere.

    Safe with threads; a forked or unpickled copy makes its own connections (and needs the password in its own environment).

    Raises:
        BadInput: the server refuses us (password, rights, database, certificate), or is no Redis.
        Interrupted: it did not answer in time, is full, or cannot save.
    """

    def __init__(self, address: RedisAddress, patience: float = PATIENCE, timeout: float = 30.0, check: bool = True) -> None:
        """Connects, and tries to write.

        Args:
            address: which Redis, and which part of it.
            patience: seconds that a call waits for a Redis that is away or busy.
            timeout: seconds for one answer; at most 5 of them for connecting.
            check: False connects with the first call only.
        """
        self._address = address
        self._patience = patience
        self._timeout = timeout
        self._names = Names(address.namespace)
        self._client: Client | None = None
        self._process = os.getpid()
        self._clustered = False
        self._losses = 0
        self._turn = _FIRST_TURN
        if check:
            check_files(address)
            self._patiently(self._probe)

    def __reduce__(self) -> tuple[type[RedisStore], tuple[RedisAddress, float, float, bool]]:
        """A worker gets the address, and no password."""
        return type(self), (self._address, self._patience, self._timeout, False)

    def __repr__(self) -> str:
        return f"RedisStore({self.location})"

    @property
    def location(self) -> str:
        """See `Store.location`."""
        return str(self._address)

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Store.get_many`. Bytes that are not ours are None."""
        wanted = self._ordered(dict.fromkeys(keys))
        values: list[bytes | None] = []
        while len(values) < len(wanted):
            part = self._patiently(partial(self._read, wanted[len(values) : len(values) + self._turn]))
            values += part
            if there := [len(value) for value in part[::8] if value is not None]:
                self._turn = max(1, min(_KEYS_A_TURN, _BYTES_A_TURN // max(1, sum(there) // len(there))))
        if wanted == keys:
            return values
        found = dict(zip(wanted, values, strict=True))
        return [found[key] for key in keys]

    def put_many(self, items: Mapping[str, bytes], written: int | None = None) -> None:
        """See `Store.put_many`. A kill of *Redis* loses what it had not saved yet: that is its own setting (`appendonly`)."""
        time_of_all = int(time.time()) if written is None else written
        for part in _parts(items):
            self._patiently(partial(self._write, part, time_of_all))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """See `Store.entries`. An entry may come twice while Redis makes its table larger or smaller."""
        if self._client is None:
            self._patiently(self._probe)  # finds out whether this is a cluster
        for node in self._patiently(self._nodes):
            yield from self._node_entries(node, self._names.pattern(prefix))

    def delete_many(self, keys: Iterable[str]) -> int:
        """See `Store.delete_many`."""
        remaining, deleted = iter(keys), 0
        while part := list(dict.fromkeys(islice(remaining, _KEYS_A_TURN))):
            deleted += self._patiently(partial(self._delete, part))
        return deleted

    def compact(self) -> None:
        """See `Store.compact`: Redis does it by itself."""

    def memory(self) -> dict[str, int | str]:
        """Bytes `used` and at most (`max`, 0: no limit) of the server or of all primaries, and its `policy` when full.

        Empty where the server will not tell.
        """
        told = [self._patiently(partial(self._info, node, "memory")) for node in self._patiently(self._nodes)]
        if not all("used_memory" in one for one in told):
            return {}
        return {
            "used": sum(int(one["used_memory"]) for one in told),
            "max": sum(int(one.get("maxmemory", 0)) for one in told),
            "policy": str(told[0].get("maxmemory_policy", "")),
        }

    def close(self) -> None:
        """See `Store.close`."""
        client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()

    # One attempt each; whatever fails is repeated by `_patiently`.

    def _probe(self) -> None:
        names = self._names.probes()
        if not self._clustered:
            list(self._ask([("MGET", *names)]))  # a cluster refuses keys of many slots
        list(self._ask([("SET", names[0], b"", "EX", _PROBE_SECONDS)]))  # and a server that takes no writes is told now

    def _read(self, keys: list[str]) -> list[bytes | None]:
        raw, tags = tagged(keys)
        commands = self._commands(tags, _KEYS_READ)
        if self._clustered:
            names = self._names.of(raw, tags)
            replies = self._ask([("MGET", *names[rows]) for rows in commands])
        else:
            replies = self._ask([self._names.mget(raw[rows], tags[rows]) for rows in commands])
        values: list[bytes | None] = []
        for rows, reply in zip(commands, replies, strict=True):
            values += unwrap(reply, tags[rows])
        return values

    def _write(self, items: Mapping[str, bytes], written: int) -> None:
        keys = self._ordered(items)
        values = [items[key] for key in keys]
        raw, tags = tagged(keys)
        commands, ttl = self._commands(tags, _KEYS_WRITTEN), self._address.ttl
        if self._clustered or ttl is not None:
            wrapped = [wrap(value, tag, written) for value, tag in zip(values, tags, strict=True)]
            pairs = list(zip(self._names.of(raw, tags), wrapped, strict=True))
            if ttl is not None:  # MSET knows no TTL (MSETEX does, from Redis 8.4 on)
                replies = self._ask([("SET", name, value, "EX", ttl) for name, value in pairs])
            else:
                replies = self._ask([("MSET", *chain.from_iterable(pairs[rows])) for rows in commands])
        else:
            replies = self._ask([self._names.mset(raw[rows], tags[rows], values[rows], written) for rows in commands])
        list(replies)

    def _delete(self, keys: list[str]) -> int:
        raw, tags = tagged(self._ordered(keys))
        names = self._names.of(raw, tags)
        return sum(self._ask([("UNLINK", *names[rows]) for rows in self._commands(tags, _KEYS_WRITTEN)]))

    def _nodes(self) -> list[Any]:
        """What has entries of its own: the primaries of a cluster, or None for a server that is none."""
        client = self._connected()
        return list(client.get_primaries()) if isinstance(client, RedisCluster) else [None]

    def _on(self, node: Any) -> Any:
        client = self._connected()
        return client.get_redis_connection(node) if isinstance(client, RedisCluster) else client

    def _info(self, node: Any, section: str) -> dict[str, Any]:
        try:
            return self._on(node).info(section)
        except redis_errors.NoPermissionError:
            return {}

    def _node_entries(self, node: Any, pattern: str) -> Iterator[Entry]:
        """SCAN's cursor means something to one run of a server only: where it restarted meanwhile, entries would be left out."""
        run, cursor, losses = self._run(node), 0, self._losses
        while True:
            cursor, batch = self._patiently(partial(self._scan, node, cursor, pattern))
            yield from batch
            if cursor == 0:
                break
        if run != self._run(node) or (run is None and losses != self._losses):
            raise Interrupted(f"{self.location}: Redis started anew while its entries were being listed; start again")

    def _run(self, node: Any) -> str | None:
        """What the server calls itself since it started; None where it will not tell."""
        return self._patiently(partial(self._info, node, "server")).get("run_id")

    def _scan(self, node: Any, cursor: int, pattern: str) -> tuple[int, list[Entry]]:
        client = self._on(node)
        cursor, names = client.scan(cursor, match=pattern, count=_KEYS_A_SCAN)
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.execute_command("GETRANGE", name, 0, HEAD_BYTES - 1)
        heads = pipeline.execute(raise_on_error=False)
        return int(cursor), [entry for name, head in zip(names, heads, strict=True) if (entry := entry_of(name, head)) is not None]

    def _ordered(self, keys: Iterable[str]) -> list[str]:
        """`keys`, those of one bucket side by side where commands may not cross buckets."""
        return sorted(keys, key=lambda key: zlib.crc32(key.encode()) % BUCKETS) if self._clustered else list(keys)

    def _commands(self, tags: list[int], size: int) -> list[slice]:
        """The rows of a command each: `size` of them, or those of one bucket."""
        if not self._clustered:
            return [slice(start, start + size) for start in range(0, len(tags), size)]
        buckets = [tag % BUCKETS for tag in tags]
        starts = [row for row, bucket in enumerate(buckets) if row == 0 or bucket != buckets[row - 1]]
        return [slice(start, end) for start, end in pairwise([*starts, len(tags)])]

    def _ask(self, commands: Sequence[Command | bytes]) -> Iterator[Any]:
        """The replies, in order."""
        return ask(self._connected(), commands)

    def _patiently(self, work: Callable[[], ReplyT]) -> ReplyT:
        """`work`, repeated until it goes through; every fault becomes one of our sentences."""
        waiting = Waiting(self.location, self._patience)
        while True:
            try:
                reply = work()
            except (redis_errors.RedisError, redis_errors.RedisClusterException, OSError) as error:
                if not self._clustered and isinstance(error, redis_errors.MovedError | redis_errors.ClusterCrossSlotError):
                    self._join_cluster()
                    continue
                fault = sentence(error, self._address)
                if fault is not None:
                    raise fault from error
                self._losses += 1
                if self._clustered:
                    self._client = None  # learns anew who is there
                waiting.pause(error)
            else:
                waiting.over()
                return reply

    def _join_cluster(self) -> None:
        if self._address.socket is not None or self._address.db != 0:
            raise BadInput(f"{self.location}: is a node of a cluster; write redis://host:port/0, without a socket and another database")
        self.close()
        self._clustered = True

    def _connected(self) -> Client:
        """This process's client. Two threads may make one each at the start; the later one stays."""
        client = self._client if self._process == os.getpid() else None
        if client is None:
            # A fork's copy of the parent's client is left alone: redis-py closes it without a word to the server.
            client = cluster_client(self._address, self._timeout) if self._clustered else server_client(self._address, self._timeout)
            self._client, self._process = client, os.getpid()
        return client


def _parts(items: Mapping[str, bytes]) -> Iterator[Mapping[str, bytes]]:
    """At most 1000 keys and 8 MiB each; a larger value goes alone."""
    if not items:
        return
    if len(items) <= _KEYS_A_TURN and sum(map(len, items.values())) <= _BYTES_A_TURN:
        yield items
        return
    part: dict[str, bytes] = {}
    size = 0
    for key, value in items.items():
        if part and (len(part) == _KEYS_A_TURN or size + len(value) > _BYTES_A_TURN):
            yield part
            part, size = {}, 0
        part[key] = value
        size += len(value)
    if part:
        yield part
