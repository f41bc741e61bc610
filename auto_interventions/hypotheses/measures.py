"""Named numbers of one text: length, layout, casing, punctuation, repetition. They see what word tokenizers throw away."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import eq
from typing import Literal

import numpy as np

Kind = Literal["count", "share", "mean", "flag"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a text, and how to say that it is large or small.

    `of` returns NaN where the text gives nothing to measure (no words, no letters). `words` is the noun in singular and plural for a count,
    a clause with `{}` for a share or mean, the yes and no sentence for a flag. `marks` finds what is counted, where it can be shown.
    """

    kind: Kind
    of: Callable[[str], float]
    words: tuple[str, str]
    marks: re.Pattern[str] | None = None
    theme: str = "Layout"

    def statement(self, at_least: float | None, at_most: float | None) -> str:
        """What a text within the bound does, in the third person."""
        if self.kind == "flag":
            return self.words[0] if at_least is not None else self.words[1]
        limit = at_least if at_least is not None else at_most
        assert limit is not None
        bound = "at least" if at_least is not None else "at most"
        if self.kind == "count":
            number = math.ceil(limit) if at_least is not None else math.floor(limit)
            return self._count(bound, number)
        shown = f"{limit * 100:.3g}%" if self.kind == "share" else f"{limit:.3g}"
        return self.words[0].format(f"{bound} {shown}")

    def _count(self, bound: str, number: int) -> str:
        singular, plural = self.words
        if bound == "at least" and number == 1:
            return f"has {'an' if singular[0] in 'aeiou' else 'a'} {singular}"
        if bound == "at most" and number <= 0:
            return f"has no {plural}"
        return f"has {bound} {number:,} {singular if number == 1 else plural}"


_SENTENCE_END = re.compile(r"[.!?…][.!?…。！？]*[\"'”’)\]]*(?=\s|$)")
_ANY_SENTENCE_END = re.compile(_SENTENCE_END.pattern + "|[。！？]+")
_WORDLIKE = re.compile(r"[^\W_]")
_LOWER_SENTENCE = r"[.!?…][\"'”’)\]]*\s+[\"'“‘(]*[^\W\d_A-Z]"
_TERMINATED = re.compile(r"[.!?…。！？]\W*$")
_LETTER = re.compile(r"[^\W\d_]")
_TWO_CAPITALS = re.compile("[A-Z]{2}")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_ASCII_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ASCII_LETTERS = _ASCII_CAPITALS + _ASCII_CAPITALS.lower()
_EDGES = "\"'“”‘’«»„.,;:!?…()[]{}*_#`~-—–"
_NOTHING = float("nan")


def _count(pattern: str, singular: str, plural: str = "", theme: str = "Punctuation", needs: str = "") -> Measure:
    """Counts matches; texts without `needs` are not searched."""
    marks = re.compile(pattern)

    def of(text: str) -> float:
        return float(sum(1 for _ in marks.finditer(text))) if needs in text else 0.0

    return Measure("count", of, (singular, plural or singular + "s"), marks, theme)


def _signs(signs: str, singular: str, plural: str = "", theme: str = "Punctuation") -> Measure:
    """Counts any of some characters."""
    ascii_signs = [sign for sign in signs if sign.isascii()]

    def of(text: str) -> float:
        return float(sum(map(text.count, ascii_signs if text.isascii() else signs)))

    return Measure("count", of, (singular, plural or singular + "s"), re.compile("[" + re.escape(signs) + "]"), theme)


def _flag(of: Callable[[str], float], yes: str, no: str, theme: str) -> Measure:
    return Measure("flag", of, (yes, no), None, theme)


def _words(text: str) -> float:
    return float(len(text.split()))


def _sentences(text: str) -> float:
    ends = [match.end() for match in (_SENTENCE_END if text.isascii() else _ANY_SENTENCE_END).finditer(text)]
    rest = text[ends[-1] :] if ends else text
    return float(len(ends) + (_WORDLIKE.search(rest) is not None))


def _uppercase_words(text: str) -> float:
    if text.isascii() and _TWO_CAPITALS.search(text) is None:
        return 0.0
    return float(sum(len(word.strip(_EDGES)) > 1 for word in text.split() if word.isupper()))


def _share_upper_words(text: str) -> float:
    words = len(text.split())
    return _uppercase_words(text) / words if words else _NOTHING


def _share_capitals(text: str) -> float:
    if text.isascii():
        raw = text.encode()
        letters, capitals = (len(raw) - len(raw.translate(None, some)) for some in (_ASCII_LETTERS, _ASCII_CAPITALS))
    else:
        letters, capitals = sum(map(str.isalpha, text)), sum(map(str.isupper, text))
    return capitals / letters if letters else _NOTHING


def _non_ascii(text: str) -> float:
    return 0.0 if text.isascii() else float(sum(character > "\x7f" for character in text))


def _share_non_ascii(text: str) -> float:
    return _non_ascii(text) / len(text) if text else _NOTHING


def _lowercase_start(text: str) -> float:
    first = _LETTER.search(text)
    return float(first.group().islower()) if first else _NOTHING


def _terminated(text: str) -> float:
    stripped = text.rstrip()
    return float(_TERMINATED.search(stripped[-40:]) is not None) if stripped else _NOTHING


def _repeated_share(text: str) -> float:
    words = text.lower().split()
    if not words:
        return _NOTHING
    runs = max(0, len(words) - 2)
    return 1 - len(set(zip(words, words[1:], words[2:], strict=False))) / runs if runs else 0.0


def _repeated_lines(text: str) -> float:
    if "\n" not in text:
        return 0.0
    lines = [stripped for line in text.split("\n") if (stripped := line.strip())]
    return float(len(lines) - len(set(lines)))


def _doubled_words(text: str) -> float:
    words = text.lower().split()
    return float(sum(map(eq, words, words[1:])))


def _stretched(text: str) -> float:
    if text.isascii():  # three equal bytes in a row, seen at once
        raw = np.frombuffer(text.encode(), dtype=np.uint8)
        same = raw[1:] == raw[:-1]
        if not (same[1:] & same[:-1]).any():
            return 0.0
    return float(sum(1 for _ in _STRETCHED.finditer(text)))


def _mean_word(text: str) -> float:
    words = text.split()
    return sum(map(len, words)) / len(words) if words else _NOTHING


def _mean_sentence(text: str) -> float:
    sentences = _sentences(text)
    return len(text.split()) / sentences if sentences else _NOTHING


def _start(characters: str) -> Callable[[str], float]:
    return lambda text: float(text[:1] in characters) if text else _NOTHING


MEASURES: dict[str, Measure] = {
    "characters": Measure("count", lambda text: float(len(text)), ("character", "characters"), None, "Length"),
    "words": Measure("count", _words, ("word", "words"), None, "Length"),
    "sentences": Measure("count", _sentences, ("sentence", "sentences"), None, "Length"),
    "mean_word_length": Measure("mean", _mean_word, ("has {} characters a word on average", ""), None, "Length"),
    "mean_sentence_words": Measure("mean", _mean_sentence, ("has {} words a sentence on average", ""), None, "Length"),
    "line_breaks": _signs("\n", "line break", theme="Layout"),
    "blank_lines": _count(r"\n[ \t\r]*(?=\n)", "blank line", theme="Layout"),
    "list_items": _count(r"(?m)^[ \t]*(?:[-*•–]|\d{1,3}[.)])[ \t]+\S", "list item", theme="Layout"),
    "numbered_items": _count(r"(?m)^[ \t]*\d{1,3}[.)][ \t]+\S", "numbered item", theme="Layout"),
    "double_spaces": _count(r"(?<=\S) {2,}", "double space", theme="Layout", needs="  "),
    "tabs": _signs("\t", "tab", theme="Layout"),
    "starts_with_space": _flag(_start(" \t\u00a0"), "starts with a space", "starts without a space", "Layout"),
    "starts_with_line_break": _flag(_start("\r\n"), "starts with a line break", "starts without a line break", "Layout"),
    "ends_with_space": _flag(
        lambda text: float(text[-1:].isspace()) if text else _NOTHING, "ends in white space", "ends without white space", "Layout"
    ),
    "headings": _count(r"(?m)^#{1,6} \S", "Markdown heading", theme="Markdown", needs="#"),
    "bold": _count(r"\*\*[^*\n]+\*\*", "Markdown bold passage", theme="Markdown"),
    "asterisk_passages": _count(
        r"(?<![*\w])\*[^*\s][^*\n]*\*(?!\*)", "passage between asterisks", "passages between asterisks", "Markdown", "*"
    ),
    "code_blocks": _count(r"```", "code fence", theme="Markdown"),
    "code_passages": _count(r"(?<!`)`[^`\n]+`", "code passage", theme="Markdown", needs="`"),
    "table_rows": _count(r"(?m)^[ \t]*\|.*\|", "table row", theme="Markdown", needs="|"),
    "links": _count(r"https?://", "web address", "web addresses", "Markdown", "://"),
    "uppercase_words": Measure(
        "count", _uppercase_words, ("word in capitals", "words in capitals"), re.compile(r"\b[^\W\d_a-z]{2,}\b"), "Casing"
    ),
    "uppercase_words_share": Measure("share", _share_upper_words, ("has {} of its words in capitals", ""), None, "Casing"),
    "capital_letters_share": Measure("share", _share_capitals, ("has {} of its letters in capitals", ""), None, "Casing"),
    "lowercase_start": _flag(_lowercase_start, "starts with a lowercase letter", "does not start with a lowercase letter", "Casing"),
    "lowercase_sentences": _count(_LOWER_SENTENCE, "sentence that starts in lowercase", "sentences that start in lowercase", "Casing"),
    "exclamation_marks": _signs("!！", "exclamation mark"),
    "question_marks": _signs("?？", "question mark"),
    "quotes": _signs('"“”«»„', "quotation mark"),
    "typographic_quotes": _signs("“”‘’", "typographic quote"),
    "contractions": _count(r"['’](?=[^\W\d_])(?<=[^\W\d_].)", "apostrophe within a word", "apostrophes within words"),
    "commas": _signs(",，、", "comma"),
    "semicolons": _signs(";；", "semicolon"),
    "colons": _signs(":：", "colon"),
    "dashes": _signs("—–", "dash", "dashes"),
    "hyphens": _count(r"-(?=\w)(?<=\w-)", "hyphen within a word", "hyphens within words", needs="-"),
    "ellipses": _count(r"…|\.\.\.+", "ellipsis", "ellipses"),
    "parentheses": _signs("(（", "opening parenthesis", "opening parentheses"),
    "ends_with_punctuation": _flag(_terminated, "ends with sentence punctuation", "ends without sentence punctuation", "Endings"),
    "digits": _signs("0123456789", "digit", theme="Characters"),
    "emoji": _count("[\u2600-\u27bf\U0001f300-\U0001faff]", "emoji", "emoji", "Characters"),
    "non_ascii": Measure(
        "count", _non_ascii, ("character beyond ASCII", "characters beyond ASCII"), re.compile(r"[^\x00-\x7f]"), "Characters"
    ),
    "non_ascii_share": Measure("share", _share_non_ascii, ("has {} of its characters beyond ASCII", ""), None, "Characters"),
    "control_characters": _count(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]", "broken or control character", theme="Characters"),
    "repeated_share": Measure("share", _repeated_share, ("repeats {} of its three-word runs", ""), None, "Repetition"),
    "repeated_lines": Measure("count", _repeated_lines, ("repeated line", "repeated lines"), None, "Repetition"),
    "doubled_words": Measure("count", _doubled_words, ("word twice in a row", "words twice in a row"), None, "Repetition"),
    "stretched_letters": Measure("count", _stretched, ("stretched word (sooo)", "stretched words (sooo)"), _STRETCHED, "Repetition"),
}
"""All measures by the name that `feature:` takes."""
