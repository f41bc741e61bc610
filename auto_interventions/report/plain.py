"""Models' texts made safe to look at: control characters visible, long texts cut, what matters marked.

Escaping is not done here: the template engine (autoescape) and rich's `Text` do it. This page knows what escaping leaves: bidirectional
overrides, zero-width and control characters, lone surrogates, towers of combining marks, lines of a megabyte.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

PieceKind = Literal["plain", "mark", "control", "newline", "gap"]
Span = tuple[int, int]

LONGEST = 2_400
"""Characters of a text that the report shows in full."""
_CONTEXT = 160
_WINDOWS = 3
_MOST_CONTROLS = 120
# Line feed and tab are not here: they are layout. Everything else that has no shape of its own, or changes its neighbours': C0 and C1,
# soft hyphen, Arabic letter mark, fillers, zero-width, bidi, line separators, byte-order mark, interlinear, surrogates, private use, tags.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\ue000-\uf8ff\U000e0000-\U0010ffff"
)
_SPECIAL = re.compile(
    f"(?P<newline>\r?\n)|(?P<control>[{_UNSEEN}]+|[\ufe00-\ufe0f]{{2,}}|[\u0300-\u036f\u0483-\u0489\u1dc0-\u1dff\u20d0-\u20ff]{{5,}})"
)
_UNSEEN_ONE = re.compile(f"[{_UNSEEN}]")
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: what is shown, how, and a hint for the one who points at it. `marked`: it lies in what matters; `at`: where it
    begins in the text as it was."""

    text: str
    kind: PieceKind
    hint: str = ""
    marked: bool = False
    at: int = 0


def pieces(text: str, spans: Sequence[Span] = (), longest: int = LONGEST) -> list[Piece]:
    """`text` cut into pieces to show, in order; at most about `longest` characters of it, those around `spans` among them."""
    merged = _merged(spans, len(text))
    shown: list[Piece] = []
    controls = 0
    end = 0
    for start, stop in _windows(len(text), merged, longest):
        if start > end:
            shown.append(_gap(start - end, end))
        for piece in _cut(text, start, stop, merged):
            if piece.kind == "control":
                controls += 1
                if controls > _MOST_CONTROLS:  # a wall of them says no more than the first
                    piece = Piece("�", "plain", marked=piece.marked, at=piece.at)
            shown.append(piece)
        end = stop
    if end < len(text):
        shown.append(_gap(len(text) - end, end))
    return shown


def one_line(text: object, longest: int = 200) -> str:
    """`text` as one safe line: white space collapsed, characters that cannot be seen as their names, cut with an ellipsis."""
    shown = re.sub(r"\s+", " ", str(text)[: 4 * longest]).strip()
    shown = _SPECIAL.sub(lambda match: match[0] if _joins(match) else f"[{_code(match[0])}]", shown)
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def visible(text: object, longest: int = 100_000) -> str:
    """`text` with its lines, characters that cannot be seen as their names: for statements, names and settings."""
    shown = _SPECIAL.sub(
        lambda match: "\n" if match["newline"] else match[0] if _joins(match) else f"[{_code(match[0])}]", str(text)[:longest]
    )
    return shown if len(str(text)) <= longest else shown + "…"


def gated(text: str) -> str:
    """`text` without a character that could do more than be seen: for the last step before a terminal, whose layout is made by then.

    >>> gated("a\\x1b[31mb\\n")
    'a�[31mb\\n'
    """
    return _SPECIAL.sub(lambda match: "\n" if match["newline"] else match[0] if _joins(match) else "�", text)


def escaped_json(text: str) -> str:
    """JSON `text` in which characters that cannot be seen are JSON's own escapes; it means the same, as they only occur inside strings.

    >>> escaped_json('"a\\x9b"')
    '"a\\\\u009b"'
    """
    return _UNSEEN_ONE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _cut(text: str, start: int, stop: int, spans: Sequence[Span]) -> Iterator[Piece]:
    """The pieces of text[start:stop]."""
    position = start
    for left, right, marked in _segments(start, stop, spans):
        position = left
        for match in _SPECIAL.finditer(text, left, right):
            if _joins(match):
                continue
            if match.start() > position:
                yield _words(text[position : match.start()], marked, position)
            if match["newline"]:
                yield Piece("\n", "newline", marked=marked, at=match.start())
            else:
                yield Piece(_code(match[0]), "control", _name(match[0]), marked, match.start())
            position = match.end()
        if position < right:
            yield _words(text[position:right], marked, position)


def _words(text: str, marked: bool, at: int) -> Piece:
    return Piece(text, "mark" if marked else "plain", marked=marked, at=at)


def _gap(left_out: int, at: int) -> Piece:
    return Piece(f"… {left_out:,} characters left out …", "gap", at=at)


def _segments(start: int, stop: int, spans: Sequence[Span]) -> Iterator[tuple[int, int, bool]]:
    position = start
    for left, right in spans:
        left, right = max(left, position), min(right, stop)
        if left >= right:
            continue
        if left > position:
            yield position, left, False
        yield left, right, True
        position = right
    if position < stop:
        yield position, stop, False


def _merged(spans: Sequence[Span], length: int) -> list[Span]:
    """Sorted, within the text, overlapping ones joined."""
    merged: list[Span] = []
    for left, right in sorted((max(0, left), min(right, length)) for left, right in spans):
        if left >= right:
            continue
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(right, merged[-1][1]))
        else:
            merged.append((left, right))
    return merged


def _windows(length: int, spans: Sequence[Span], longest: int) -> list[Span]:
    """The parts of a text that are shown: all of a short one; else its beginning, the first spans behind that, and its end."""
    if length <= longest:
        return [(0, length)]
    head, tail = longest // 2, longest // 8
    wanted: list[Span] = [(0, head), (length - tail, length)]
    behind = [span for span in spans if span[1] > head][:_WINDOWS]
    wanted += [(max(0, left - _CONTEXT), min(length, min(right, left + _CONTEXT) + _CONTEXT)) for left, right in behind]
    return _merged(wanted, length)


def _joins(match: re.Match[str]) -> bool:
    """Whether the match is a (non-)joiner at work inside an emoji or a script that needs it: then it stays."""
    if match[0] not in _JOINERS or len(match[0]) != 1:
        return False
    before, after = match.string[match.start() - 1 : match.start()], match.string[match.end() : match.end() + 1]
    return all(side and (0x0600 <= ord(side) <= 0x1CFF or ord(side) > 0x20FF) for side in (before, after))


def _code(run: str) -> str:
    """A run of characters by their numbers: "U+202E", "U+200B ×500"."""
    numbers = list(dict.fromkeys(f"U+{ord(character):04X}" for character in run))
    shown = " ".join(numbers[:3]) + ("…" if len(numbers) > 3 else "")
    return shown if len(run) == 1 else f"{shown} ×{len(run):,}"


def _name(run: str) -> str:
    if 0xD800 <= ord(run[0]) <= 0xDFFF:
        return "half of a surrogate pair (broken Unicode)"
    return unicodedata.name(run[0], "control character or one without a name").lower()
