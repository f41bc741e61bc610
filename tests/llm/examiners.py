"""Models of the test server that, beside their own business, answer what is asked of them when findings are examined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.examining.labellers import answering, fences, groups_by_first_word, quotes_first_words, says_intended
from tests.llm.protocols import Question

Model = Callable[[Question], str]


def asked(question: Question) -> Question:
    """What was asked first, also where a repair follows."""
    until = next(place for place, (role, _) in enumerate(question.messages, 1) if role == "user")
    return replace(question, messages=question.messages[:until])


def with_reasons(judge: Model) -> Model:
    """A judge that gives reasons too."""
    give = answering(quotes_first_words)

    def model(question: Question) -> str:
        first = asked(question)
        return give(first) if any(name == "text" for name, _ in fences(first)) else judge(question)

    return model


def with_opinions(labeller: Model) -> Model:
    """A labeller that says of findings what was intended, and groups them."""
    intent, themes = answering(says_intended), answering(groups_by_first_word)

    def model(question: Question) -> str:
        first = asked(question)
        names = {name for name, _ in fences(first)}
        if not any(name.startswith("finding_") for name in names):
            return labeller(question)
        return intent(first) if "intent" in names else themes(first)

    return model
