"""What a word is, how letter case and apostrophes are folded, and how a phrase is found as whole words.

Everything here keeps character offsets: `fold(text)[i]` is the folded `text[i]`, so that what is found can be marked in the original.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

# Marks that belong to the letter before them, which \w leaves out: combining accents, Hebrew and Arabic points, Indic vowel signs.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han. There a word has no visible edge.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_LETTER = rf"[\w{_MARKS}]"
_SPACED = rf"(?:(?![{_UNSPACED}]){_LETTER})"  # a letter of a script that separates words
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "＇": "'"})
_IS_LETTER = re.compile(_LETTER)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_BETWEEN_UNSPACED = re.compile(f"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}])")
_RIGHT_EDGE = rf"(?!{_SPACED}|'{_SPACED})"
_GAP = r",?\s+"  # between the words of a phrase: space or line breaks, perhaps a comma
_IS_GAP = re.compile(_GAP)
# A word with its inner apostrophes, or one character of an unspaced script.
_TOKEN = re.compile(rf"{_SPACED}+(?:'{_SPACED}+)*|[{_UNSPACED}]")
_ASCII_TOKEN = re.compile(r"\w+(?:'\w+)*", re.ASCII)
_LONGEST_WORD = 40


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
    left = rf"(?<!{_SPACED}{first})(?<!{_SPACED}'{first})" if has_edge(words[0][0]) else ""
    right = _RIGHT_EDGE if has_edge(words[-1][-1]) else ""
    return re.compile(_GAP.join([first + left, *others]) + right)


def has_edge(character: str) -> bool:
    """Whether the character is a letter or digit of a script that separates words."""
    return _IS_LETTER.match(character) is not None and _IS_UNSPACED.match(character) is None


def first_letter(folded: str) -> int:
    """Where the first letter or digit stands; the length where there is none."""
    found = _IS_LETTER.search(folded)
    return found.start() if found else len(folded)


def after_last_letter(folded: str) -> int:
    """Where the last letter or digit ends; 0 where there is none."""
    end = len(folded)
    while end > 0 and _IS_LETTER.match(folded[end - 1]) is None:
        end -= 1
    return end


def tokens(folded: str, most: int | None = None) -> list[str]:
    """The words of a folded text in order, with "" between two that cannot stand in one phrase, and at the end.

    Words next to each other without "" are exactly those that `phrase_pattern(as_phrase(…))` finds. Words of more than 40 characters
    are no words. Stops after the first `most` words or breaks.

    >>> tokens("well, i can't. stop!")
    ['well', 'i', "can't", '', 'stop', '']
    """
    found: list[str] = []
    last = 0
    before = ""
    for match in (_ASCII_TOKEN if folded.isascii() else _TOKEN).finditer(folded):
        word = match.group()
        gap = folded[last : match.start()]
        last = match.end()
        if len(word) > _LONGEST_WORD:
            word = ""
        elif before and not _joins(gap, before, word):
            found.append("")
        if word or before:
            found.append(word)
        if most is not None and len(found) >= most:
            return found
        before = word
    if before:
        found.append("")
    return found


def _joins(gap: str, before: str, after: str) -> bool:
    if gap == " ":
        return after.isascii() or before.isascii() or not _both_unspaced(before, after)
    return _both_unspaced(before, after) if not gap else _IS_GAP.fullmatch(gap) is not None and not _both_unspaced(before, after)


def _both_unspaced(before: str, after: str) -> bool:
    return _IS_UNSPACED.match(before) is not None and _IS_UNSPACED.match(after) is not None


def as_phrase(words: list[str]) -> str:
    """The words as a phrase that `phrase_pattern` finds where they stood.

    >>> as_phrase(["the", "end"])
    'the end'
    """
    return _BETWEEN_UNSPACED.sub("", " ".join(words))


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The English stem (Porter 2, Snowball): otters → otter.

    >>> stem("otters")
    'otter'
    """
    return str(_stemmer().stemWord(word))


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


_FUNCTION_WORDS = """
a an the this that these those some any each every all both either neither no not and or but nor so yet if then than as at by
for from in into of off on onto out over to up upon with about after again against before below between down during through
under until while is are was were be been being am do does did doing have has had having will would can could shall should may
might must i me my mine myself we us our you your he him his she her hers it its they them their who whom whose which what when
where why how there here too very just also only it's i'm he's she's that's there's they're we're you're i've i'd i'll let's one
said
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words that say little by themselves."""
