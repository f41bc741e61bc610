"""What the labeller is asked, in three templates, and what it may answer: propose sentences, split bundled ones, tell which say the same.

Texts, and sentences that were read off texts, stand between fences. What it does not know: which of X and Y is the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from auto_interventions.config import HypothesesConfig
from auto_interventions.labelling.sentences import LONGEST
from auto_interventions.llm.chat import ChatRequest, Message
from auto_interventions.llm.fences import RULE, fenced
from auto_interventions.records import Hypothesis

PROPOSE, SPLIT, SAME = "labelling/propose/v1", "labelling/split/v1", "labelling/same/v1"

Side = Literal["X", "Y"]
_MOST_PROMPT, _MOST_TEXT = 800, 2_000  # characters shown of each
_MOST_LIST = 100_000
_MOST_HINTS, _MOST_KNOWN = 12, 120
_THINKING = 1_024  # tokens: models that cannot be told not to think do it within what the reply may take
_SENTENCE_TOKENS = 120


class Difference(BaseModel):
    """One way in which X and Y differ."""

    sentence: str = Field(description=f"about one text, at most {LONGEST} characters")
    more_in: Side = Field(description="whose texts fit the sentence more often")
    theme: str = Field(default="", description="what the sentence is about, in one to three words")


class Differences(BaseModel):
    """Reply to `PROPOSE`."""

    differences: list[Difference]


class Parts(BaseModel):
    """What sentence `number` claims, one claim each."""

    number: int
    parts: list[str]


class Splits(BaseModel):
    """Reply to `SPLIT`."""

    sentences: list[Parts]


class Entailment(BaseModel):
    """What follows from what in pair `number`."""

    number: int
    second_follows: bool = Field(description="every text that fits the first sentence also fits the second")
    first_follows: bool = Field(description="every text that fits the second sentence also fits the first")


class Entailments(BaseModel):
    """Reply to `SAME`."""

    pairs: list[Entailment]


_PROPOSE = f"""You read what two writers, X and Y, answered to the same prompts, and name how their texts differ.
{RULE}
Name each difference by a sentence about ONE text that continues "The text …", such as "ends with an explicit moral" or "is told in the
first person".
- Whoever sees that one text, and no other, can say whether the sentence fits it. So it compares nothing ("more", "longer", "unlike"), tells
no habit ("tends to", "often"), and does not mention X, Y, writers, models or other texts.
- One claim only: no "and", no "or", no lists.
- At most 20 words. It must fit many texts of one writer and few of the other: neither the plot of a single text nor what any text does.
- more_in: the writer, X or Y, whose texts fit it more often.
- theme: what it is about, in one to three words.
Give the clearest difference first. Name only what several pairs show. Where you see no difference, give an empty list: the writers may be
the same."""

_SPLIT = f"""Each numbered sentence says something about a text ("The text …"). Some make several claims at once.
{RULE}
Give for each number its parts: sentences of one claim each, which can be checked on a text by themselves, continue "The text …", and
together say what the sentence says. A sentence that makes one claim, or falls apart when it is split ("mentions salt and pepper" where they
come as one thing), keeps its words as its only part. Add nothing."""

_SAME = f"""Each numbered pair holds two sentences about a text ("The text …"). Say of each pair what follows from what.
{RULE}
- second_follows: every text that fits the first sentence also fits the second.
- first_follows: every text that fits the second sentence also fits the first.
Both are true where the two mean the same in different words. "mentions a dog" and "mentions an animal": the second follows, the first does
not. Give one item for each pair."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair as the labeller sees it."""

    prompt: str
    x: str
    y: str
    x_first: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What is there already."""

    sentences: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()


def propose_request(
    pairs: Sequence[Shown], hints: Sequence[Hypothesis], x_is_base: bool, found: Found, config: HypothesesConfig, thinks: bool
) -> ChatRequest:
    """Asks for differences between X and Y.

    Args:
        pairs: what is shown, in this order.
        hints: sentences found by counting, told in terms of X and Y.
        x_is_base: who is who.
        found: sentences not to be proposed again; themes to look beyond.
        config: `instruction`, `sentences`.
        thinks: the model thinks as much as it likes, within the tokens of its reply.
    """
    asked = [_pair(number, pair) for number, pair in enumerate(pairs, 1)]
    if hints:
        lines = "\n".join(_hint(hint, x_is_base) for hint in hints[:_MOST_HINTS])
        asked.append(
            "What counting found here (these are tested already: say what lies behind them, or something else):\n"
            + fenced("counts", lines, _MOST_LIST)
        )
    if found.sentences:
        asked.append(
            "Sentences that exist already. Yours must be different from these, not the same in other words:\n"
            + fenced("known", _listed(found.sentences[-_MOST_KNOWN:]), _MOST_LIST)
        )
    if found.themes:
        asked.append(
            "Their themes. Look beyond these, for differences of another kind:\n" + fenced("themes", _listed(found.themes), _MOST_LIST)
        )
    if config.instruction:
        asked.append(f"What to look for: {config.instruction}")
    asked.append(f"Name up to {config.sentences} differences between X and Y, or none.")
    return _request(_PROPOSE, "\n\n".join(asked), Differences, config.sentences * _SENTENCE_TOKENS, thinks)


def split_request(sentences: Sequence[str], thinks: bool) -> ChatRequest:
    """Asks for the single claims of each of `sentences`, numbered from 1."""
    asked = fenced("sentences", _listed(sentences, numbered=True), _MOST_LIST)
    return _request(_SPLIT, asked, Splits, len(sentences) * _SENTENCE_TOKENS, thinks)


def same_request(pairs: Sequence[tuple[str, str]], thinks: bool) -> ChatRequest:
    """Asks for each of `pairs`, numbered from 1, whether one sentence follows from the other."""
    lines = "\n".join(f"{number}. first: {first}\n   second: {second}" for number, (first, second) in enumerate(pairs, 1))
    return _request(_SAME, fenced("pairs", lines, _MOST_LIST), Entailments, len(pairs) * 40, thinks)


def _request(system: str, user: str, schema: type[BaseModel], tokens: int, thinks: bool) -> ChatRequest:
    room = tokens + _THINKING * (8 if thinks else 1)
    return ChatRequest((Message("system", system), Message("user", user)), schema, max_tokens=room)


def _pair(number: int, pair: Shown) -> str:
    texts = [fenced("text_X", pair.x, _MOST_TEXT), fenced("text_Y", pair.y, _MOST_TEXT)]
    ordered = texts if pair.x_first else texts[::-1]
    return "\n".join([f"Pair {number}", fenced("prompt", pair.prompt, _MOST_PROMPT), *ordered])


def _hint(hint: Hypothesis, x_is_base: bool) -> str:
    base, intervention = hint.explore_rates
    more = "X" if (hint.more_in == "base") == x_is_base else "Y"
    rates = (base, intervention) if x_is_base else (intervention, base)
    told = f" (X {_percent(rates[0])}, Y {_percent(rates[1])})" if any(rates) else ""
    return f"- {more} more often: {hint.statement}{told}"


def _percent(rate: float) -> str:
    return f"{rate:.0%}" if rate >= 0.1 or rate == 0 else f"{rate:.1%}"


def _listed(lines: Sequence[str], numbered: bool = False) -> str:
    return "\n".join(f"{number}. {line}" if numbered else f"- {line}" for number, line in enumerate(lines, 1))
