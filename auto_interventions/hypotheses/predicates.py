"""Sentences that a machine can check on one text: `Predicate`, its kinds, their JSON.

A predicate is a frozen record with a `kind`; `model_dump(exclude_none=True)` and `parse_predicate` are inverse. Texts are written by
models and may be anything: every check takes time linear in the text, whatever the text and whatever the user's pattern.
"""

from __future__ import annotations

import difflib
import math
import re
from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import SchemaError, SchemaValidator, core_schema

from auto_interventions.config import Part
from auto_interventions.errors import ConfigError
from auto_interventions.hypotheses.languages import LANGUAGES, language_of
from auto_interventions.hypotheses.measures import MEASURES
from auto_interventions.hypotheses.refusals import refusal_spans, refuses
from auto_interventions.hypotheses.text import after_last_letter, first_letter, fold, has_edge, phrase_pattern

Spans = list[tuple[int, int]]
_PATTERN_HEAD = 20_000  # characters of a text that a user's pattern sees
_MOST_SPANS = 200
_PhraseText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class Predicate(Part):
    """A check of one text. Subclasses are the kinds."""

    kind: str
    """Which check it is."""

    def holds(self, text: str) -> bool:
        """Whether the text fits; False where `score` abstains."""
        return self.score(text, fold(text)) == 1.0

    @abstractmethod
    def score(self, text: str, folded: str) -> float:
        """1.0 fits, 0.0 does not, NaN: nothing to judge. `folded` is `fold(text)`, computed once for many predicates."""

    @abstractmethod
    def statement(self) -> str:
        """What a text that fits does, in the third person: `mentions “lighthouse”`."""

    def spans(self, text: str) -> Spans:
        """(start, end) of what to mark in a text that fits; [] where it does not, or where nothing particular can be marked."""
        del text
        return []


class Phrase(Predicate):
    """Mentions one of some phrases as whole words, whatever their letter case."""

    kind: Literal["phrase"] = "phrase"  # pyright: ignore[reportIncompatibleVariableOverride]
    phrases: Annotated[tuple[_PhraseText, ...], Field(min_length=1, max_length=100)]
    """The phrases; any of them will do."""

    def score(self, text: str, folded: str) -> float:
        """See `Predicate`."""
        return float(any(rarest in folded and pattern.search(folded) is not None for rarest, pattern in _finders(self.phrases)))

    def statement(self) -> str:
        """See `Predicate`."""
        first, *others = (f"“{' '.join(phrase.split())}”" for phrase in self.phrases)
        verb = "says" if " " in self.phrases[0].strip() else "mentions"
        return f"{verb} {first}" + (f" (or {' or '.join(others)})" if others else "")

    def spans(self, text: str) -> Spans:
        """See `Predicate`."""
        folded = fold(text)
        return _disjoint([match.span() for _, pattern in _finders(self.phrases) for match in pattern.finditer(folded)])


class Opening(Predicate):
    """Begins with a phrase; white space and punctuation before its first letter do not count."""

    kind: Literal["opening"] = "opening"  # pyright: ignore[reportIncompatibleVariableOverride]
    phrase: _PhraseText
    """The phrase, or a sign such as `"`."""

    def score(self, text: str, folded: str) -> float:
        """See `Predicate`."""
        return float(self._find(folded) is not None)

    def _find(self, folded: str) -> re.Match[str] | None:
        start = first_letter(folded) if has_edge(self.phrase.strip()[0]) else len(folded) - len(folded.lstrip())
        return phrase_pattern(self.phrase).match(folded, start)

    def statement(self) -> str:
        """See `Predicate`."""
        return f"opens with “{' '.join(self.phrase.split())}”"

    def spans(self, text: str) -> Spans:
        """See `Predicate`."""
        found = self._find(fold(text))
        return [found.span()] if found else []


class Ending(Predicate):
    """Ends with a phrase; white space and punctuation after its last letter do not count."""

    kind: Literal["ending"] = "ending"  # pyright: ignore[reportIncompatibleVariableOverride]
    phrase: _PhraseText
    """The phrase, or a sign such as `.`."""

    def score(self, text: str, folded: str) -> float:
        """See `Predicate`."""
        return float(self._find(folded) is not None)

    def _find(self, folded: str) -> re.Match[str] | None:
        end = after_last_letter(folded) if has_edge(self.phrase.strip()[-1]) else len(folded.rstrip())
        # The gaps between its words are elastic, so the phrase can start a little earlier than its length says.
        start = max(0, end - 2 * len(self.phrase) - 40)
        for match in phrase_pattern(self.phrase).finditer(folded, start):
            if match.end() == end:
                return match
        return None

    def statement(self) -> str:
        """See `Predicate`."""
        return f"ends with “{' '.join(self.phrase.split())}”"

    def spans(self, text: str) -> Spans:
        """See `Predicate`."""
        found = self._find(fold(text))
        return [found.span()] if found else []


class Pattern(Predicate):
    """Matches a regular expression of the user's own, anywhere in the first 20,000 characters.

    The syntax is that of Rust's `regex`: no look-around and no back-references, and therefore no text on which it takes long.
    """

    kind: Literal["pattern"] = "pattern"  # pyright: ignore[reportIncompatibleVariableOverride]
    regex: Annotated[str, Field(min_length=1, max_length=1000)]
    """The expression; `(?i)` in front ignores letter case."""
    says: Annotated[str, Field(min_length=1, max_length=300)]
    """What a text that matches does: the sentence of the report."""

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str) -> str:
        try:
            _ = _matcher(regex)
        except SchemaError as error:
            reason = str(error).strip().splitlines()[-1].removeprefix("error: ").strip()
            raise ValueError(f"is not a regular expression that can be used ({reason}); mend it (docs/predicates.md)") from error
        return regex

    def score(self, text: str, folded: str) -> float:
        """See `Predicate`."""
        return float(_matches(self.regex, text[:_PATTERN_HEAD]))

    def statement(self) -> str:
        """See `Predicate`."""
        return self.says

    def spans(self, text: str) -> Spans:
        """The first place that matches, widened to whole words (the engine answers yes or no only, so the place is found by halving)."""
        head = text[:_PATTERN_HEAD]
        if not _matches(self.regex, head):
            return []
        low, end = 0, len(head)
        while low < end:
            middle = (low + end) // 2
            low, end = (low, middle) if _matches(self.regex, head[:middle]) else (middle + 1, end)
        start, high = 0, end
        while start < high:
            middle = (start + high + 1) // 2
            start, high = (middle, high) if _matches(self.regex, head[middle:end]) else (start, middle - 1)
        while start > 0 and head[start - 1].isalnum():
            start -= 1
        while end < len(head) and head[end].isalnum():
            end += 1
        return [(start, end)]


class MeasureBound(Predicate):
    """A named number of the text lies at or beyond a bound."""

    kind: Literal["measure"] = "measure"  # pyright: ignore[reportIncompatibleVariableOverride]
    feature: str
    """Which number: docs/predicates.md lists them. Shares lie between 0 and 1."""
    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Fits where the number is this or more."""
    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Fits where the number is this or less."""

    @field_validator("feature")
    @classmethod
    def _known(cls, feature: str) -> str:
        if feature not in MEASURES:
            raise ValueError(f"is not a known measure; did you mean `{_nearest(feature, MEASURES)}`?")
        return feature

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("needs exactly one of `at_least` and `at_most`")
        return self

    def score(self, text: str, folded: str) -> float:
        """See `Predicate`. NaN where the text has nothing to measure."""
        return self.of_value(MEASURES[self.feature].of(text))

    def of_value(self, value: float) -> float:
        """The score of a text whose measure is `value`."""
        if math.isnan(value):
            return value
        return float(value >= self.at_least) if self.at_least is not None else float(value <= (self.at_most or 0.0))

    def statement(self) -> str:
        """See `Predicate`."""
        return MEASURES[self.feature].statement(self.at_least, self.at_most)

    def spans(self, text: str) -> Spans:
        """What is counted, for `at_least`; [] for lengths, shares and upper bounds."""
        marks = MEASURES[self.feature].marks
        if marks is None or self.at_least is None or not self.holds(text):
            return []
        return _disjoint([match.span() for match in marks.finditer(text)])


class Refusal(Predicate):
    """Declines to answer, by the phrases with which models do (English)."""

    kind: Literal["refusal"] = "refusal"  # pyright: ignore[reportIncompatibleVariableOverride]

    def score(self, text: str, folded: str) -> float:
        """See `Predicate`."""
        return float(refuses(folded))

    def statement(self) -> str:
        """See `Predicate`."""
        return "refuses to answer"

    def spans(self, text: str) -> Spans:
        """See `Predicate`."""
        return _disjoint(refusal_spans(fold(text)))


class Language(Predicate):
    """Is written in a language; abstains where the text is too short or too mixed to tell."""

    kind: Literal["language"] = "language"  # pyright: ignore[reportIncompatibleVariableOverride]
    language: str
    """Its ISO 639-1 code: en, fr, de …"""

    @field_validator("language")
    @classmethod
    def _known(cls, language: str) -> str:
        if language not in LANGUAGES:
            raise ValueError(f"is not one of the languages that can be told apart ({', '.join(sorted(LANGUAGES))}); choose one of them")
        return language

    def score(self, text: str, folded: str) -> float:
        """See `Predicate`. NaN where the language cannot be told."""
        found = language_of(text[:600])
        return float("nan") if found is None else float(found == self.language)

    def statement(self) -> str:
        """See `Predicate`."""
        return f"is written in {LANGUAGES[self.language]}"


KINDS: dict[str, type[Predicate]] = {
    "phrase": Phrase,
    "opening": Opening,
    "ending": Ending,
    "pattern": Pattern,
    "measure": MeasureBound,
    "refusal": Refusal,
    "language": Language,
}
"""All kinds by the name that `kind:` takes."""


def parse_predicate(data: Mapping[str, Any]) -> Predicate:
    """The predicate that `data` (YAML or JSON) describes; inverse of `as_check`.

    Raises:
        ConfigError: one sentence: the field, what is wrong with it, the fix.
    """
    known = ", ".join(KINDS)
    kind = data.get("kind")
    if kind is None:
        raise ConfigError(f"`kind` is missing; add one of {known}")
    if not isinstance(kind, str) or kind not in KINDS:
        near = f"; did you mean `{_nearest(kind, KINDS)}`?" if isinstance(kind, str) else ""
        raise ConfigError(f"`kind` must be one of {known}, not {kind!r}{near}")
    try:
        return KINDS[kind].model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError(_sentence(error, KINDS[kind], kind)) from error


def known_predicate(check: Mapping[str, Any] | None) -> Predicate | None:
    """The predicate of a finding's `check`; None where only a language model can judge it, or this version does not know its kind."""
    if not check:
        return None
    try:
        return parse_predicate(check)
    except ConfigError:
        return None


def as_check(predicate: Predicate) -> dict[str, object]:
    """The predicate as JSON-native data, as `Hypothesis.check` and findings.json carry it."""
    return predicate.model_dump(mode="json", exclude_none=True)


@lru_cache(maxsize=4096)
def _finders(phrases: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """For each phrase its longest word, which a text must hold, and its pattern."""
    return tuple((max(fold(phrase).split(), key=len), phrase_pattern(phrase)) for phrase in phrases)


@lru_cache(maxsize=256)
def _matcher(regex: str) -> SchemaValidator:
    """Pydantic's string validator runs Rust's regex engine, which is linear in the text."""
    return SchemaValidator(core_schema.str_schema(pattern=regex, regex_engine="rust-regex"))


def _matches(regex: str, text: str) -> bool:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate becomes "?", so offsets stay
    return _matcher(regex).isinstance_python(text)


def _disjoint(spans: Spans) -> Spans:
    """Sorted, without overlaps, at most 200."""
    kept: Spans = []
    for start, end in sorted(spans):
        if end > start and (not kept or start >= kept[-1][1]):
            kept.append((start, end))
    return kept[:_MOST_SPANS]


def _nearest(name: str, known: Mapping[str, object]) -> str:
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def _sentence(error: ValidationError, model: type[Predicate], kind: str) -> str:
    problem = next((one for one in error.errors() if one["type"] == "extra_forbidden"), error.errors()[0])
    where = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"`{where}` is not a field of a predicate of kind `{kind}`; did you mean `{_nearest(where, model.model_fields)}`?"
    if problem["type"] == "missing":
        return f"`{where}` is missing; a predicate of kind `{kind}` needs it"
    if where.startswith(("phrase", "phrases")) and problem["type"] in ("string_pattern_mismatch", "string_too_short", "too_short"):
        return f"`{where}` is empty; give at least one word"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = "" if isinstance(problem["input"], Mapping) else f" (given: {str(problem['input'])[:80]!r})"
    return f"`{where}` {message}{given}" if where else f"a predicate of kind `{kind}` {message}"
