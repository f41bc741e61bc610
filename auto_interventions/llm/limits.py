"""Requests and tokens a minute: a token bucket of each, here or in a Redis for all workers together.

The virtual-scheduling form of the bucket (GCRA, ITU-T I.371): one number a bucket, the time up to which its rate is spent. A call may
start once that time is at most a second ahead, and then moves it by what it costs, so a call larger than the bucket runs it into debt
instead of waiting forever. Within any span of T seconds at most rate × (T + 1) and one call more are let through. What a call did not
use of what was reserved for it is given back. Redis needs one script and one key a bucket (0013-llm.md says why no library).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from auto_interventions.config import ChatConfig
from auto_interventions.fingerprint import fingerprint
from auto_interventions.locations import RedisAddress, redis_address

_AHEAD = 1.0  # seconds of its rate that may go at once
_PATIENCE = 120.0
_TIMEOUT = 30.0
ReplyT = TypeVar("ReplyT")

# In microseconds of the server's own clock, so that machines need not agree on the time. Returns how long to wait.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local start, spent = now, {}
for i, key in ipairs(KEYS) do
    spent[i] = tonumber(redis.call('GET', key) or '0')
    start = math.max(start, spent[i] - tonumber(ARGV[1]))
end
for i, key in ipairs(KEYS) do
    local until_then = math.max(spent[i], start) + tonumber(ARGV[i + 1])
    redis.call('SET', key, string.format('%.0f', until_then), 'PX', math.ceil((until_then - now) / 1000) + 60000)
end
return start - now
"""
_GIVE_BACK = """
for i, key in ipairs(KEYS) do
    local spent = redis.call('GET', key)
    if spent then redis.call('SET', key, string.format('%.0f', tonumber(spent) - tonumber(ARGV[i])), 'PX', redis.call('PTTL', key)) end
end
"""


class Buckets(Protocol):
    """One or more buckets that a call takes from together. Amounts are in seconds of each bucket's rate."""

    def reserve(self, amounts: Sequence[float]) -> float:
        """Takes `amounts`; returns the seconds to wait before using them."""
        ...

    def give_back(self, amounts: Sequence[float]) -> None:
        """Returns what was not used (or takes more, where negative)."""
        ...


class LocalBuckets:
    """Buckets of this process; safe with threads."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._spent = [0.0] * count
        self._clock = clock
        self._lock = threading.Lock()

    def reserve(self, amounts: Sequence[float]) -> float:
        """See `Buckets.reserve`."""
        with self._lock:
            now = self._clock()
            start = max([now, *(spent - _AHEAD for spent in self._spent)])
            self._spent = [max(spent, start) + amount for spent, amount in zip(self._spent, amounts, strict=True)]
            return start - now

    def give_back(self, amounts: Sequence[float]) -> None:
        """See `Buckets.give_back`."""
        with self._lock:
            self._spent = [spent - amount for spent, amount in zip(self._spent, amounts, strict=True)]


class RedisBuckets:
    """Buckets that all workers share, in the Redis of the store.

    Raises:
        Interrupted: the Redis was away for two minutes.
        BadInput: it refuses us.
    """

    def __init__(self, address: RedisAddress, names: Sequence[str]) -> None:
        """`names` of the buckets; connects with the first call."""
        # One slot of a cluster for all of them: a script may touch no other.
        self._keys = [f"{{{address.namespace}:llm}}bucket/v1/{name}" for name in names]
        self._address = address
        self._client: Any = None
        self._clustered = False

    def reserve(self, amounts: Sequence[float]) -> float:
        """See `Buckets.reserve`."""
        return float(self._run(_RESERVE, [_AHEAD, *amounts])) / 1e6

    def give_back(self, amounts: Sequence[float]) -> None:
        """See `Buckets.give_back`."""
        self._run(_GIVE_BACK, amounts)

    def _run(self, script: str, seconds: Sequence[float]) -> Any:
        from redis import exceptions as redis_errors

        from auto_interventions.stores.redis_clients import cluster_client, server_client
        from auto_interventions.stores.redis_faults import Waiting, sentence

        waiting = Waiting(str(self._address), _PATIENCE)
        while True:
            try:
                if self._client is None:
                    self._client = (cluster_client if self._clustered else server_client)(self._address, _TIMEOUT)
                return self._client.eval(script, len(self._keys), *self._keys, *(f"{value * 1e6:.0f}" for value in seconds))
            except redis_errors.MovedError:
                self._client, self._clustered = None, True
            except (redis_errors.RedisError, redis_errors.RedisClusterException, OSError) as error:
                fault = sentence(error, self._address)
                if fault is not None:
                    raise fault from error
                self._client = None
                waiting.pause(error)


class Limits:
    """When a call may start. Without limits, at once."""

    def __init__(self, settings: ChatConfig, buckets: Callable[[Sequence[str]], Buckets]) -> None:
        """`buckets` makes the buckets of these names; `open_limits` knows which."""
        rates = {"requests": settings.requests_per_minute, "tokens": settings.tokens_per_minute}
        self._seconds = {name: 60.0 / rate for name, rate in rates.items() if rate is not None}
        self._buckets = buckets(list(self._seconds)) if self._seconds else None
        self._away = not isinstance(self._buckets, LocalBuckets)

    async def wait(self, tokens: int) -> None:
        """Returns when a call of about `tokens` tokens, input and output, may start."""
        if self._buckets is None:
            return
        pause = await self._called(self._buckets.reserve, self._amounts(1, tokens))
        if pause > 0:
            await asyncio.sleep(pause)

    async def settle(self, tokens: int, used: int) -> None:
        """A call for which `tokens` were reserved `used` so many."""
        if self._buckets is not None and "tokens" in self._seconds and used != tokens:
            await self._called(self._buckets.give_back, self._amounts(0, tokens - used))

    def _amounts(self, requests: int, tokens: int) -> list[float]:
        costs = {"requests": requests, "tokens": tokens}
        return [costs[name] * seconds for name, seconds in self._seconds.items()]

    async def _called(self, work: Callable[[Sequence[float]], ReplyT], amounts: Sequence[float]) -> ReplyT:
        """A Redis is asked in a thread: the event loop serves others meanwhile."""
        return await asyncio.to_thread(work, amounts) if self._away else work(amounts)


def open_limits(settings: ChatConfig, model: str, store: str | None = None) -> Limits:
    """The limits of the model with fingerprint `model`.

    Args:
        settings: how many a minute.
        model: whose calls count together.
        store: `store` of the audit file; where it is a Redis, all workers that use it share the limits.

    Raises:
        BadInput: a store location that cannot be.
    """
    address = redis_address(store) if store is not None else None
    if address is None:
        return Limits(settings, lambda names: LocalBuckets(len(names)))
    shared = address
    return Limits(settings, lambda names: RedisBuckets(shared, [f"{fingerprint('bucket', model)[:24]}/{name}" for name in names]))
