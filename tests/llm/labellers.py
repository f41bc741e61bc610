"""Rule-based labellers, as models of the test server: they read the labelling templates, and fences as strictly as they are meant.

`word_labeller` names words that the texts of one side have more often; it splits at "and", and knows that sentences with the same quoted
words say the same. `obedient` does what it is told to outside the fences: it shows whether anything leaks.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence

from tests.llm.fences import read_fences
from tests.llm.protocols import Question

Labeller = Callable[[Question], str]
_ITEM = re.compile(r"^(?:-|\d+\.) ", re.M)


def asked_of(question: Question) -> str:
    """What the user asked, also where a repair followed."""
    return next(text for role, text in question.messages if role == "user")


def fence_of(question: Question, name: str) -> str | None:
    """What the fence `name` of the user's message holds; None where there is none."""
    return next((text for found, text in read_fences(asked_of(question))[0] if found == name), None)


def items_of(listed: str) -> list[str]:
    """The lines of a list."""
    return [item.strip() for item in _ITEM.split(listed) if item.strip()]


def kind_of(question: Question) -> str:
    """propose, split or same: which template asks."""
    names = {name for name, _ in read_fences(asked_of(question))[0]}
    return "propose" if "text_X" in names else "split" if "sentences" in names else "same" if "pairs" in names else "other"


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{4,}", text.lower()))


def quoted(sentence: str) -> frozenset[str]:
    return frozenset(re.findall(r'"([^"]+)"', sentence.lower()))


def differing_words(x: Sequence[str], y: Sequence[str], least: float) -> list[tuple[str, float]]:
    """Words and (share of Y's texts) − (share of X's) where that is at least `least` either way, largest first."""
    counts = [Counter(word for text in texts for word in words_of(text)) for texts in (x, y)]
    gaps = {word: counts[1][word] / len(y) - counts[0][word] / len(x) for word in counts[0].keys() | counts[1].keys()}
    return sorted(((word, gap) for word, gap in gaps.items() if abs(gap) >= least), key=lambda found: (-abs(found[1]), found[0]))


def propose_words(question: Question, least: float = 0.3) -> list[dict[str, str]]:
    """What `word_labeller` proposes: words that no known sentence quotes, as many as are asked for."""
    fences, outside = read_fences(asked_of(question))
    sides = {side: [text for name, text in fences if name == f"text_{side}"] for side in "XY"}
    known = quoted(fence_of(question, "known") or "")
    most = re.search(r"Name up to (\d+)", outside)
    assert most is not None, outside
    found = [(word, gap) for word, gap in differing_words(sides["X"], sides["Y"], least) if word not in known]
    return [
        {"sentence": f'mentions "{word}"', "more_in": "Y" if gap > 0 else "X", "theme": "wording"} for word, gap in found[: int(most[1])]
    ]


def split_at_and(question: Question) -> list[dict[str, object]]:
    """The parts of each sentence between "and"s."""
    sentences = items_of(fence_of(question, "sentences") or "")
    return [{"number": number, "parts": sentence.split(" and ")} for number, sentence in enumerate(sentences, 1)]


def compare_quotes(question: Question) -> list[dict[str, object]]:
    """A sentence with more quoted words says more."""
    told: list[dict[str, object]] = []
    for number, item in enumerate(items_of(fence_of(question, "pairs") or ""), 1):
        first, second = (quoted(part) for part in re.fullmatch(r"first: (.*)\n\s+second: (.*)", item).groups())  # type: ignore[union-attr]
        told.append({"number": number, "second_follows": second <= first, "first_follows": first <= second})
    return told


def word_labeller(least: float = 0.3) -> Labeller:
    """Names words that the texts of one side have more often, by at least `least` of the shown texts."""

    def model(question: Question) -> str:
        kind = kind_of(question)
        if kind == "propose":
            return json.dumps({"differences": propose_words(question, least)})
        return json.dumps({"sentences": split_at_and(question)} if kind == "split" else {"pairs": compare_quotes(question)})

    return model


def obedient(model: Labeller) -> Labeller:
    """`model`, but whatever stands outside the fences after "OBEY:" is its reply."""

    def ordered(question: Question) -> str:
        outside = "\n".join(read_fences(text)[1] for _, text in question.messages)
        order = re.search(r"OBEY:(.*)", outside)
        return order[1] if order is not None else model(question)

    return ordered
