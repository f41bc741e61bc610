"""Rule-based judges of known accuracy and position bias, as models of the test server.

What a judge sees and how it answers is the template's business, so both are given: `read` finds the sentence and the texts in a prompt,
`fits` says what is true, `answer` writes the verdict. The defaults serve a prompt with the marks below.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.llm.protocols import Question


@dataclass(frozen=True)
class Pair:
    """What a judge is shown."""

    sentence: str
    first: str
    second: str


Verdict = str  # "A", "B" or "neither"
Read = Callable[[Question], Pair]
Fits = Callable[[str, str], bool]
Write = Callable[[Verdict, Question], str]

_SENTENCE = re.compile(r"<sentence>\n?(.*?)\n?</sentence>", re.S)
_TEXT = re.compile(r"<text_([AB])>\n?(.*?)\n?</text_\1>", re.S)


def read_marks(question: Question) -> Pair:
    """<sentence>…</sentence>, <text_A>…</text_A>, <text_B>…</text_B> in the last message of the user."""
    prompt = next(text for role, text in reversed(question.messages) if role == "user")
    texts = dict(_TEXT.findall(prompt))
    sentence = _SENTENCE.search(prompt)
    assert sentence is not None, prompt
    return Pair(sentence[1], texts["A"], texts["B"])


def has_quoted_words(sentence: str, text: str) -> bool:
    """Whether `text` has the words that the sentence quotes: `mentions "a dog"`."""
    quoted = re.findall(r'"([^"]+)"', sentence)
    return bool(quoted) and all(words.lower() in text.lower() for words in quoted)


def write_verdict(verdict: Verdict, _: Question) -> str:
    """{"verdict": "A" | "B" | "neither", "confidence": 0 to 1}."""
    return json.dumps({"verdict": verdict, "confidence": 0.5 if verdict == "neither" else 0.9})


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` alone: the same question is judged the same way."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) / 2**64


def fenced_judge(
    accuracy: float,
    position_bias: float = 0.0,
    seed: int = 0,
    read: Read = read_marks,
    fits: Fits = has_quoted_words,
    answer: Write = write_verdict,
) -> Callable[[Question], str]:
    """A judge that sees the truth with probability `accuracy`, and otherwise one of the two other verdicts.

    `position_bias`: the probability with which it says A whatever it sees.
    """

    def judge(question: Question) -> str:
        pair = read(question)
        first, second = fits(pair.sentence, pair.first), fits(pair.sentence, pair.second)
        truth = "neither" if first == second else "A" if first else "B"
        if chance(seed, "bias", question.model, pair) < position_bias:
            return answer("A", question)
        if chance(seed, "accuracy", question.model, pair) < accuracy:
            return answer(truth, question)
        others = [verdict for verdict in ("A", "B", "neither") if verdict != truth]
        return answer(others[chance(seed, "error", question.model, pair) >= 0.5], question)

    return judge
