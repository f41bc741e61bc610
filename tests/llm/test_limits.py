"""Requests and tokens a minute: the bucket's promise, on a clock of our own, in a real Redis, and against a server."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_interventions.config import ChatConfig
from auto_interventions.errors import Interrupted
from auto_interventions.llm import open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.limits import Limits, LocalBuckets, RedisBuckets, open_limits
from auto_interventions.locations import redis_address
from auto_interventions.stores import open_store
from tests.llm.conftest import Serve, settings_for
from tests.llm.test_asking import asking, number_of, values
from tests.redis_server import RedisServer, Starter, cluster_of, servers_found


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 3)), min_size=1, max_size=60))
@settings(deadline=None)
def test_no_span_of_time_lets_through_more(calls: list[tuple[float, float]]) -> None:
    """In any span of T seconds the calls that start in it, but for the last, take at most T + 1 seconds of the rate."""
    clock = Clock()
    buckets = LocalBuckets(1, clock)
    starts: list[tuple[float, float]] = []
    for gap, amount in calls:
        clock.now += gap
        wait = buckets.reserve([amount])
        assert wait >= 0
        starts.append((clock.now + wait, amount))
    starts.sort()
    for first in range(len(starts)):
        taken = 0.0
        for start, amount in starts[first:]:
            assert taken <= start - starts[first][0] + 1 + 1e-6
            taken += amount


def test_a_call_larger_than_the_bucket_goes_and_the_next_one_waits() -> None:
    clock = Clock()
    buckets = LocalBuckets(1, clock)
    assert buckets.reserve([30]) == 0
    assert buckets.reserve([1]) == pytest.approx(29)
    buckets.give_back([30])
    assert buckets.reserve([1]) == pytest.approx(0)


def test_the_slower_of_two_buckets_decides() -> None:
    buckets = LocalBuckets(2, Clock())
    assert buckets.reserve([2, 10]) == 0
    assert buckets.reserve([2, 0]) == pytest.approx(9)


def test_without_limits_nothing_waits() -> None:
    import asyncio

    started = time.monotonic()
    asyncio.run(open_limits(ChatConfig(), "m").wait(10**9))
    assert time.monotonic() - started < 1


def test_requests_a_minute_against_a_server(serve: Serve, tmp_path: Path) -> None:
    server = serve(models={"m": number_of})
    config = settings_for(server, "openai", requests_per_minute=600, concurrency=32)
    asker = Asker(open_chat("openai:m", config), open_store(str(tmp_path)), config)
    assert values(asker.ask_many([asking(number) for number in range(40)], "t")) == list(range(40))
    starts = sorted(call.started for call in server.calls)
    assert 2.7 <= starts[-1] - starts[0] <= 4.5, "10 a second, and the first second's at once"


def test_tokens_a_minute_count_what_was_used(serve: Serve, tmp_path: Path) -> None:
    """Each call reserves 1000 tokens of its reply and uses a dozen: what is given back lets the others through."""
    server = serve(models={"m": number_of})
    config = settings_for(server, "openai", tokens_per_minute=30_000, concurrency=1)
    asker = Asker(open_chat("openai:m", config), open_store(str(tmp_path)), config)
    started = time.monotonic()
    asker.ask_many([asking(number, max_tokens=1000) for number in range(20)], "t")
    assert time.monotonic() - started < 8, "reserved without return it would take 40 s"


def shared(server: RedisServer, names: Sequence[str] = ("requests",)) -> RedisBuckets:
    address = redis_address(server.url)
    assert address is not None
    return RedisBuckets(address, names)


def test_redis_shares_the_bucket(redis_server: RedisServer) -> None:
    one, other = shared(redis_server), shared(redis_server)
    assert one.reserve([5.0]) == 0
    assert other.reserve([1.0]) == pytest.approx(4, abs=0.2)
    one.give_back([5.0])
    assert other.reserve([1.0]) == pytest.approx(0, abs=0.2)
    with redis_server.client() as client:
        (key,) = client.keys("*")
        assert 0 < client.pttl(key) < 120_000, "goes by itself"


def test_redis_and_local_agree(redis_server: RedisServer) -> None:
    remote, clock = shared(redis_server, ("requests", "tokens")), Clock()
    local = LocalBuckets(2, clock)
    began = time.monotonic()
    for amounts in ([0.5, 3.0], [0.5, 0.1], [4.0, 0.1], [0.1, 0.1], [0.1, 6.0]):
        clock.now = 1000.0 + time.monotonic() - began
        assert remote.reserve(amounts) == pytest.approx(local.reserve(amounts), abs=0.2)


def test_a_cluster_holds_both_buckets_in_one_slot() -> None:
    if not servers_found():
        pytest.skip("needs a redis-server")
    nodes = cluster_of(next(iter(servers_found().values())), 3)
    try:
        for node in nodes:
            buckets = shared(node, ("requests", "tokens"))
            buckets.reserve([2.0, 2.0])
            buckets.give_back([0.0, 0.5])
        assert shared(nodes[0], ("requests", "tokens")).reserve([0.0, 0.0]) == pytest.approx(5, abs=0.5)
    finally:
        for node in nodes:
            node.stop()


def test_a_redis_that_comes_back_is_waited_for(start_redis: Starter) -> None:
    server = start_redis()
    buckets = shared(server)
    buckets.reserve([0.1])
    server.kill()
    threading.Timer(1.0, server.start).start()
    assert buckets.reserve([0.1]) >= 0


def test_a_redis_that_stays_away_interrupts(start_redis: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auto_interventions.llm.limits._PATIENCE", 1.0)
    server = start_redis()
    buckets = shared(server)
    server.kill()
    with pytest.raises(Interrupted):
        buckets.reserve([0.1])


WORKER = """
import asyncio, sys, time
from auto_interventions.config import ChatConfig
from auto_interventions.llm.limits import open_limits
async def main():
    limits = open_limits(ChatConfig(requests_per_minute=1200), "m", sys.argv[1])
    await limits.wait(1)  # imports and connections
    for _ in range(30):
        await limits.wait(1)
        print(time.time(), flush=True)
asyncio.run(main())
"""


def test_three_processes_keep_one_limit(redis_server: RedisServer) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, redis_server.url], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    starts = sorted(float(line) for worker in workers for line in worker.communicate()[0].split())
    assert len(starts) == 90
    rate = 20  # a second
    for first in range(0, 90, 5):
        for last in range(first + 1, 90):
            seconds = starts[last] - starts[first]
            assert last - first <= rate * (seconds + 1) + 2 + rate * 0.1, "0.1 s for the processes' own delays"


def test_other_models_have_other_buckets(redis_server: RedisServer) -> None:
    config = ChatConfig(requests_per_minute=60)
    for model in ("a", "b"):
        limits: Limits = open_limits(config, model, redis_server.url)
        assert limits._buckets is not None
        assert limits._buckets.reserve([3.0]) == 0
