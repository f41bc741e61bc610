"""The server of these tests: what its judges and its record are worth, and that it can be started by hand."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.llm.judges import fenced_judge
from tests.llm.protocols import Question


def pair(number: int, truth: str, rng: random.Random) -> Question:
    texts = {"A": f"Once there was a dog {number}.", "B": f"The tale of {rng.random()}."}
    if truth == "B":
        texts = {"A": texts["B"], "B": texts["A"]}
    if truth == "neither":
        texts["A"] = "Nothing of it."
    prompt = f'<sentence>\nmentions "a dog"\n</sentence>\n<text_A>\n{texts["A"]}\n</text_A>\n<text_B>\n{texts["B"]}\n</text_B>'
    return Question("gemini", "judge", (("user", prompt),), None, 10, {})


@pytest.mark.parametrize("accuracy", [0.8, 0.97])
@pytest.mark.parametrize("bias", [0.0, 0.15])
def test_judges_are_as_good_as_they_say(accuracy: float, bias: float) -> None:
    judge, rng = fenced_judge(accuracy, bias), random.Random(0)
    for truth in ("A", "B", "neither"):
        said = [json.loads(judge(pair(number, truth, rng)))["verdict"] for number in range(3000)]
        others = accuracy * (1 - bias) + (bias if truth == "A" else 0)
        assert said.count(truth) / 3000 == pytest.approx(others, abs=0.03)
    question = pair(1, "A", rng)
    assert judge(question) == judge(question)


def test_by_hand() -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.llm.server", "--latency", "0.01", "--judge", "cheap=0.8/0.1"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{int(process.stdout.readline())}"
        body = json.dumps({"model": "cheap", "messages": [{"role": "user", "content": pair(1, "A", random.Random(0)).text}]}).encode()
        post = urllib.request.Request(f"{address}/v1/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(post) as reply:
            verdict = json.loads(json.loads(reply.read())["choices"][0]["message"]["content"])
        assert verdict["verdict"] in ("A", "B", "neither")
        with urllib.request.urlopen(f"{address}/record") as reply:
            assert json.loads(reply.read())["charged"] == 1
    finally:
        process.kill()
        process.wait()
