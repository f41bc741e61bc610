"""Hostile texts become texts that are safe to look at, and nothing else changes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_interventions.report.plain import LONGEST, Piece, one_line, pieces, visible

INVISIBLE = [
    "\x00",
    "\x1b",
    "\x7f",
    "\x9b",
    "\u00ad",
    "\u061c",
    "\u200b",
    "\u200e",
    "\u2028",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\ud800",
    "\udfff",
    "\U000e0041",
]


def shown(parts: list[Piece]) -> str:
    return "".join(part.text for part in parts)


@pytest.mark.parametrize("character", INVISIBLE)
def test_what_cannot_be_seen_is_named(character: str) -> None:
    code = f"U+{ord(character):04X}"
    parts = pieces(f"a{character}b")
    assert [part.text for part in parts] == ["a", code, "b"]
    assert parts[1].kind == "control"
    assert one_line(f"a{character}b") == visible(f"a{character}b").replace("\n", " ") == f"a[{code}]b" or character == "\u2028"
    assert character not in one_line(f"a{character}b") + visible(f"a{character}b")


@given(st.text(st.characters(), max_size=300))
def test_no_text_brings_a_control_character_through(text: str) -> None:
    for result in (shown(pieces(text)), one_line(text), visible(text)):
        left = {character for character in result if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"}
        assert not left
        assert not set(result) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff")
        result.encode("utf-8")


@given(
    st.text(st.characters(categories=("L", "N", "P", "Zs"), exclude_characters="\u3164\uffa0\u115f\u1160"), max_size=400),
    st.lists(st.tuples(st.integers(-5, 420), st.integers(-5, 420)), max_size=5),
)
def test_ordinary_text_is_shown_as_it_is_with_its_marks(text: str, spans: list[tuple[int, int]]) -> None:
    parts = pieces(text, spans)
    assert shown(parts) == text
    marked = {place for left, right in spans for place in range(max(left, 0), min(right, len(text)))}
    assert sum(len(part.text) for part in parts if part.kind == "mark") == len(marked)


def test_marks_stand_where_they_should() -> None:
    assert [(part.text, part.kind) for part in pieces("the moral is", [(4, 9)])] == [("the ", "plain"), ("moral", "mark"), (" is", "plain")]


def test_a_marked_line_break_is_a_piece_of_its_own() -> None:
    parts = pieces("a\r\nb\nc", [(4, 5)])
    assert [(part.kind, part.marked) for part in parts] == [
        ("plain", False),
        ("newline", False),
        ("plain", False),
        ("newline", True),
        ("plain", False),
    ]


def test_a_megabyte_is_cut_and_says_so() -> None:
    text = "start " + "x" * 1_000_000 + " moral " + "y" * 1_000_000 + " end"
    place = text.index("moral")
    parts = pieces(text, [(place, place + 5)])
    assert len(shown(parts)) < 1.5 * LONGEST
    assert shown(parts).startswith("start ")
    assert shown(parts).endswith(" end")
    assert [part.text for part in parts if part.kind == "mark"] == ["moral"]
    left_out = [part.text for part in parts if part.kind == "gap"]
    assert len(left_out) == 2
    assert "characters left out" in left_out[0]


def test_a_megabyte_of_invisible_characters_stays_small() -> None:
    assert len(pieces("\u200b" * 1_000_000)) < 10
    assert len(shown(pieces("\u200ba\u202e" * 500_000))) < 4 * LONGEST
    assert sum(part.kind == "control" for part in pieces("\u200ba\u202e" * 500_000)) <= 120


def test_emoji_families_and_scripts_keep_their_joiners() -> None:
    for text in ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "می\u200cخواهم"):
        assert shown(pieces(text)) == text
    assert "U+200D" in shown(pieces("pass\u200dword"))


def test_a_tower_of_combining_marks_is_felled() -> None:
    assert shown(pieces("z" + "\u0301" * 40)) == "zU+0301 ×40"
    assert shown(pieces("e\u0301")) == "e\u0301"


def test_one_line_is_one_line() -> None:
    assert one_line("a\n\n b\tc " + "d" * 500, 20) == "a b c ddddddddddddd…"
