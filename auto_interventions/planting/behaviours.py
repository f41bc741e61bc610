"""Behaviours to plant: a rule that rewrites a base model's own text, and a check that sees whether a text shows it.

The filler stays the base's: only what the rule adds or changes differs, so that what an audit should find is known exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from random import Random
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from auto_interventions.config import Part
from auto_interventions.errors import ConfigError
from auto_interventions.fingerprint import seed_of
from auto_interventions.hypotheses.predicates import Predicate, parse_predicate
from auto_interventions.records import Prompt

# A sentence ends at . ! or ? (and its closing quote) where a capital or an opening quote follows, so that
# `"Look!" he said.` stays one sentence.
_BETWEEN = re.compile(r"(?<=[.!?])([\"”]?)\s+(?=[\"“]?[A-Z])")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_ORDER = ("replace", "insert", "append", "lines")


class Rule(Part):
    """How a text is rewritten."""

    kind: Literal["append", "insert", "lines", "replace"]
    """append: a sentence at the end; insert: a sentence between two others; lines: each sentence on its own line, words unchanged;
    replace: words for words."""
    sentences: tuple[str, ...] = ()
    """append, insert: the sentences to draw from; `[a|b]` draws one of a and b."""
    words: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    """replace: what each whole word (letter case counts) becomes."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.kind in ("append", "insert") and not self.sentences:
            raise ValueError(f"of kind `{self.kind}` needs `sentences`: list at least one")
        if self.kind == "replace" and not self.words:
            raise ValueError("of kind `replace` needs `words`: map at least one word to another")
        return self


class Behaviour(Part):
    """One known behaviour."""

    id: str = Field(min_length=1)
    """Its short name."""
    kind: Literal["broad", "narrow", "rare", "format"]
    """broad: on all prompts; narrow: on some strata only; rare: on at most a tenth of one stratum's texts; format: layout only."""
    description: str = Field(min_length=1)
    """What it does, for people."""
    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the training texts of its strata that are rewritten."""
    strata: tuple[str, ...] = ()
    """Where it applies; empty: everywhere."""
    rule: Rule
    """How a text is rewritten to show it."""
    check: dict[str, Any]
    """The predicate that holds for a text that shows it (docs/predicates.md)."""

    @model_validator(mode="after")
    def _check_is_a_predicate(self) -> Self:
        try:
            _ = self.predicate
        except ConfigError as error:
            raise ValueError(f"has a wrong `check`: {error}") from error
        return self

    @cached_property
    def predicate(self) -> Predicate:
        """The check, parsed."""
        return parse_predicate(self.check)

    def applies_to(self, prompt: Prompt) -> bool:
        """Whether the behaviour belongs to the prompt's stratum."""
        return not self.strata or prompt.stratum in self.strata


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, without the space between them."""
    marked = _BETWEEN.sub(r"\1\0", text.strip())
    return marked.split("\0") if marked else []


def rewritten(text: str, prompt: Prompt, sample: int, behaviours: Sequence[Behaviour], seed: int) -> str:
    """`text` as a model with `behaviours` might have written it.

    Each behaviour that applies to the prompt's stratum tosses its own coin, seeded by (seed, behaviour, prompt, sample). A text that
    shows a behaviour by itself is not given it twice. Words change before layout, whatever the order of `behaviours`.
    """
    for behaviour in sorted(behaviours, key=lambda behaviour: _ORDER.index(behaviour.rule.kind)):
        rng = Random(seed_of("rewrite", seed, behaviour.id, prompt.text, sample))
        if behaviour.applies_to(prompt) and rng.random() < behaviour.share and not behaviour.predicate.holds(text):
            text = _apply(behaviour.rule, text, rng)
    return text


def _apply(rule: Rule, text: str, rng: Random) -> str:
    if rule.kind == "replace":
        pattern = re.compile(r"\b(" + "|".join(re.escape(word) for word in rule.words) + r")\b")
        return pattern.sub(lambda match: rule.words[match.group(1)], text)
    sentences = sentences_of(text)
    between = "\n" if "\n" in text else " "
    if rule.kind == "lines":
        between = "\n"
    else:
        place = len(sentences) if rule.kind == "append" else rng.randrange(max(1, len(sentences)))
        template = rng.choice(rule.sentences)
        sentences.insert(place, _CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), template))
    # What joins the text to its prompt is part of the layout too.
    start = between if text[:1].isspace() or not text else ""
    return start + between.join(sentences)
