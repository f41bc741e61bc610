"""The server of these tests: what its judges and its record are worth, and that it can be started by hand."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from auto_interventions.judging.questions import Form
from tests.llm.judges import fenced_judge
from tests.llm.protocols import Question


def pair(number: int, truth: str, rng: random.Random) -> Question:
    fits, not_fits = f"Once there was a dog {number}.", f"The tale of {rng.random()}."
    texts = {"A": (fits, not_fits), "B": (not_fits, fits), "both": (fits, f"A dog {rng.random()}"), "neither": ("Nothing of it.", not_fits)}
    request = Form("pairwise", 500).request('mentions "a dog"', [texts[truth]])
    return Question("gemini", "judge", tuple((message.role, message.text) for message in request.messages), None, 10, {})


@pytest.mark.parametrize("accuracy", [0.8, 0.97])
@pytest.mark.parametrize("bias", [0.0, 0.15])
def test_judges_are_as_good_as_they_say(accuracy: float, bias: float) -> None:
    judge, rng = fenced_judge(accuracy, bias), random.Random(0)
    for truth in ("A", "B", "both", "neither"):
        said = [json.loads(judge(pair(number, truth, rng)))["verdicts"][0]["fits"] for number in range(2000)]
        others = accuracy * (1 - bias) + (bias if truth == "A" else 0)
        assert said.count(truth) / 2000 == pytest.approx(others, abs=0.04)
    question = pair(1, "A", rng)
    assert judge(question) == judge(question)


def test_by_hand() -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.llm.server", "--latency", "0.01", "--judge", "cheap=0.8/0.1"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{int(process.stdout.readline())}"
        body = json.dumps(
            {"model": "cheap", "messages": [{"role": "user", "content": pair(1, "A", random.Random(0)).messages[-1][1]}]}
        ).encode()
        post = urllib.request.Request(f"{address}/v1/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(post) as reply:
            verdict = json.loads(json.loads(reply.read())["choices"][0]["message"]["content"])
        assert verdict["verdicts"][0]["fits"] in ("A", "B", "both", "neither")
        with urllib.request.urlopen(f"{address}/record") as reply:
            assert json.loads(reply.read())["charged"] == 1
    finally:
        process.kill()
        process.wait()
