"""What a discriminator sees of a text: embedding ‖ hashed words and word pairs ‖ format counts.

Embeddings know meaning but not layout; hashed words know vocabulary; format counts know what tokenizers throw away (line breaks,
casing, punctuation, length). Features are a fixed function of one text and its vector: nothing is fitted, so they need no other text,
never leak the future into a bet, and are computed once a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix, hstack

from auto_interventions.records import FloatMatrix

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import HashingVectorizer

HASHED = 2**14
# Character classes, counted from a histogram of the UTF-8 bytes: thousands of texts a second.
_CLASSES = ("\n", "\t", ".", ",", "!", "?", '"', "'", ":;", "-", "()[]{}<>", "*_#`|~", "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TYPOGRAPHIC = ("“", "”", "‘", "’", "—", "…", "•")
_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        r"\n[ \t]*\n",  # blank lines
        r"(?m)^[ \t]*(?:[-*•]|\d+[.)])[ \t]",  # list items
        r"[.!?][\"'”’)]*(?=\s|$)",  # sentence ends
        r"\b[A-Z]{2,}\b",  # words in capitals
        r"  ",  # double spaces
    )
]
_ENDS = [re.compile(pattern) for pattern in (r"[.!?]\W*$", r"[!?]\W*$", r"[\"”’']\s*$", r"\w\s*$", r"\s$")]
_STARTS = [re.compile(pattern) for pattern in (r"\s*[a-z]", r"\s*[\"“‘']", r"\s*[^\w\s]", r"\s")]
_TAIL = 40  # characters at the end that the end patterns look at
FORMAT_COUNTS = len(_CLASSES) + 1 + len(_TYPOGRAPHIC) + len(_PATTERNS) + len(_ENDS) + len(_STARTS) + 6


def text_features(texts: Sequence[str], vectors: FloatMatrix) -> csr_matrix:
    """Features of texts, one row each.

    Args:
        texts: n texts; an empty one has no words and no counts.
        vectors: (n, d) their embeddings, unit norm.

    Returns:
        (n, d + 2¹⁴ + `FORMAT_COUNTS`) float32; the differences of each block between two texts have a norm of about 1.

    Raises:
        ValueError: not one vector a text, or a vector that is not finite.
    """
    if len(texts) != len(vectors):
        raise ValueError(f"{len(texts)} texts need {len(texts)} vectors, not {len(vectors)}")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite: the encoder answered NaN or infinity")
    words: Any = _hasher().transform(list(texts)) if texts else csr_matrix((0, HASHED))  # scikit-learn refuses no texts
    return csr_matrix(hstack([csr_matrix(vectors), words, csr_matrix(format_counts(texts))], format="csr", dtype=np.float32))


def format_counts(texts: Sequence[str]) -> FloatMatrix:
    """(n, `FORMAT_COUNTS`) format features of texts: counts as log(1 + n), shares and yes/no as they are, of order 1.

    >>> one, other = format_counts(["Well.\\n\\nOne!", "Well. One!"])
    >>> bool(np.abs(one - other).sum() > 0.3)    # layout is seen
    True
    """
    if not texts:
        return np.zeros((0, FORMAT_COUNTS), dtype=np.float32)
    histogram = np.stack([np.bincount(np.frombuffer(text.encode("utf-8", "replace"), np.uint8), minlength=256) for text in texts])
    marks = np.stack([histogram[:, list(members.encode())].sum(axis=1) for members in _CLASSES], axis=1)
    letters = histogram[:, list(_LETTERS.encode())].sum(axis=1)
    beyond_ascii = histogram[:, 192:].sum(axis=1)  # first bytes of multi-byte characters
    shape = np.array([_shape(text) for text in texts], dtype=np.float64)
    counted, flags = shape[:, : len(_TYPOGRAPHIC) + len(_PATTERNS)], shape[:, len(_TYPOGRAPHIC) + len(_PATTERNS) : -2]
    words, distinct = shape[:, -2], shape[:, -1]
    sentences = np.maximum(shape[:, len(_TYPOGRAPHIC) + 2], 1)
    shares = np.stack(
        [marks[:, -1] / np.maximum(letters, 1), distinct / np.maximum(words, 1), letters / np.maximum(words, 1) / 5, words / sentences / 10]
    )
    lengths = np.log1p(np.stack([histogram.sum(axis=1), words]))
    columns = [np.log1p(marks), np.log1p(beyond_ascii)[:, None], np.log1p(counted), flags, np.minimum(shares, 3).T, lengths.T]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _shape(text: str) -> list[int]:
    """What needs the characters in order: counts, yes/no of start and end, words, distinct words."""
    tail = text[-_TAIL:]
    words = text.split()
    return [
        *((text.count(sign) for sign in _TYPOGRAPHIC) if not text.isascii() else (0,) * len(_TYPOGRAPHIC)),
        *(len(pattern.findall(text)) for pattern in _PATTERNS),
        *(pattern.search(tail) is not None for pattern in _ENDS),
        *(pattern.match(text) is not None for pattern in _STARTS),
        len(words),
        len(set(words)),
    ]


@cache
def _hasher() -> HashingVectorizer:
    from sklearn.feature_extraction.text import HashingVectorizer

    single: Any = np.float32  # the stubs know float64 only
    return HashingVectorizer(n_features=HASHED, ngram_range=(1, 2), lowercase=True, norm="l2", dtype=single, token_pattern=r"(?u)\b\w+\b")
