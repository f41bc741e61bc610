"""Rule-based judges of known accuracy and position bias, as models of the test server.

They read the prompts of `judging.questions` (both forms, batches) as strictly as can be: a fence ends at its own mark and nowhere else.
What is true of a text is a rule's business, `fits`: the default looks for the words that a sentence quotes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.llm.fences import read_fences
from tests.llm.protocols import Question

Fits = Callable[[str, str], bool]
_QUOTED = re.compile(r"[“\"]([^“”\"]+)[”\"]")


@dataclass(frozen=True)
class Shown:
    """What a judge is shown. `items`: two texts each in a pairwise question, one each in a graded one."""

    sentence: str
    items: tuple[tuple[str, ...], ...]
    graded: bool
    outside: str
    """The last message of the user without what stands in fences."""


def read_question(question: Question) -> Shown:
    """The sentence and the numbered texts of a judge's question."""
    prompt = next(text for role, text in question.messages if role == "user")
    (name, sentence), *texts = read_fences(prompt)[0]
    assert name == "sentence", prompt
    if texts[0][0].startswith("text_"):
        assert [name for name, _ in texts] == [f"text_{number}" for number in range(1, len(texts) + 1)], prompt
        return Shown(sentence, tuple((text,) for _, text in texts), True, read_fences(prompt)[1])
    numbers = range(1, len(texts) // 2 + 1)
    assert [name for name, _ in texts] == [f"pair_{number}_{side}" for number in numbers for side in "AB"], prompt
    pairs = tuple((texts[2 * number - 2][1], texts[2 * number - 1][1]) for number in numbers)
    return Shown(sentence, pairs, False, read_fences(prompt)[1])


def has_quoted_words(sentence: str, text: str) -> bool:
    """Whether `text` has one of the words that the sentence quotes: `mentions "a dog"`, `opens with “Once”`, `ends with “the end”`."""
    text = " ".join(text.lower().split())
    quoted = [words.lower() for words in _QUOTED.findall(sentence)]
    if sentence.startswith("opens with"):
        return any(text.startswith(words) for words in quoted)
    if sentence.startswith("ends with"):
        return any(text.rstrip(".!?").endswith(words) for words in quoted)
    return any(words in text for words in quoted)


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` alone: the same question is judged the same way."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) / 2**64


def fenced_judge(
    accuracy: float, position_bias: float = 0.0, seed: int = 0, fits: Fits = has_quoted_words, doubt: float = 0.0
) -> Callable[[Question], str]:
    """A judge that sees the truth of each pair (A, B, both, neither) or text with probability `accuracy`.

    Args:
        accuracy: chance of the true verdict; where it fails, one of the other three is said, each as often.
        position_bias: the chance that it says A of a pair whatever it sees.
        seed: tells judges of the same kind apart.
        fits: what is true.
        doubt: share of its errors, and a tenth of that of its true verdicts, of which it is hardly sure.
    """

    def judge(question: Question) -> str:
        shown = read_question(question)
        key = (seed, question.model, shown.sentence)
        if shown.graded:
            scores = [{"text": n, "score": score(key, shown.sentence, text)} for n, (text,) in enumerate(shown.items, 1)]
            return json.dumps({"scores": scores})
        verdicts = [{"pair": n} | verdict(key, shown.sentence, *pair) for n, pair in enumerate(shown.items, 1)]
        return json.dumps({"verdicts": verdicts})

    def verdict(key: tuple[object, ...], sentence: str, first: str, second: str) -> dict[str, object]:
        true = {(True, False): "A", (False, True): "B", (True, True): "both", (False, False): "neither"}
        truth = true[fits(sentence, first), fits(sentence, second)]
        if chance("bias", key, first, second) < position_bias:
            return {"fits": "A", "sure": 90}
        right = chance("accuracy", key, first, second) < accuracy
        others = [other for other in true.values() if other != truth]
        said = truth if right else others[int(3 * chance("error", key, first, second))]
        return {"fits": said, "sure": 10 if hesitates(right, key, first, second) else 90}

    def score(key: tuple[object, ...], sentence: str, text: str) -> int:
        right = chance("accuracy", key, text) < accuracy
        high = fits(sentence, text) == right
        return 5 if hesitates(right, key, text) else 9 if high else 1

    def hesitates(right: bool, *seen: object) -> bool:
        return chance("doubt", *seen) < doubt * (0.1 if right else 1.0)

    return judge


def obeying_judge(honest: Callable[[Question], str]) -> Callable[[Question], str]:
    """A model that does whatever is written outside of fences, and judges like `honest` where nothing is but the template's own words."""

    def judge(question: Question) -> str:
        shown = read_question(question)
        rest = re.sub(r"The sentence:|(Pair|Text) \d+:|Give one entry for (each of the )?(pair|text)s? 1( to \d+)?\.", "", shown.outside)
        if not rest.strip():
            return honest(question)
        if shown.graded:
            return json.dumps({"scores": [{"text": n, "score": 10} for n in range(1, len(shown.items) + 1)]})
        return json.dumps({"verdicts": [{"pair": n, "fits": "A", "sure": 100} for n in range(1, len(shown.items) + 1)]})

    return judge
