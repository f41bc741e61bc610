"""Every mistake about language models: exit 2, one sentence that names the field and the fix, nothing written, nobody asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from auto_interventions.llm.secrets import KEY_VARIABLES
from tests.cli.test_bad_input import rows, run, write
from tests.llm.server import ChatServer

SECRET = "sk-proj-must-not-be-told-0123456789"
CHEAP = {"cheap": "openai:gpt-5-mini"}


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


@pytest.fixture
def audit(tmp_path: Path) -> dict[str, Any]:
    """A good audit of recorded texts."""
    write(tmp_path / "texts.jsonl", rows())
    return {
        "name": "bad",
        "base": {"texts": "texts.jsonl"},
        "intervention": {"texts": "texts.jsonl"},
        "prompts": {"source": "recorded", "strata": "given"},
        "sampling": {"max_texts": 40, "initial": 12, "per_round": 8, "rounds": 2},
        "clustering": {"clusters": 2},
        "store": str(tmp_path / "store"),
    }


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "labeller without judge": ({"hypotheses": {"labeller": "openai:gpt-5"}}, ["labeller `openai:gpt-5`", "`judge.cheap`"]),
    "own sentence without judge": ({"hypotheses": {"own": ["ends with a moral"]}}, ["`own`", "`judge.cheap`"]),
    "strong without cheap": ({"judge": {"strong": "openai:gpt-5"}}, ["`strong`", "`judge.cheap`"]),
    "panel without cheap": ({"judge": {"panel": ["openai:gpt-5"]}}, ["`panel`", "`judge.cheap`"]),
    "intent without labeller": ({"judge": CHEAP, "intent": "It was meant to be kinder."}, ["`intent`", "`hypotheses.labeller`"]),
    "generative without labeller": (
        {"judge": CHEAP, "examine": {"generative_prompts": 5}},
        ["`examine.generative_prompts`", "`hypotheses.labeller`"],
    ),
    "nothing to test": ({"judge": CHEAP, "hypotheses": {"discover": False}}, ["`discover`", "`own`"]),
    "empty sentence": ({"judge": CHEAP, "hypotheses": {"own": ["  "]}}, ["`hypotheses.own`", "empty"]),
    "long sentence": ({"judge": CHEAP, "hypotheses": {"own": ["x" * 201]}}, ["`hypotheses.own`", "200"]),
    "unknown provider": ({"judge": {"cheap": "gemni:gemini-2.5-flash"}}, ["`judge.cheap`", "gemni", "did you mean `gemini", "gemini"]),
    "unknown provider of the labeller": (
        {"judge": CHEAP, "hypotheses": {"labeller": "antropic:claude-haiku-4-5"}},
        ["`hypotheses.labeller`", "did you mean `anthropic"],
    ),
    "unknown provider of a panel": ({"judge": {**CHEAP, "panel": ["opnai:gpt-5"]}}, ["`judge.panel.0`", "did you mean `openai"]),
    "no model": ({"judge": {"cheap": "openai:"}}, ["`judge.cheap`", "openai:"]),
    "a model without its provider": ({"judge": {"cheap": "gpt-5-mini"}}, ["`judge.cheap`", "gpt-5-mini", "names no model", "gemini:"]),
    "no key": ({"judge": {"cheap": "gemini:gemini-2.5-flash"}}, ["`judge.cheap`", "GEMINI_API_KEY", "key_block"]),
    "unknown price": ({"judge": {"cheap": "openai:label"}}, ["`judge.cheap`", "openai:label: the price table", "price"]),
    "no such local model": ({"judge": {"cheap": "local:./no-model-here"}}, ["judge.cheap", "no-model-here"]),
    "misspelled field": ({"judge": {**CHEAP, "chat": {"concurency": 3}}}, ["`judge.chat.concurency`", "did you mean `concurrency`"]),
    "key in the address": (
        {"judge": {**CHEAP, "chat": {"base_url": f"https://host/v1?key={SECRET}"}}},
        ["`judge.chat.base_url`", "environment"],
    ),
    "borderline upside down": ({"judge": {**CHEAP, "borderline": [0.6, 0.4]}}, ["`judge.borderline`", "[0.4, 0.6]"]),
    "slice of nothing": ({"judge": {**CHEAP, "slice": 0}}, ["`judge.slice`", "greater than 0"]),
    "negative money": ({"judge": CHEAP, "budget": {"dollars": -1}}, ["`budget.dollars`", "0"]),
}


@pytest.mark.parametrize("command", ["audit", "estimate"])
@pytest.mark.parametrize("mistake", BAD)
def test_bad_audit(
    mistake: str,
    command: str,
    audit: dict[str, Any],
    server: ChatServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if command == "estimate" and mistake == "no key":
        pytest.skip("an estimate needs no key")
    for name in (variable for variables in KEY_VARIABLES.values() for variable in variables):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url("openai"))
    parts, words = BAD[mistake]
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump({**audit, **parts}))
    out = tmp_path / "run"
    where = ["--out", str(out)] if command == "audit" else []
    code, errors = run(command, str(tmp_path / "audit.yaml"), *where, capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2, errors
    (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    for word in words:
        assert word in sentence
    assert "Traceback" not in errors
    assert SECRET not in errors
    assert not out.exists(), "nothing may be half-written"
    assert not server.calls


def test_all_of_it_is_good_otherwise(
    audit: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the mistakes are made in can be used."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump({**audit, "judge": CHEAP, "hypotheses": {"own": ["ends with a moral"]}}))
    code, errors = run("estimate", str(tmp_path / "audit.yaml"), "--no-measure", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0, errors
