"""Which prompts ask the same: exactly alike but for case, white space and punctuation, or near copies of each other.

Near copies share a large part of their three-word sequences (word 3-shingles; Broder 1997, "On the resemblance and containment of
documents"): resemblance is the Jaccard similarity of the two sets, |A ∩ B| / |A ∪ B|. It is computed exactly, not estimated by
MinHash: sets are ordered by rarity and only a set's rarest members are looked up, which finds every pair (prefix and positional filter;
Bayardo, Ma & Srikant 2007, "Scaling up all pairs similarity search"; Xiao et al. 2008, "Efficient similarity joins for near duplicate
detection"). What it does not know: banks, files, strata.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

RowT = TypeVar("RowT")

SHINGLE = 3
"""Words of a sequence."""

# Scripts without spaces between words (Thai, Lao, Burmese, Khmer, kana, Han): a character counts as a word.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_SLACK = 1e-9  # of rounding
_MOST_WORDS = 2**21 - 1  # three numbers of words fit into 63 bits
_ASCII_SPACES = {code: " " for code in range(128) if not chr(code).isalnum()}


def plain_words(text: str) -> str:
    """What two prompts have in common that ask the same: the words without case and punctuation (or the signs where there are no words).

    >>> plain_words("  One DAY, an otter\\n")
    'one day an otter'
    """
    if text.isascii():  # the same, ten times as fast
        plain = text.lower()
        words = " ".join(plain.translate(_ASCII_SPACES).split())
    else:
        plain = unicodedata.normalize("NFKC", text).casefold()
        words = " ".join("".join(letter if letter.isalnum() else " " for letter in plain).split())
    return words or " ".join(plain.split())


def distinct(rows: Sequence[RowT], text_of: Callable[[RowT], str]) -> list[RowT]:
    """The first of rows whose texts differ in case, white space or punctuation only: they ask the same, so they are no two units."""
    kept: dict[str, RowT] = {}
    for row in rows:
        kept.setdefault(plain_words(text_of(row)), row)
    return list(kept.values())


def without_copies(rows: list[RowT], share: float | None, text_of: Callable[[RowT], str]) -> list[RowT]:
    """The rows whose texts nearly copy no earlier one (`near_copies`); None keeps all."""
    if share is None:
        return rows
    copies = near_copies([text_of(row) for row in rows], share)
    return [row for row, first in zip(rows, copies, strict=True) if first < 0]


def near_copies(texts: Sequence[str], share: float) -> list[int]:
    """For each text the place of the first earlier one that it nearly copies; -1 where it copies none.

    A text that copies another one is left out of what later ones are compared with, as it is left out of the bank: chains of ever so
    slightly changed texts do not become one.

    Args:
        texts: prompts, without what all of them share (a wrap would make all prompts alike).
        share: Jaccard similarity of the three-word sequences from which two texts count as one, in (0, 1]. A text of fewer than three
            words is one sequence.

    >>> near_copies(["one two three four five six", "a b c", "One two three, four five six seven"], 0.8)
    [-1, -1, 0]
    """
    if not texts:
        return []
    sets, texts_with = _rare_first(texts)
    copies = [-1] * len(sets)
    # Member → (size of its set, members from it on) → places of the kept texts that hold it there. Members of one text match nothing.
    index: dict[int, dict[tuple[int, int], list[int]]] = {}
    for place, members in enumerate(sets):
        size = len(members)
        prefix = [
            (position, member)
            for position, member in enumerate(members[: size - math.ceil(share * size - _SLACK) + 1])
            if texts_with[member] > 1
        ]
        copies[place] = _first_copied(sets, place, prefix, index, share)
        if copies[place] < 0:
            for position, member in prefix:
                index.setdefault(member, {}).setdefault((size, size - position), []).append(place)
    return copies


def _first_copied(
    sets: Sequence[list[int]],
    place: int,
    prefix: Sequence[tuple[int, int]],
    index: dict[int, dict[tuple[int, int], list[int]]],
    share: float,
) -> int:
    """The first of the indexed texts that `place` nearly copies; -1 where there is none."""
    size, first, seen = len(sets[place]), -1, set[int]()
    own: set[int] | None = None
    for position, member in prefix:
        for (other, remaining), places in index.get(member, {}).items():
            # Jaccard ≥ share is an overlap of so many; what is left of either set from this member on is the most that they can share.
            needed = share / (1 + share) * (size + other) - _SLACK
            if min(size - position, remaining) < needed:
                continue
            own = own or set(sets[place])
            for candidate in places:
                if 0 <= first <= candidate:
                    break  # places are in order, and an earlier one is known
                if candidate not in seen:
                    seen.add(candidate)
                    if len(own.intersection(sets[candidate])) >= needed:
                        first = candidate
    return first


def _rare_first(texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
    """Each text's shingles as distinct numbers, the rarest first (equal ones always in the same order); in how many texts each one is."""
    numbers: dict[str, int] = {}
    words: list[int] = []
    lengths: list[int] = []
    for text in texts:
        own = _words(text)
        words += [numbers.setdefault(word, len(numbers) + 1) for word in own]
        words += [0] * max(0, SHINGLE - len(own))  # a text of fewer words is one shingle
        lengths.append(max(SHINGLE, len(own)))
    flat = np.array(words, dtype=np.int64)
    owner = np.repeat(np.arange(len(texts)), lengths)
    shingles = np.zeros(len(flat) - SHINGLE + 1, dtype=np.int64)
    for step in range(SHINGLE):
        shingles = shingles * (len(numbers) + 1) + flat[step : step + len(shingles)]
        if step == SHINGLE - 1 or len(numbers) >= _MOST_WORDS:  # numbered again, so that none grows beyond 64 bits
            shingles = np.unique(shingles, return_inverse=True)[1]
    whole = owner[: len(shingles)] == owner[SHINGLE - 1 :]  # within one text
    kinds = int(shingles.max()) + 1
    texts_of, members = np.divmod(np.unique(owner[: len(shingles)][whole] * kinds + shingles[whole]), kinds)
    texts_with = np.bincount(members, minlength=kinds)
    order = np.lexsort((members, texts_with[members], texts_of))
    ends = np.cumsum(np.bincount(texts_of, minlength=len(texts))).tolist()
    ranked = members[order].tolist()
    return [ranked[start:end] for start, end in zip([0, *ends], ends, strict=False)], texts_with.tolist()


def _words(text: str) -> list[str]:
    plain = plain_words(text)
    return plain.split() if plain.isascii() else WORD.findall(plain)
