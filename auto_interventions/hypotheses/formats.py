"""What is not vocabulary: how texts open and end, their layout, length, casing, punctuation and repetition, refusals, languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix, hstack

from auto_interventions.hypotheses.evidence import Design
from auto_interventions.hypotheses.languages import language_of
from auto_interventions.hypotheses.lexical import most_telling
from auto_interventions.hypotheses.measures import MEASURES, Measure
from auto_interventions.hypotheses.predicates import Ending, Language, MeasureBound, Opening, Predicate, Refusal
from auto_interventions.hypotheses.refusals import refuses
from auto_interventions.hypotheses.text import after_last_letter, as_phrase, first_letter, tokens
from auto_interventions.records import BoolArray, FloatArray

_FEWEST_TEXTS = 3
_EDGE_WORDS = 3  # words of an opening or ending
_EDGE_CHARACTERS = 160  # that can hold them
_MOST_EDGES = 300
# Far into the tails: what one text in two hundred has more of drowns in a bound that one in fifty reaches anyway.
_TAIL = (0.002, 0.005, 0.01, 0.02, 0.05)
_QUANTILES = (*_TAIL, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, *(1 - share for share in reversed(_TAIL)))
_LANGUAGE_SAMPLE = 200  # texts of each side that are asked for their language before all are
_LANGUAGE_SHARE = 0.02

Candidates = tuple[list[Predicate], csr_matrix]
"""C predicates and (texts, C) marks: 1 where one holds."""


def format_candidates(texts: Sequence[str], folded: Sequence[str], design: Design) -> Candidates:
    """All candidates of this page; the 2n texts in the order of `design`."""
    found = [
        _openings(folded, design),
        _endings(folded, design),
        measure_candidates(texts, design),
        _refusals(folded),
        _languages(texts),
    ]
    return [predicate for predicates, _ in found for predicate in predicates], csr_matrix(hstack([marks for _, marks in found]))


def read_form(texts: Sequence[str], folded: Sequence[str]) -> None:
    """Reads off texts what the candidates of this page need, and keeps it by text."""
    for text, plain in zip(texts, folded, strict=True):
        _measured(text)
        _opening(plain)
        _ending(plain)
        refuses(plain)


def measure_candidates(texts: Sequence[str], design: Design) -> Candidates:
    """For each measure one bound: among the quantiles (and 1, 2, 3 for counts) that with the largest evidence of a difference."""
    table = np.array([_measured(text) for text in texts], dtype=np.float64).reshape(len(texts), len(MEASURES))
    reached = {name: _bounds(values, measure) for (name, measure), values in zip(MEASURES.items(), table.T, strict=True)}
    together = [np.zeros((len(texts), 0), dtype=np.bool_), *(above for _, above in reached.values())]
    evidence = design.evidence(csr_matrix(np.concatenate(together, axis=1).astype(np.float64)))
    chosen: list[Predicate] = []
    marks: list[FloatArray] = []
    first = 0
    for name, (bounds, above) in reached.items():
        if not bounds:
            continue
        best = int(np.argmax(evidence.growth[first : first + len(bounds)].round(9)))
        predicate, mark = MeasureBound(feature=name, at_least=bounds[best]), above[:, best]
        if MEASURES[name].theme == "Length" and MEASURES[name].kind == "count" and evidence.direction[first + best] < 0:
            # "At most 40 words" says what the changed model does; "at least 41" what it no longer does.
            predicate, mark = MeasureBound(feature=name, at_most=bounds[best] - 1), ~mark
        chosen.append(predicate)
        marks.append(mark.astype(np.float64))
        first += len(bounds)
    columns = np.stack(marks, axis=1) if marks else np.zeros((len(texts), 0))
    return chosen, csr_matrix(columns)


# Proposals are asked for after every round, over all texts so far: what is read off one text alone is kept.
@lru_cache(maxsize=1 << 15)
def _measured(text: str) -> tuple[float, ...]:
    return tuple(measure.of(text) for measure in MEASURES.values())


def _bounds(values: FloatArray, measure: Measure) -> tuple[list[float], BoolArray]:
    """Possible values of `at_least`, numbers that a sentence can say in full; and (texts, bounds) whether each text reaches them."""
    known = values[~np.isnan(values)]
    if not len(known):
        return [], np.zeros((len(values), 0), dtype=np.bool_)
    quantiles = {_sayable(value, measure) for value in np.quantile(known, _QUANTILES, method="higher").tolist()}
    quantiles |= {"count": {1.0, 2.0, 3.0}, "share": {0.01}, "flag": {1.0}, "mean": set[float]()}[measure.kind]
    bounds = sorted(bound for bound in quantiles if bound > 0)
    with np.errstate(invalid="ignore"):
        above = values[:, None] >= np.array(bounds)[None, :]
    counts = above.sum(axis=0)
    useful = (counts >= _FEWEST_TEXTS) & (counts <= len(known) - _FEWEST_TEXTS) if len(bounds) else np.zeros(0, dtype=np.bool_)
    return [bound for bound, use in zip(bounds, useful.tolist(), strict=True) if use], above[:, useful]


def _sayable(value: float, measure: Measure) -> float:
    return round(value, 2) if measure.kind == "share" else float(f"{value:.{2 if measure.kind == 'mean' else 3}g}")


def _openings(folded: Sequence[str], design: Design) -> Candidates:
    found, marks = _edges([_opening(text) for text in folded], design)
    return [Opening(phrase=phrase) for phrase in found], marks


@lru_cache(maxsize=1 << 15)
def _opening(text: str) -> tuple[str, ...]:
    """The first sign, word, two words and three words."""
    head = text.lstrip()
    start = first_letter(text)
    words = tokens(text[start : start + _EDGE_CHARACTERS], most=_EDGE_WORDS)
    sign = [head[0]] if head and len(text) - len(head) < start else []
    return (*sign, *_runs(words[: words.index("")] if "" in words else words[:_EDGE_WORDS], last=False))


def _endings(folded: Sequence[str], design: Design) -> Candidates:
    found, marks = _edges([_ending(text) for text in folded], design)
    return [Ending(phrase=phrase) for phrase in found], marks


@lru_cache(maxsize=1 << 15)
def _ending(text: str) -> tuple[str, ...]:
    """The last sign, word, two words and three words."""
    body = text.rstrip()
    end = after_last_letter(text)
    start = max(0, end - _EDGE_CHARACTERS)
    words = tokens(text[start:end])[:-1]  # the last is the end mark
    breaks = len(words) - words[::-1].index("") if "" in words else 0
    whole = max(breaks, 1 if start else 0)  # the first word may be cut
    sign = [body[-1]] if body and end < len(body) else []
    return (*sign, *_runs(words[whole:], last=True))


def _runs(words: list[str], last: bool) -> list[str]:
    """The first (or last) one, two, three words as phrases."""
    sizes = range(1, min(_EDGE_WORDS, len(words)) + 1)
    return [as_phrase(words[-size:] if last else words[:size]) for size in sizes]


def _edges(phrases_of: Sequence[Sequence[str]], design: Design) -> tuple[list[str], csr_matrix]:
    """The phrases that differ most between the sides, and (texts, phrases) marks.

    Not the most common ones: how one text in a thousand begins may be all that changed.
    """
    counts = Counter(phrase for phrases in phrases_of for phrase in phrases)
    sayable = sorted(phrase for phrase, count in counts.items() if count >= _FEWEST_TEXTS and phrase.isprintable())
    column = {phrase: number for number, phrase in enumerate(sayable)}
    places = [(row, column[phrase]) for row, phrases in enumerate(phrases_of) for phrase in set(phrases) if phrase in column]
    rows, columns = np.array(places, dtype=np.int64).reshape(-1, 2).T
    marks = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(phrases_of), len(column)))
    kept = most_telling(sayable, marks, design, _MOST_EDGES)
    return [sayable[one] for one in kept], csr_matrix(marks.tocsc()[:, kept])


def _refusals(folded: Sequence[str]) -> Candidates:
    predicate = Refusal()
    marks = np.fromiter((refuses(text) for text in folded), dtype=np.float64, count=len(folded))
    return _worth([predicate], csr_matrix(marks[:, None]))


def _languages(texts: Sequence[str]) -> Candidates:
    """Languages of a sample; where more than one shows, of all texts."""
    half = len(texts) // 2
    step = max(1, half // _LANGUAGE_SAMPLE)
    sample = [language_of(text[:600]) for text in [*texts[:half:step], *texts[half::step]]]
    seen = Counter(language for language in sample if language is not None)
    if sum(count >= max(2, _LANGUAGE_SHARE * len(sample) / 2) for count in seen.values()) < 2:
        return [], csr_matrix((len(texts), 0))
    languages = [language_of(text[:600]) for text in texts]
    names = sorted({language for language in languages if language is not None})
    marks = np.array([[float(language == name) for name in names] for language in languages]).reshape(len(texts), len(names))
    return _worth([Language(language=name) for name in names], csr_matrix(marks))


def _worth(predicates: list[Predicate], marks: csr_matrix) -> Candidates:
    """Those that hold for three texts or more."""
    counts = np.asarray(marks.sum(axis=0)).ravel()
    kept = np.flatnonzero(counts >= _FEWEST_TEXTS).tolist()
    return [predicates[column] for column in kept], csr_matrix(csc_matrix(marks)[:, kept])
