"""Which words and phrases become candidates: rare ones too, and no more than chance makes surprising."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.hypotheses.evidence import Design
from auto_interventions.hypotheses.formats import format_candidates
from auto_interventions.hypotheses.lexical import lexical_candidates, surprise
from auto_interventions.hypotheses.predicates import MeasureBound, Opening


def test_surprise_is_symmetric_never_negative_and_grows_with_texts() -> None:
    gained, lost = np.array([50.0, 2.0, 10.0, 0.0, 100.0]), np.array([10.0, 0.0, 10.0, 0.0, 100.0])
    nats = surprise(gained, 100, lost, 100)
    assert nats == pytest.approx(surprise(lost, 100, gained, 100))
    assert nats[[2, 3, 4]] == pytest.approx(0), "the same rates, at the edges too"
    assert nats[0] > 10 > 3 > nats[1] > 0
    assert surprise(2 * gained, 200, 2 * lost, 200) == pytest.approx(2 * nats)


def test_surprise_of_the_null_is_half_a_chi_squared() -> None:
    rng = np.random.default_rng(1)
    nats = surprise(*[value for _ in range(2) for value in (rng.binomial(400, 0.1, 4000).astype(float), 400)])
    assert np.mean(2 * nats > 3.84) == pytest.approx(0.05, abs=0.015)


def many_stories(pairs: int = 3_000, planted: int = 12) -> tuple[list[str], Design]:
    """Two models that begin, tell and end a story in any of two thousand ways; a few of the second's texts begin with a quotation mark,
    hold a phrase that nobody else writes, and go on for longer."""
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(2_000)]
    texts = [" ".join(rng.choice(words, 12)) + "." for _ in range(2 * pairs)]
    for place in rng.choice(pairs, planted, replace=False).tolist():
        head, *rest = texts[pairs + place].split(" ")
        texts[pairs + place] = " ".join(['"' + head, *rest, "after all the help,", *rng.choice(words, 8)]) + "."
    return texts, Design([f"p{pair}" for pair in range(pairs)], ["s"] * pairs)


def test_what_one_text_in_250_has_is_a_candidate() -> None:
    """The rarest change that could still be confirmed must not be lost among what is common: words, openings, tails of lengths."""
    texts, design = many_stories()
    phrases, marks, counted = lexical_candidates(texts, design)
    assert counted > 2_000
    assert marks.shape == (len(texts), len(phrases))
    assert ("after all the help",) in phrases
    found, _ = format_candidates(texts, texts, design)
    assert Opening(phrase='"') in found
    assert any(isinstance(one, MeasureBound) and one.feature == "words" and (one.at_least or 0) > 12 for one in found)
