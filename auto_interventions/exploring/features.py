"""What a discriminator sees of a text: embedding ‖ hashed words and word pairs ‖ format counts ‖ steps of the format counts.

Embeddings know meaning but not layout; hashed words know vocabulary, and with which word a text begins and ends; format counts know what
tokenizers throw away (line breaks, casing, punctuation, length). Words are there or not (`MARK` or 0): a word that both texts of a
pair have leaves no difference, and a rare one weighs as much in a long text as in a short one. Steps ("at least 5 line breaks") turn
counts into such marks too, so that a rare layout stands out as a rare word does.

Features are a fixed function of one text and its vector: nothing is fitted, so they need no other text and never leak the future into a
bet. Those of the last `CACHED` texts are kept: equal texts are read once."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix, hstack

from auto_interventions.records import FloatMatrix, IntArray

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import HashingVectorizer

HASHED = 2**14
MARK = 0.15  # differences of short texts have a norm of about 1
CACHED = 2**14  # texts; about 20 MB
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
_TOKEN = r"(?u)\b\w+\b|\A\^|\$\Z"
_TAIL = 40  # characters at the end that the end patterns look at
_STEPS = np.array([1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700, 1000])
_COUNTED = len(_CLASSES) + 1 + len(_TYPOGRAPHIC) + len(_PATTERNS) + 3
_FLAGS = len(_ENDS) + len(_STARTS)
STEPS = _COUNTED * len(_STEPS) + _FLAGS
FORMAT_COUNTS = len(_CLASSES) + 1 + len(_TYPOGRAPHIC) + len(_PATTERNS) + len(_ENDS) + len(_STARTS) + 6


Row = tuple[Any, Any]  # int32 columns, float32 values


def text_features(texts: Sequence[str], vectors: FloatMatrix) -> csr_matrix:
    """Features of texts, one row each.

    Args:
        texts: n texts; an empty one has no words and no counts.
        vectors: (n, d) their embeddings, unit norm.

    Returns:
        (n, d + 2¹⁴ + `FORMAT_COUNTS` + `STEPS`) float32; the differences of each block between two short texts have a norm of about 1.

    Raises:
        ValueError: not one vector a text, or a vector that is not finite.
    """
    if len(texts) != len(vectors):
        raise ValueError(f"{len(texts)} texts need {len(texts)} vectors, not {len(vectors)}")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite: the encoder answered NaN or infinity")
    return csr_matrix(hstack([csr_matrix(vectors), _CACHE.rows(texts)], format="csr", dtype=np.float32))


class _Cache:
    """Rows (columns, values) of the texts seen last, all blocks but the embedding's."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._lock = Lock()

    def rows(self, texts: Sequence[str]) -> csr_matrix:
        """(n, 2¹⁴ + `FORMAT_COUNTS` + `STEPS`) features of texts."""
        with self._lock:
            known = {text: self._rows[text] for text in set(texts) & self._rows.keys()}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(missing, _rows(missing), strict=True))
        with self._lock:
            for text in known:
                self._rows[text] = known[text]
                self._rows.move_to_end(text)
            while len(self._rows) > CACHED:
                self._rows.popitem(last=False)
        found = [known[text] for text in texts]
        ends = np.cumsum([0, *(len(columns) for columns, _ in found)])
        columns = np.concatenate([columns for columns, _ in found]) if found else np.zeros(0, dtype=np.int32)
        values = np.concatenate([values for _, values in found]) if found else np.zeros(0, dtype=np.float32)
        return csr_matrix((values, columns, ends), shape=(len(texts), HASHED + FORMAT_COUNTS + STEPS))


_CACHE = _Cache()


def _rows(texts: Sequence[str]) -> list[Row]:
    if not texts:
        return []
    # A mark before and after makes "first word" and "last word" word pairs like others.
    words: Any = _hasher().transform([f"^ {text} $" for text in texts])
    counts, flags = _counts(texts)
    blocks = [words * MARK, csr_matrix(_scaled(counts, flags)), _steps(counts, flags)]
    matrix = csr_matrix(hstack(blocks, format="csr", dtype=np.float32))
    return [
        (matrix.indices[begin:end].astype(np.int32), matrix.data[begin:end].copy())
        for begin, end in zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True)
    ]


def format_counts(texts: Sequence[str]) -> FloatMatrix:
    """(n, `FORMAT_COUNTS`) format features of texts: counts as log(1 + n), shares and yes/no as they are, of order 1.

    >>> one, other = format_counts(["Well.\\n\\nOne!", "Well. One!"])
    >>> bool(np.abs(one - other).sum() > 0.3)    # layout is seen
    True
    """
    return _scaled(*_counts(texts)) if texts else np.zeros((0, FORMAT_COUNTS), dtype=np.float32)


def _counts(texts: Sequence[str]) -> tuple[IntArray, IntArray]:
    """(n, `_COUNTED` + 1) counts and (n, `_FLAGS`) yes/no.

    Counts: marks by class, beyond ASCII, typographic signs, patterns, bytes, words, distinct words, letters.
    """
    histogram = np.stack([np.bincount(np.frombuffer(text.encode("utf-8", "replace"), np.uint8), minlength=256) for text in texts])
    marks = np.stack([histogram[:, list(members.encode())].sum(axis=1) for members in _CLASSES], axis=1)
    beyond_ascii = histogram[:, 192:].sum(axis=1)  # first bytes of multi-byte characters
    shape = np.array([_shape(text) for text in texts], dtype=np.int64)
    signs = len(_TYPOGRAPHIC) + len(_PATTERNS)
    letters = histogram[:, list(_LETTERS.encode())].sum(axis=1)
    size = histogram.sum(axis=1)
    counts = np.column_stack([marks, beyond_ascii, shape[:, :signs], size, shape[:, -2:], letters])
    return counts, shape[:, signs:-2]


def _scaled(counts: IntArray, flags: IntArray) -> FloatMatrix:
    """(n, `FORMAT_COUNTS`) of order 1: logarithms, yes/no, and shares of letters, words and sentences."""
    size, words, distinct, letters = counts[:, -4:].T
    sentences = np.maximum(counts[:, len(_CLASSES) + 1 + len(_TYPOGRAPHIC) + 2], 1)
    capitals = counts[:, len(_CLASSES) - 1]
    shares = np.stack(
        [capitals / np.maximum(letters, 1), distinct / np.maximum(words, 1), letters / np.maximum(words, 1) / 5, words / sentences / 10]
    )
    columns = [np.log1p(counts[:, :-4]), flags, np.minimum(shares, 3).T, np.log1p(np.stack([size, words], axis=1))]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _steps(counts: IntArray, flags: IntArray) -> csr_matrix:
    """(n, `STEPS`) a mark for each step that a count reaches, and for each yes."""
    rows = len(counts)
    reached = (counts[:, :_COUNTED, None] >= _STEPS).reshape(rows, -1)
    return csr_matrix(np.concatenate([reached, flags > 0], axis=1).astype(np.float32) * np.float32(MARK))


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
    as_is: Any = None  # and know no norm but l1, l2
    return HashingVectorizer(
        n_features=HASHED,
        ngram_range=(1, 2),
        lowercase=True,
        binary=True,
        alternate_sign=False,
        norm=as_is,
        dtype=single,
        token_pattern=_TOKEN,
    )
