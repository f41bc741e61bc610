"""Language models as judges against the tests' real server, and the pairs that they judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auto_interventions.config import JudgeConfig
from auto_interventions.judging import LanguageJudge
from auto_interventions.llm import open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.budget import Budget
from auto_interventions.records import BoolArray, FloatMatrix, Generation, Hypothesis, Pair, Prompt
from auto_interventions.stores import Store, open_store
from tests.llm.conftest import _keys, serve, settings_for  # noqa: F401  # pyright: ignore[reportPrivateUsage]
from tests.llm.judges import chance
from tests.llm.server import ChatServer

DOG, FOG = "mentions “dog”", "mentions “fog”"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def judge_of(server: ChatServer, store: Store, model: str = "openai:m", budget: Budget | None = None, **given: Any) -> LanguageJudge:
    """A judge that asks `server`; `chat` goes to the settings, `seed` to the coins, the rest to the `JudgeConfig`."""
    provider = model.partition(":")[0]
    settings = settings_for(server, provider, **given.pop("chat", {}))
    asker = Asker(open_chat(model, settings), store, settings, budget=budget)
    return LanguageJudge(asker, JudgeConfig(**given), 0)


@dataclass(frozen=True)
class World:
    """n pairs of texts, in which left and right have a word with these chances."""

    left: list[str]
    right: list[str]
    keys: list[str]

    @property
    def all(self) -> BoolArray:
        return np.ones((1, len(self.keys)), dtype=np.bool_)

    def has(self, word: str) -> tuple[BoolArray, BoolArray]:
        return np.array([word in text for text in self.left]), np.array([word in text for text in self.right])


def world(count: int, left: float = 0.3, right: float = 0.6, word: str = "dog") -> World:
    def texts(side: str, rate: float) -> list[str]:
        have = [chance(side, number) < rate for number in range(count)]
        return [f"Tale {side} {number}: there was a {word if has else 'cat'}." for number, has in enumerate(have)]

    return World(texts("one", left), texts("two", right), [f"p{number}/0" for number in range(count)])


def pairs_of(given: World) -> list[Pair]:
    """The same as records: left is the base model's."""
    made: list[Pair] = []
    for number, (left, right) in enumerate(zip(given.left, given.right, strict=True)):
        prompt = Prompt(f"prompt {number}", pool="confirm")
        made.append(Pair(prompt, Generation("base", prompt, 0, left, 9, True), Generation("intervention", prompt, 0, right, 9, True), 0))
    return made


def sentence(statement: str = DOG, check: dict[str, object] | None = None) -> Hypothesis:
    return Hypothesis(statement, check, "intervention", "labeller" if check is None else "lexical", 0)


def fits(scores: FloatMatrix) -> BoolArray:
    assert not np.isnan(scores).any()
    return scores > 0.5
