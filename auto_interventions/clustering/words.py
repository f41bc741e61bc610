"""What a cluster or a stratum is about, in a few of its own words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.records import IntArray

_WORD = r"[^\W\d_][\w'’]+"  # two characters or more, the first a letter
# The list of function words lacks the contracted ones.
_CONTRACTED = [
    "aren't",
    "can't",
    "couldn't",
    "didn't",
    "doesn't",
    "don't",
    "hadn't",
    "hasn't",
    "haven't",
    "he's",
    "i'd",
    "i'll",
    "i'm",
    "i've",
    "isn't",
    "it's",
    "let's",
    "she's",
    "shouldn't",
    "that's",
    "there's",
    "they're",
    "wasn't",
    "we're",
    "weren't",
    "what's",
    "won't",
    "wouldn't",
    "you're",
    "you've",
]


def typical_words(texts: Sequence[str], labels: IntArray, clusters: int, top: int = 3) -> list[list[str]]:
    """For each label below `clusters` its at most `top` most typical words, best first; [] where it has none.

    Class-based tf-idf (Grootendorst 2022, section 3.3) on document frequencies: a word's share of the texts of the label times
    log(1 + A/f), with f the sum of its shares over all labels and A the mean of such sums over labels. Words of one stem are
    one word, shown in its most frequent form. English function words and texts with a negative label do not count; ties go by
    the alphabet.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    rows = np.flatnonzero(labels >= 0)
    vectorizer = CountVectorizer(binary=True, lowercase=True, token_pattern=_WORD, stop_words=_function_words())
    try:
        present = csr_matrix(vectorizer.fit_transform([texts[row] for row in rows.tolist()]))
    except ValueError:  # no words at all: no or empty texts, digits or function words only
        return [[] for _ in range(clusters)]
    forms, present = _by_stem(vectorizer.get_feature_names_out().tolist(), present)
    sizes = np.maximum(np.bincount(labels[rows], minlength=clusters), 1)
    member = csr_matrix((1 / sizes[labels[rows]], (labels[rows], np.arange(len(rows)))), shape=(clusters, len(rows)))
    shares = csr_matrix(member @ present)  # (clusters, stems)
    rarity = np.log1p(shares.sum() / clusters / np.asarray(shares.sum(axis=0)).ravel())
    chosen: list[list[str]] = []
    for label in range(clusters):
        columns = shares.indices[shares.indptr[label] : shares.indptr[label + 1]]
        scores = shares.data[shares.indptr[label] : shares.indptr[label + 1]] * rarity[columns]
        named = sorted((-round(score, 9), forms[column]) for score, column in zip(scores.tolist(), columns.tolist(), strict=True))
        chosen.append([form for _, form in named[:top]])
    return chosen


def _by_stem(words: list[str], present: csr_matrix) -> tuple[list[str], csr_matrix]:
    """The most frequent form of each stem, and which texts hold the stem: (texts, stems) of 0.0 and 1.0."""
    from snowballstemmer import stemmer

    counts: list[int] = np.asarray(present.sum(axis=0)).ravel().tolist()
    stem = stemmer("english").stemWord
    columns: dict[str, int] = {}
    column_of = [columns.setdefault(stem(word), len(columns)) for word in words]
    best: dict[int, int] = {}
    for word, column in enumerate(column_of):
        if column not in best or counts[word] > counts[best[column]]:
            best[column] = word
    grouping = csr_matrix((np.ones(len(words)), (np.arange(len(words)), column_of)), shape=(len(words), len(columns)))
    return [words[best[column]] for column in range(len(columns))], csr_matrix(csr_matrix(present @ grouping) > 0, dtype=np.float64)


def _function_words() -> list[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return sorted({*ENGLISH_STOP_WORDS, *_CONTRACTED, *(word.replace("'", "’") for word in _CONTRACTED)})
