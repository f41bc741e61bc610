"""Small worlds for labellers: explored pairs of random words, in which words can be planted; a cheap encoder; askers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from auto_interventions.config import HypothesesConfig
from auto_interventions.labelling import Labeller, Site
from auto_interventions.llm import open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.budget import Budget
from auto_interventions.records import FloatMatrix, Generation, Hypothesis, Pair, Prompt
from auto_interventions.stores import Store
from tests.llm.conftest import Serve, settings_for
from tests.llm.fences import read_fences
from tests.llm.labellers import kind_of, word_labeller
from tests.llm.protocols import Question
from tests.llm.server import ChatServer

_FILLER = [
    first + second for first in ("bren", "cald", "dorn", "felm", "garn", "holt", "jast", "kels") for second in ("ow", "ika", "ume", "est")
]


def pair_of(prompt: str, base: str, intervention: str, sample: int = 0) -> Pair:
    asked = Prompt(prompt)
    return Pair(
        asked, Generation("base", asked, sample, base, 1, True), Generation("intervention", asked, sample, intervention, 1, True), 0
    )


def pairs_with(
    base: Sequence[str] = (), intervention: Sequence[str] = (), count: int = 12, share: float = 0.9, seed: int = 0
) -> tuple[Pair, ...]:
    """Pairs of random words; the texts of each side hold each of that side's words with probability `share`."""
    rng = np.random.default_rng(seed)

    def text(planted: Sequence[str]) -> str:
        words = rng.choice(_FILLER, 4).tolist() + [word for word in planted if rng.random() < share]
        return " ".join(rng.permutation(words).tolist())

    return tuple(pair_of(f"tell me of case {number}", text(base), text(intervention)) for number in range(count))


def site(name: str = "everywhere", hints: tuple[Hypothesis, ...] = (), **given: Any) -> Site:
    return Site(name, pairs_with(**given), hints)


def encode(sentences: Sequence[str]) -> FloatMatrix:
    """Unit vectors by the words (their beginnings) that a sentence has."""
    vectors = np.zeros((len(sentences), 256), dtype=np.float32)
    for row, sentence in enumerate(sentences):
        for word in re.findall(r"\w+", sentence.lower()):
            vectors[row, hashlib.sha256(word[:5].encode()).digest()[0]] += 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def asker(server: ChatServer, store: Store, provider: str = "openai", budget: Budget | None = None, **given: Any) -> Asker:
    settings = settings_for(server, provider, **given)
    return Asker(open_chat(f"{provider}:m", settings), store, settings, budget=budget)


def labeller(server: ChatServer, store: Store, seed: int = 0, asked: Asker | None = None, **given: Any) -> Labeller:
    return Labeller(asked or asker(server, store), HypothesesConfig(labeller="openai:m", **given), encode, seed)


def told(hypotheses: Sequence[Hypothesis]) -> dict[str, str]:
    """Directions by statement."""
    return {hypothesis.statement: hypothesis.more_in for hypothesis in hypotheses}


Seen = list[Question]


def watched(serve: Serve, model: Callable[[Question], str] | None = None) -> tuple[ChatServer, Seen]:
    """A server whose model is `model`, and the questions that it gets."""
    seen: Seen = []
    rule = model or word_labeller(0.6)

    def watching(question: Question) -> str:
        seen.append(question)
        return rule(question)

    return serve(models={"m": watching}), seen


def says(*sentences: str, more_in: str = "X") -> Callable[[Question], str]:
    """Proposes the same whatever it sees; splits at "and", compares by quotes."""
    others = word_labeller()

    def model(question: Question) -> str:
        if kind_of(question) != "propose":
            return others(question)
        return json.dumps({"differences": [{"sentence": sentence, "more_in": more_in, "theme": "any"} for sentence in sentences]})

    return model


def texts_shown(question: Question, name: str) -> list[str]:
    return [text for found, text in read_fences(question.messages[-1][1])[0] if found == name]
