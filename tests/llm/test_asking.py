"""Many questions: order, store, retries, money, and what ends a run."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from auto_interventions.errors import BudgetSpent, ChatError, Interrupted
from auto_interventions.llm import ChatRequest, Failure, Message, Reply, open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.budget import Budget
from auto_interventions.stores import Store, open_store
from tests.llm.conftest import PRICE, SECRET, Serve, settings_for
from tests.llm.protocols import Answer, Question
from tests.llm.server import ChatServer, Fault


class Number(BaseModel):
    number: int


def number_of(question: Question) -> str:
    """The model: repeats the number that it is asked."""
    asked = next(text for role, text in question.messages if role == "user")
    return f'{{"number": {asked.split()[-1]}}}'


def asking(number: int, **given: Any) -> ChatRequest:
    return ChatRequest((Message("user", f"Which number is {number}"),), Number, **{"max_tokens": 64, **given})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def asker(server: ChatServer, store: Store, provider: str = "openai", **given: Any) -> Asker:
    budget = given.pop("budget", None)
    settings = settings_for(server, provider, **given)
    return Asker(open_chat(f"{provider}:m", settings), store, settings, budget=budget)


def values(outcomes: Any) -> list[int]:
    return [outcome.value.number for outcome in outcomes]


def test_in_order_once_and_from_the_store(serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of}, latency=0.01)
    first = asker(server, store)
    wanted = [number % 40 for number in range(120)]
    replies = first.ask_many([asking(number) for number in wanted], "t/v1")
    assert values(replies) == wanted
    assert server.summary()["calls"] == server.summary()["questions"] == 40
    assert (first.counts.calls, first.counts.cached, first.counts.attempts) == (40, 0, 40)
    assert first.counts.dollars == pytest.approx(sum(reply.dollars for reply in replies))
    record = server.summary()
    assert first.counts.dollars == pytest.approx((record["input_tokens"] * 1 + record["output_tokens"] * 10) / 1e6)
    again = asker(server, store)
    second = again.ask_many([asking(number) for number in wanted], "t/v1")
    assert values(second) == wanted
    assert server.summary()["calls"] == 40
    assert all(isinstance(reply, Reply) and reply.cached and reply.dollars == 0 and reply.usage.input_tokens > 0 for reply in second)
    assert (again.counts.calls, again.counts.cached, again.counts.dollars) == (0, 40, 0)
    assert again.counts.dollars_saved == pytest.approx(first.counts.dollars)


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"max_tokens": 65}, {"seed": 1}, {"template": "t/v2"}, {"model": "n"}])
def test_what_changes_a_reply_is_in_its_key(change: dict[str, Any], serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of, "n": number_of})
    asker(server, store).ask_many([asking(1)], "t/v1")
    template, model = change.pop("template", "t/v1"), change.pop("model", "m")
    settings = settings_for(server, "openai")
    other = Asker(open_chat(f"openai:{model}", settings), store, settings)
    assert values(other.ask_many([asking(1, **change)], template)) == [1]
    assert len(server.calls) == 2


def test_damaged_and_outgrown_entries_are_asked_again(serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of})
    asker(server, store).ask_many([asking(1), asking(2)], "t/v1")
    keys = [entry.key for entry in store.entries("reply/")]
    assert len(keys) == 2
    value = store.get_many(keys[:1])[0]
    assert value is not None
    store.put_many({keys[0]: value[:-3] + b"xyz"})
    assert sorted(values(asker(server, store).ask_many([asking(1), asking(2)], "t/v1"))) == [1, 2]
    assert len(server.calls) == 3


@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_passing_faults_are_repeated(provider: str, serve: Serve, store: Store) -> None:
    faults = [Fault("busy", retry_after=0.2), Fault("error", 503), Fault("cut"), Fault("cut_body"), Fault("garbage")]
    server = serve(models={"m": number_of}, script=faults)
    mine = asker(server, store, provider, concurrency=1, retries=5)
    (reply,) = mine.ask_many([asking(5)], "t/v1")
    assert isinstance(reply, Reply), reply
    assert (reply.attempts, mine.counts.attempts, mine.counts.failures) == (6, 6, {})
    assert mine.counts.dollars_unsure > 0, "three connections broke after the question had gone out"
    assert server.summary()["charged"] == 1


def test_retries_end(serve: Serve, store: Store) -> None:
    server = serve(script=[Fault("error", 500)] * 9)
    mine = asker(server, store, retries=2)
    (failure,) = mine.ask_many([asking(1)], "t/v1")
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.attempts, len(server.calls)) == ("unavailable", 3, 3)
    assert mine.counts.failures == {"unavailable": 1}
    assert not list(store.entries("reply/")), "failures are never kept"


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed(as_date: bool, serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of}, script=[Fault("busy", retry_after=2.0, as_date=as_date)])
    assert values(asker(server, store).ask_many([asking(1)], "t/v1")) == [1]
    waited = server.calls[1].started - server.calls[0].started
    assert waited >= (1.0 if as_date else 2.0), "a date has whole seconds"


def test_a_quota_that_is_gone_for_the_day_is_not_waited_for(serve: Serve, store: Store) -> None:
    server = serve(script=[Fault("busy", retry_after=3600)])
    started = time.monotonic()
    (failure,) = asker(server, store).ask_many([asking(1)], "t/v1")
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.attempts) == ("unavailable", 1)
    assert time.monotonic() - started < 5


def test_a_malformed_reply_is_shown_its_error_once(serve: Serve, store: Store) -> None:
    seen: list[Question] = []

    def model(question: Question) -> Answer:
        seen.append(question)
        return Answer(number_of(question), input_tokens=100, output_tokens=10)

    server = serve(models={"m": model}, script=[Fault("wrong_schema")])
    mine = asker(server, store)
    (reply,) = mine.ask_many([asking(3)], "t/v1")
    assert isinstance(reply, Reply)
    assert values([reply]) == [3]
    assert (reply.attempts, mine.counts.repairs, mine.counts.calls) == (2, 1, 1)
    assert reply.usage.input_tokens > 100, "both calls are counted"
    assert [role for role, _ in seen[1].messages] == ["user", "assistant", "user"]
    assert "unexpected" in seen[1].messages[1][1]
    assert "number: Field required" in seen[1].messages[2][1]
    assert asker(server, store).ask_many([asking(3)], "t/v1")[0].usage == reply.usage
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "calls"),
    [("malformed", "malformed", 2), ("empty", "malformed", 2), ("long", "cut", 1), ("blocked", "blocked", 1), ("refused", "blocked", 1)],
)
@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_what_stays_unusable_is_counted_and_priced(provider: str, fault: str, kind: str, calls: int, serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of}, rates={fault: 1.0})
    mine = asker(server, store, provider)
    (failure,) = mine.ask_many([asking(3)], "t/v1")
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.attempts, len(server.calls)) == (kind, calls, calls)
    assert failure.dollars == mine.counts.dollars > 0
    assert not list(store.entries("reply/"))


def test_no_more_than_the_bound_are_in_flight(serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of}, latency=0.05)
    mine = asker(server, store, concurrency=8)
    halves = [[asking(number) for number in range(start, start + 40)] for start in (0, 40)]
    threads = [threading.Thread(target=mine.ask_many, args=(half, "t/v1")) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.most_in_flight == 8
    assert server.summary()["charged"] == 80


def test_from_an_event_loop_of_the_callers(serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of})
    mine = asker(server, store)

    async def main() -> list[int]:
        parts = await asyncio.gather(*(mine.ask_all([asking(number)], "t/v1") for number in range(9)))
        return [number for part in parts for number in values(part)]

    assert asyncio.run(main()) == list(range(9))
    assert asyncio.run(main()) == list(range(9)), "another loop, the same connections"


# -- money --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_the_cap_holds_with_64_in_flight(provider: str, serve: Serve, store: Store) -> None:
    def dear(question: Question) -> Answer:
        return Answer(number_of(question), output_tokens=question.max_tokens)  # as dear as a call can be

    server = serve(models={"m": dear}, latency=0.05)
    cap = 0.05
    budget = Budget(cap)
    mine = asker(server, store, provider, concurrency=64, budget=budget)
    with pytest.raises(BudgetSpent, match=r"budget\.dollars") as caught:
        mine.ask_many([asking(number) for number in range(400)], "t/v1")
    assert caught.value.exit_code == 3
    record = server.summary()
    paid = (record["input_tokens"] * PRICE.input + record["output_tokens"] * PRICE.output) / 1e6
    assert paid == pytest.approx(budget.spent) == pytest.approx(mine.counts.dollars)
    assert 0.95 * cap < paid <= cap
    kept = len(list(store.entries("reply/")))
    assert kept == record["charged"] == mine.counts.replies
    more = asker(server, store, provider, concurrency=64)
    assert values(more.ask_many([asking(number) for number in range(400)], "t/v1")) == list(range(400))
    assert (server.summary()["charged"], server.summary()["paid_twice"]) == (400, 0)
    assert more.counts.cached == kept


def test_what_may_have_cost_counts_against_the_cap(serve: Serve, store: Store) -> None:
    server = serve(rates={"cut": 1.0})
    budget = Budget(0.01)
    mine = asker(server, store, retries=1, concurrency=1, budget=budget)
    with pytest.raises(BudgetSpent):
        mine.ask_many([asking(number) for number in range(50)], "t/v1")
    assert budget.spent == 0
    assert 0.005 < budget.unsure <= 0.01


def test_nothing_is_asked_without_money(serve: Serve, store: Store) -> None:
    server = serve()
    with pytest.raises(BudgetSpent):
        asker(server, store, budget=Budget(0.0)).ask_many([asking(1)], "t/v1")
    assert not server.calls


# -- what ends a run ----------------------------------------------------------------------------------------------------------------


def test_a_refused_key_ends_all_at_once(serve: Serve, store: Store) -> None:
    server = serve(key="another", latency=0.01)
    with pytest.raises(ChatError, match="refuses the key"):
        asker(server, store, concurrency=4).ask_many([asking(number) for number in range(500)], "t/v1")
    assert len(server.calls) <= 8


def test_a_service_that_stays_away_interrupts(serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of}, script=[None] * 5 + [Fault("error", 503)] * 5000)
    mine = asker(server, store, concurrency=4, retries=1)
    with pytest.raises(Interrupted, match="went unanswered") as caught:
        mine.ask_many([asking(number) for number in range(300)], "t/v1")
    assert caught.value.exit_code == 3
    assert len(list(store.entries("reply/"))) == 5
    assert len(server.calls) < 40


def test_a_stop_does_not_wait_for_pauses(serve: Serve, store: Store) -> None:
    server = serve(script=[Fault("busy", retry_after=120), Fault("refuse", 404, message="gone")])
    started = time.monotonic()
    with pytest.raises(ChatError, match="no such model"):
        asker(server, store, concurrency=2).ask_many([asking(1), asking(2)], "t/v1")
    assert time.monotonic() - started < 20


CHILD = """
import sys
from auto_interventions.stores import open_store
from auto_interventions.llm.asking import Asker
from auto_interventions.llm import open_chat
from auto_interventions.config import ChatConfig, PriceConfig
from tests.llm.test_asking import asking
settings = ChatConfig(base_url=sys.argv[1], concurrency=8, price=PriceConfig(input=1, output=10))
asker = Asker(open_chat("openai:m", settings), open_store(sys.argv[2]), settings)
asker.ask_many([asking(number) for number in range(300)], "t/v1")
"""


def test_a_kill_loses_only_what_is_in_flight(serve: Serve, store: Store, tmp_path: Path) -> None:
    server = serve(models={"m": number_of}, latency=0.05)
    arguments = [sys.executable, "-c", CHILD, server.url("openai"), str(tmp_path / "store")]
    for calls in (60, 150):
        child = subprocess.Popen(arguments, cwd=Path(__file__).resolve().parents[2], env={**os.environ, "OPENAI_API_KEY": SECRET})
        deadline = time.monotonic() + 60
        while len(server.calls) < calls and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
    time.sleep(0.2)
    mine = asker(server, store, concurrency=8)
    assert values(mine.ask_many([asking(number) for number in range(300)], "t/v1")) == list(range(300))
    paid = Counter(call.digest for call in server.calls if call.charged)
    assert len(paid) == 300
    assert sum(paid.values()) - 300 <= 2 * 8, "asked again: no more than were in flight at the two kills"
    assert mine.counts.cached >= 140 - 16


def test_faults_by_chance_are_all_answered_and_none_is_paid_twice(serve: Serve, store: Store) -> None:
    server = serve(models={"m": number_of}, latency=0.02, rates={"busy": 0.1, "cut": 0.05, "wrong_schema": 0.02}, retry_after=0.1)
    mine = asker(server, store, concurrency=32, retries=8)
    outcomes = mine.ask_many([asking(number) for number in range(500)], "t/v1")
    record = server.summary()
    assert sum(isinstance(outcome, Reply) for outcome in outcomes) + sum(mine.counts.failures.values()) == 500
    assert record["calls"] == mine.counts.attempts
    assert record["paid_twice"] == 0
    assert record["faults"]["busy"] > 20
    assert record["input_tokens"] == mine.counts.input_tokens
    assert mine.counts.dollars == pytest.approx((record["input_tokens"] + 10 * record["output_tokens"]) / 1e6)


def open_sockets() -> int:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("counts file descriptors in /proc")
    names = []
    for file in folder.iterdir():
        try:
            names.append(str(file.readlink()))
        except OSError:  # the one that listed the folder
            continue
    return sum(name.startswith("socket:") for name in names)


@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_models_come_and_go(provider: str, serve: Serve, store: Store) -> None:
    """Connections of models that nobody holds any more are closed in their own event loop, and disturb nobody's."""
    server = serve(models={"m": number_of}, latency=0.02)
    before = open_sockets()
    for turn in range(8):
        mine = asker(server, store, provider, concurrency=48, timeout_seconds=6, retries=0)
        outcomes = mine.ask_many([asking(number) for number in range(turn * 48, turn * 48 + 48)], "t/v1")
        assert values(outcomes) == list(range(turn * 48, turn * 48 + 48))
        del mine
    for _ in range(50):
        gc.collect()
        if open_sockets() <= before + 4:
            return
        time.sleep(0.1)
    raise AssertionError(f"{open_sockets() - before} sockets stay open")
