"""SIGKILL of the command while language models judge: no answer is paid again but those in flight, and the end is the same."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.llm.server import ChatServer
from tests.stages.spoken import World, models, paid_twice, price_of, read

from .faulty import Command, findings
from .test_server import wait_for

AFTER = (12, 80)
"""Answers after which it is killed: while it tries the sentences, while it judges."""
LAG = 1.0
"""Seconds that an answer may lie about before the command has put it into the store, on a busy machine."""


def answered(server: ChatServer) -> int:
    return sum(call.charged for call in server.calls)


def test_a_kill_in_mid_judging_costs_what_is_in_flight(spoken: World, prefect_server: str, tmp_path: Path) -> None:
    with ChatServer(models(), latency=0.1) as server:
        command = Command(tmp_path, prefect_server, spoken.settings(tmp_path, server))
        lost: set[str] = set()
        for answers in AFTER:
            running = command.start()
            wait_for(lambda wanted=answers, run=running: answered(server) >= wanted or run.poll() is not None, 120)
            moment = time.monotonic()
            os.killpg(running.pid, signal.SIGKILL)
            assert running.wait() == -signal.SIGKILL, "it was over already"
            wait_for(lambda: server.in_flight == 0, 20)
            lost |= {call.digest for call in server.calls if not call.ended or call.ended > moment - LAG}
            assert answered(server) < 1.3 * answers + 16
        code, said = command.audit()
        assert code == 0, said
        again = paid_twice(server)
        assert again <= lost
        assert len(again) <= len(AFTER) * 8, "more than were in flight"
        assert {call.digest for call in server.calls} == spoken.questions
        paid = price_of(server)
    assert findings(command.out) == findings(spoken.run)
    ledger = read(command.out, "ledger")
    whole = ledger["all"]
    assert whole["calls"] == len(spoken.questions)
    assert whole["calls_cached"] >= AFTER[-1] - 8
    # The money of killed attempts counts, but for the block at work.
    assert 0.6 * paid < ledger["dollars_before"] + whole["dollars"] <= paid + 1e-5
