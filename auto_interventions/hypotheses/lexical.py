"""Words and phrases that one side uses more: log-odds with an informative Dirichlet prior, on document frequencies counted by prompt.

Monroe, Colaresi & Quinn 2008 ("Fightin' Words", section 3.5.1) compare how often two groups use a word, with a prior that shrinks rare
words towards what both do together. Here a text has a word or has not, a prompt counts as one text (the mean over its samples), and where a
word varies less between samples of a prompt than a prompt's single text would, the prompt counts for more (Rao & Scott 1992: counts are
divided by the word's own design effect).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix, hstack

from auto_interventions.hypotheses.evidence import Design
from auto_interventions.hypotheses.text import as_phrase, stem, tokens
from auto_interventions.records import FloatArray, IntArray

_LONGEST = 4  # words of a phrase
_FEWEST_TEXTS = 3
_KEPT = (300, 250, 200, 150)  # candidates of 1, 2, 3, 4 words: one template sentence must not crowd out the rest
_PRIOR_SHARE = 0.05  # the prior weighs as much as this share of the prompts
_WORDS_PER_TEXT = 3000


@dataclass(frozen=True, slots=True)
class Grams:
    """Phrases and where they occur: `marks` (texts, phrases) of 0/1; `words` of each phrase."""

    words: list[tuple[str, ...]]
    marks: csr_matrix


def log_odds(gained: FloatArray, gained_of: FloatArray | float, lost: FloatArray, lost_of: FloatArray | float, prior: float) -> FloatArray:
    """z-scores of the log-odds ratio of document frequencies, with an informative Dirichlet (here: beta) prior.

    Args:
        gained: number of texts of the one group that hold the word, of `gained_of` texts.
        lost: the same of the other group, of `lost_of` texts.
        prior: weight of the prior in texts; its mean is the share in both groups together.

    >>> log_odds(np.array([30.0, 3.0]), 100, np.array([10.0, 1.0]), 100, prior=10).round(1)
    array([3.3, 0.9])
    """
    together = np.clip((gained + lost) / (gained_of + lost_of), 1e-9, 1 - 1e-9)
    yes, no = prior * together, prior * (1 - together)
    odds = np.log((gained + yes) / (gained_of - gained + no)) - np.log((lost + yes) / (lost_of - lost + no))
    variance = 1 / (gained + yes) + 1 / (gained_of - gained + no) + 1 / (lost + yes) + 1 / (lost_of - lost + no)
    return odds / np.sqrt(variance)


def lexical_candidates(folded: Sequence[str], design: Design) -> tuple[list[tuple[str, ...]], csr_matrix, int]:
    """The words and phrases that differ most between the sides, overall or within one stratum.

    A stratum's z-score has to beat the overall one by what choosing the best of S strata is worth: z² / 2 − log S. Forms of one stem that
    differ the same way (otter, otters) are a further candidate together.

    Returns:
        About 1,000 candidates at most, each the phrases any of which will do; (texts, candidates) marks; and of how many phrases they are
        the best.
    """
    grams = count_grams(folded)
    if not grams.words:
        return [], csr_matrix((len(folded), 0)), 0
    scores, signs = _scores(grams, design)
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


def _best(columns: IntArray, scores: FloatArray, words: Sequence[tuple[str, ...]], quota: int) -> list[int]:
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


def _scores(grams: Grams, design: Design) -> tuple[FloatArray, FloatArray]:
    """(C,) evidence of the log-odds, and the sign of the overall difference."""
    base, intervention = design.means(grams.marks)
    effective = _texts_per_prompt(base, intervention, design)
    sizes = np.asarray(design.members.sum(axis=1), dtype=np.float64).ravel()
    prior = max(1.0, _PRIOR_SHARE * design.prompts)
    gained, lost = (np.asarray(side.sum(axis=0)).ravel() * effective for side in (intervention, base))
    overall = log_odds(gained, design.prompts * effective, lost, design.prompts * effective, prior)
    best = overall**2 / 2
    if design.strata > 1:
        # Only where a stratum has the phrase at all: strata × phrases is mostly nothing. Real part: gained, imaginary: lost.
        cells = csr_matrix(design.members @ (intervention + 1j * base)).tocoo()
        inside = np.asarray(cells.data, dtype=np.complex128)
        weight = effective[cells.col]
        texts = sizes[cells.row] * weight
        local = log_odds(np.real(inside) * weight, texts, np.imag(inside) * weight, texts, prior)
        highest = np.zeros(len(best))
        np.maximum.at(highest, cells.col, local**2 / 2)
        best = np.maximum(best, highest - np.log(design.strata))
    return best, np.sign(overall)


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
        level, examples, row, column = _frequent(level, text_of, texts, fewest)
        columns.append(column + len(words))
        rows.append(row)
        words += [tuple(vocabulary[stream[place + step]] for step in range(length)) for place in examples.tolist()]
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
    numbers: dict[str, int] = {"": -1}
    stream: list[int] = []
    lengths: list[int] = []
    for text in folded:
        found = _words_of(text)
        for word in found:
            number = numbers.get(word)
            if number is None:
                number = numbers[word] = len(numbers) - 1
            stream.append(number)
        lengths.append(len(found))
    del numbers[""]
    return np.array(stream, dtype=np.int64), np.repeat(np.arange(len(folded)), lengths), list(numbers)


def _frequent(level: IntArray, text_of: IntArray, texts: int, fewest: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Renumbers the keys that at least `fewest` texts hold (others −1); a place of each; and the (text, number) pairs."""
    places = np.flatnonzero(level >= 0)
    keys, first, number = np.unique(level[places], return_index=True, return_inverse=True)
    pairs = np.unique(number.astype(np.int64) * texts + text_of[places])
    counts = np.bincount(pairs // max(1, texts), minlength=len(keys))
    kept = counts >= fewest
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    level = np.full(len(level), -1, dtype=np.int64)
    level[places] = renumbered[number]
    pairs = pairs[kept[pairs // max(1, texts)]] if len(keys) else pairs
    return level, places[first[kept]], pairs % max(1, texts), renumbered[pairs // max(1, texts)] if len(keys) else pairs
