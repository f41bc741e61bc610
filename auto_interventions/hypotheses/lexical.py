"""Words and phrases that one side uses more: likelihood ratios of document frequencies, counted by prompt.

Dunning 1993 (Accurate methods for the statistics of surprise and coincidence, section 4): a word that 20 texts of the one side have and
none of the other is as surprising as it is, while a z-score, whose error is guessed from a count of nothing, hardly sees it. Here a text
has a word or has not, a prompt counts as one text (the mean over its samples), and where a word varies less between samples of a prompt
than a prompt's single text would, the prompt counts for more (Rao & Scott 1992: counts are divided by the word's own design effect).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from scipy.sparse import csr_matrix, hstack
from scipy.special import xlogy

from auto_interventions.hypotheses.evidence import Design
from auto_interventions.hypotheses.text import as_phrase, stem, tokens
from auto_interventions.inference.clumps import evidence_of_clumps
from auto_interventions.inference.places import decided, evidence_of_cells
from auto_interventions.records import FloatArray, IntArray

_LONGEST = 4  # words of a phrase
_FEWEST_TEXTS = 3
_KEPT = (300, 250, 200, 150)  # candidates of 1, 2, 3, 4 words: one template sentence must not crowd out the rest
_WORDS_PER_TEXT = 3000
_COMMON = 50  # texts more or less: a phrase whose rates say more than who has it


@dataclass(frozen=True, slots=True)
class Grams:
    """Phrases and where they occur: `marks` (texts, phrases) of 0/1; `words` of each phrase."""

    words: list[tuple[str, ...]]
    marks: csr_matrix


def surprise(gained: FloatArray, gained_of: FloatArray | float, lost: FloatArray, lost_of: FloatArray | float) -> FloatArray:
    """Nats by which two rates explain two document frequencies better than one rate does: half of Dunning's G².

    Args:
        gained: number of texts of the one group that hold the word, of `gained_of` texts.
        lost: the same of the other group, of `lost_of` texts.

    >>> surprise(np.array([30.0, 8.0, 3.0]), 100, np.array([10.0, 0.0, 1.0]), 100).round(1)
    array([6.5, 5.7, 0.5])
    """
    together = (gained + lost) / (gained_of + lost_of)
    parts = ((gained, gained_of), (lost, lost_of))
    found = sum(xlogy(held, held) + xlogy(of - held, of - held) - xlogy(of, of) for held, of in parts)
    whole = gained_of + lost_of
    return np.maximum(found - whole * (xlogy(together, together) + xlogy(1 - together, 1 - together)), 0.0)


def lexical_candidates(folded: Sequence[str], design: Design) -> tuple[list[tuple[str, ...]], csr_matrix, int]:
    """The words and phrases that differ most between the sides, overall, within one stratum or in some.

    A stratum's surprise has to beat the overall one by log S, what choosing the best of S strata is worth; or a word may rise in some
    strata (`places`). Forms of one stem that differ the same way (otter, otters) are a further candidate together.

    Returns:
        About 1,000 candidates at most, each the phrases any of which will do; (texts, candidates) marks; and of how many phrases they are
        the best.
    """
    grams = count_grams(folded)
    if not grams.words:
        return [], csr_matrix((len(folded), 0)), 0
    scores, signs = _scores(grams.marks, design)
    kept: list[int] = []
    lengths = np.array([len(words) for words in grams.words], dtype=np.int64)
    for length, quota in enumerate(_KEPT, start=1):
        kept += _best(np.flatnonzero(lengths == length), scores.round(9), grams.words, quota)
    columns = grams.marks.tocsc()
    phrases = [(as_phrase(list(grams.words[column])),) for column in kept]
    families = _families(grams, kept, signs)
    marks = [columns[:, kept], *(csr_matrix(columns[:, family].max(axis=1)) for family in families)]
    candidates = phrases + [tuple(grams.words[column][0] for column in family) for family in families]
    return candidates, csr_matrix(hstack(marks)), len(grams.words)


def most_telling(phrases: Sequence[str], marks: csr_matrix, design: Design, quota: int) -> list[int]:
    """The `quota` columns of (texts, C) `marks` that differ most between the sides, as `lexical_candidates` ranks phrases."""
    if len(phrases) <= quota:
        return list(range(len(phrases)))
    return _best(np.arange(len(phrases)), _scores(marks, design)[0].round(9), phrases, quota)


def _best(columns: IntArray, scores: FloatArray, words: Sequence[tuple[str, ...]] | Sequence[str], quota: int) -> list[int]:
    """The `quota` columns with the highest scores; ties by the alphabet, and not by which text came first."""
    own = scores[columns]
    if len(columns) > quota:
        columns = columns[own >= np.partition(own, len(own) - quota)[len(own) - quota]]
    ranked = sorted((-float(scores[column]), words[column], column) for column in columns.tolist())
    return [column for _, _, column in ranked[:quota]]


def _families(grams: Grams, kept: Sequence[int], signs: FloatArray) -> list[list[int]]:
    """Groups of two to four words of one stem that differ the same way, the most frequent first, of which at least one is kept."""
    words = {column: grams.words[column][0] for column in kept if len(grams.words[column]) == 1}
    starts = {word[:3] for word in words.values()}
    counts = np.asarray(grams.marks.sum(axis=0)).ravel()
    groups: dict[tuple[str, float], list[int]] = {}
    for column, gram in enumerate(grams.words):
        if len(gram) == 1 and gram[0][:3] in starts:
            groups.setdefault((stem(gram[0]), float(signs[column])), []).append(column)
    found = {(stem(word), float(signs[column])) for column, word in words.items()}
    families = (sorted(groups[key], key=lambda column: (-counts[column], grams.words[column]))[:4] for key in sorted(found))
    return [family for family in families if len(family) > 1]


def _scores(marks: csr_matrix, design: Design) -> tuple[FloatArray, FloatArray]:
    """(C,) nats, and the sign of the overall difference."""
    base, intervention = design.means(marks)
    effective = _texts_per_prompt(base, intervention, design)
    sizes = np.asarray(design.members.sum(axis=1), dtype=np.float64).ravel()
    gained, lost = (np.asarray(side.sum(axis=0)).ravel() * effective for side in (intervention, base))
    best = surprise(gained, design.prompts * effective, lost, design.prompts * effective)
    if design.strata > 1:
        # Only where a stratum has the phrase at all: strata × phrases is mostly nothing. Real part: gained, imaginary: lost.
        cells = csr_matrix(design.members @ (intervention + 1j * base)).tocoo()
        inside = np.asarray(cells.data, dtype=np.complex128)
        weight = effective[cells.col]
        texts = sizes[cells.row] * weight
        here, gone = np.real(inside) * weight, np.imag(inside) * weight
        highest = np.zeros(len(best))
        np.maximum.at(highest, cells.col, surprise(here, texts, gone, texts))
        some = [evidence_of_cells(cells.col, won, lost, len(best)) for won, lost in ((here, gone), (gone, here))]
        best = np.max([best, highest - np.log(design.strata), *some], axis=0)
        common = np.flatnonzero(np.asarray(marks.sum(axis=0)).ravel() >= _COMMON)
        best[common] = np.maximum(best[common], _clumps(csr_matrix(marks.tocsc()[:, common]), design))
    return best, np.sign(gained - lost)


def _clumps(marks: csr_matrix, design: Design) -> FloatArray:
    """(C,) nats for a rise in some strata, on either side, of phrases that are common enough not to come in clumps by chance."""
    sums = design.payoffs_by_stratum(marks)
    _, won, lost = decided(sums, np.ones(len(sums)))
    pairs = sums[0, :, 0] if len(sums) else np.zeros(design.strata)
    return np.maximum(evidence_of_clumps(pairs, won, lost), evidence_of_clumps(pairs, lost, won))


def _texts_per_prompt(base: csr_matrix, intervention: csr_matrix, design: Design) -> FloatArray:
    """(C,) how many independent texts a prompt is worth for each word: between 1 and its samples."""
    prompts = design.prompts
    difference = csr_matrix(intervention - base)
    total = np.asarray(difference.sum(axis=0)).ravel()
    squares = np.asarray(difference.multiply(difference).sum(axis=0)).ravel()
    rates = [np.asarray(side.sum(axis=0)).ravel() / prompts for side in (base, intervention)]
    binomial = prompts * sum(rate * (1 - rate) for rate in rates)
    observed = squares - total**2 / prompts + 1 / design.samples
    return np.clip(binomial / observed, 1.0, max(1.0, design.samples))


def read_words(folded: Sequence[str]) -> None:
    """Reads the words off texts, and keeps them by text."""
    for text in folded:
        _words_of(text)


def count_grams(folded: Sequence[str], longest: int = _LONGEST, fewest: int = _FEWEST_TEXTS) -> Grams:
    """All phrases of up to `longest` words that at least `fewest` texts hold.

    Level by level (Agrawal & Srikant 1994): a phrase is frequent only if its parts are.
    """
    stream, text_of, vocabulary = _stream(folded)
    texts = len(folded)
    words: list[tuple[str, ...]] = []
    rows: list[IntArray] = []
    columns: list[IntArray] = []
    token = stream
    level = stream
    for length in range(1, longest + 1):
        if length > 1:
            joined = np.full(len(level), -1, dtype=np.int64)
            # Frequent at i and at i + 1, so that both its parts are; the last word of the phrase at i is word i + length − 1.
            tail = length - 1
            fits = (
                (level[:-tail] >= 0) & (level[1 : len(level) - tail + 1] >= 0) & (token[tail:] >= 0)
                if len(level) > tail
                else np.zeros(0, bool)
            )
            places = np.flatnonzero(fits)
            joined[places] = level[places] * len(vocabulary) + token[places + tail]
            level = joined
        level, examples, row, column = _frequent(level, text_of, fewest)
        columns.append(column + len(words))
        rows.append(row)
        spelt = stream[examples[:, None] + np.arange(length)].tolist()
        words += [tuple(vocabulary[number] for number in numbers) for numbers in spelt]
        if length == 1:
            token = np.where(level >= 0, stream, -1)
        if not len(examples):
            break
    row, column = np.concatenate(rows), np.concatenate(columns)
    return Grams(words, csr_matrix((np.ones(len(row)), (row, column)), shape=(texts, len(words))))


@lru_cache(maxsize=1 << 15)
def _words_of(text: str) -> tuple[str, ...]:
    return (*tokens(text)[:_WORDS_PER_TEXT], "")


def _stream(folded: Sequence[str]) -> tuple[IntArray, IntArray, list[str]]:
    """All words as numbers (−1 where a phrase cannot go on), the text of each, the words by number."""
    words = [_words_of(text) for text in folded]
    vocabulary = [word for word in dict.fromkeys(chain.from_iterable(words)) if word]
    numbers = {word: number for number, word in enumerate(vocabulary)} | {"": -1}
    lengths = [len(found) for found in words]
    stream = np.fromiter(map(numbers.__getitem__, chain.from_iterable(words)), dtype=np.int64, count=sum(lengths))
    return stream, np.repeat(np.arange(len(folded)), lengths), vocabulary


def _frequent(level: IntArray, text_of: IntArray, fewest: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Renumbers the keys that at least `fewest` texts hold (others −1); a place of each; and the (text, number) pairs."""
    places = np.flatnonzero(level >= 0)
    keys, holders = level[places], text_of[places]
    # One stable sort puts the places of a phrase next to each other, text by text: what comes twice in a text is a neighbour of itself.
    order = np.argsort(keys, kind="stable")
    keys, holders = keys[order], holders[order]
    starts = np.concatenate([np.ones(min(1, len(keys)), dtype=np.bool_), keys[1:] != keys[:-1]])
    first_in_text = starts.copy()
    first_in_text[1:] |= holders[1:] != holders[:-1]
    number = np.cumsum(starts) - 1
    column, row = number[first_in_text], holders[first_in_text]
    kept = np.bincount(column, minlength=int(starts.sum())) >= fewest
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    level = np.full(len(level), -1, dtype=np.int64)
    level[places[order]] = renumbered[number]
    frequent = kept[column]
    return level, places[order[starts]][kept], row[frequent], renumbered[column[frequent]]
