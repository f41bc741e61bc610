"""What a word is, how letter case and apostrophes are folded, and how a phrase is found as whole words.

Everything here keeps character offsets: `fold(text)[i]` is the folded `text[i]`, so that what is found can be marked in the original.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Marks that belong to the letter before them, which \w leaves out: combining accents, Hebrew and Arabic points, Indic vowel signs.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han. There a word has no visible edge.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_LETTER = rf"[\w{_MARKS}]"
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "＇": "'"})
_IS_LETTER = re.compile(_LETTER)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_BETWEEN_UNSPACED = re.compile(f"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}])")
_RIGHT_EDGE = rf"(?!{_LETTER}|'{_LETTER})"
_GAP = r",?\s+"  # between the words of a phrase: space or line breaks, perhaps a comma
# A word with its inner apostrophes; or one character of an unspaced script; or what separates words (group 1).
TOKEN = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}]){_LETTER})+(?:'(?:(?![{_UNSPACED}]){_LETTER})+)*|((?:(?!{_LETTER})\S)+)")


def fold(text: str) -> str:
    """`text` in lower case with straight apostrophes, character for character: the length never changes.

    >>> fold("Don’t STOP")
    "don't stop"
    """
    if text.isascii():
        return text.lower()
    lowered = text.lower()
    if len(lowered) != len(text):  # one of the few characters whose lower case is longer (İ)
        lowered = "".join(lower if len(lower := character.lower()) == 1 else character for character in text)
    return lowered.translate(_APOSTROPHES)


@lru_cache(maxsize=8192)
def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Finds `phrase` in folded text as whole words; between two words may stand any white space and a comma.

    An end of the phrase that is no letter (a quote, a full stop) is matched as it is; letters of scripts without spaces
    between words (Chinese, Japanese, Thai …) match anywhere.
    """
    words = fold(phrase).split()
    first, *others = (re.escape(word) for word in words)
    # The left edge is looked for after the first word: a pattern that starts with plain characters is searched ten times as fast.
    left = rf"(?<!{_LETTER}{first})(?<!{_LETTER}'{first})" if has_edge(words[0][0]) else ""
    right = _RIGHT_EDGE if has_edge(words[-1][-1]) else ""
    return re.compile(_GAP.join([first + left, *others]) + right)


def has_edge(character: str) -> bool:
    """Whether the character is a letter or digit of a script that separates words."""
    return _IS_LETTER.match(character) is not None and _IS_UNSPACED.match(character) is None


def tokens(folded: str) -> list[str]:
    """The words of a folded text in order, with "" wherever punctuation other than a comma stands between two of them.

    >>> tokens("well, i can't. stop!")
    ['well', 'i', "can't", '', 'stop', '']
    """
    found: list[str] = []
    for match in TOKEN.finditer(folded):
        if match.group(1) is None:
            found.append(match.group())
        elif match.group(1) != ",":
            found.append("")
    return found


def as_phrase(words: list[str]) -> str:
    """The words as a phrase that `phrase_pattern` finds where they stood.

    >>> as_phrase(["the", "end"])
    'the end'
    """
    return _BETWEEN_UNSPACED.sub("", " ".join(words))
