"""What judging costs: dollars by sentence, beforehand, up to the budget's end, and what a kill makes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.errors import BudgetSpent
from auto_interventions.llm.budget import Budget
from auto_interventions.stores import Store
from tests.judging.conftest import DOG, FOG, World, fits, judge_of, world
from tests.llm.conftest import SECRET, Serve
from tests.llm.judges import fenced_judge
from tests.llm.protocols import Answer, Question

TRUE = fenced_judge(1.0)


@pytest.mark.parametrize("mode", ["pairwise", "graded"])
def test_dollars_by_sentence_and_beforehand(mode: str, serve: Serve, store: Store) -> None:
    def model(question: Question) -> Answer:
        said, schema = TRUE(question), json.dumps(question.schema)
        return Answer(said, input_tokens=(len(question.text) + len(schema)) // 4, output_tokens=len(said) // 2)  # JSON is dear in tokens

    given = world(100)
    long = World([text + " And so on." * 40 for text in given.left], [text + " The end." * 40 for text in given.right], given.keys)
    judge = judge_of(serve(models={"m": model}), store, mode=mode)
    expected = judge.cost_per_pair(long.left, long.right)
    cells = np.ones((2, 100), dtype=np.bool_)
    cells[1, 25:] = False
    judge.score([DOG, FOG], long.left, long.right, long.keys, cells)
    costs = judge.record.statements
    spent = costs[DOG].dollars + costs[FOG].dollars
    assert spent == pytest.approx(judge._asker.counts.dollars)  # pyright: ignore[reportPrivateUsage]
    assert costs[FOG].dollars == pytest.approx(spent / 5, rel=0.05)
    assert expected == pytest.approx(spent / 125, rel=0.2)
    assert judge.cost_per_pair([], []) == 0


def test_the_budget_ends_it_and_what_was_paid_is_told(serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": TRUE}), world(400)
    budget = Budget(0.05)
    judge = judge_of(server, store, budget=budget)
    with pytest.raises(BudgetSpent):
        judge.score([DOG], given.left, given.right, given.keys, given.all)
    assert judge.record.statements[DOG].dollars == pytest.approx(budget.spent)
    paid = server.summary()["charged"]
    assert judge.record.statements[DOG].calls == paid > 10
    assert (judge.record.asked, judge.record.neither) == (0, 0), "verdicts of pairs that are told to nobody"
    budget.limit = None
    left, right = judge.score([DOG], given.left, given.right, given.keys, given.all)
    np.testing.assert_array_equal([fits(left[0]), fits(right[0])], given.has("dog"))
    assert (server.summary()["charged"], server.summary()["paid_twice"]) == (80, 0)
    record = judge.record
    assert record.asked == record.first + record.second + record.both + record.neither == 400
    assert (record.statements[DOG].calls, record.statements[DOG].cached) == (80, paid)


CHILD = """
import sys
from pathlib import Path
from auto_interventions.stores import open_store
from tests.judging.conftest import DOG, FOG, judge_of, world
import numpy as np
class There:
    def url(self, provider): return sys.argv[1]
given = world(400)
judge = judge_of(There(), open_store(sys.argv[2]), chat={"concurrency": 8})
judge.score([DOG, FOG], given.left, given.right, given.keys, np.ones((2, 400), dtype=bool))
"""


def test_a_kill_loses_only_what_is_in_flight(serve: Serve, store: Store, tmp_path: Path) -> None:
    server = serve(models={"m": fenced_judge(0.8)}, latency=0.05)
    arguments = [sys.executable, "-c", CHILD, server.url("openai"), str(tmp_path / "store")]
    for calls in (30, 90):
        child = subprocess.Popen(arguments, cwd=Path(__file__).resolve().parents[2], env={**os.environ, "OPENAI_API_KEY": SECRET})
        deadline = time.monotonic() + 120
        while len(server.calls) < calls and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, "it was at work"
    time.sleep(0.2)
    given = world(400)
    judge = judge_of(server, store, chat={"concurrency": 8})
    scores = judge.score([DOG, FOG], given.left, given.right, given.keys, np.ones((2, 400), dtype=np.bool_))
    assert not np.isnan(scores).any()
    paid = Counter(call.digest for call in server.calls if call.charged)
    assert len(paid) == 160
    assert sum(paid.values()) - 160 <= 2 * 8, "asked again: no more than were in flight at the two kills"
    assert sum(cost.cached for cost in judge.record.statements.values()) >= 90 - 16
