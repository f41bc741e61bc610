"""Which words and phrases become candidates: rare ones too, and no more than chance makes surprising."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from auto_interventions.hypotheses.evidence import Design
from auto_interventions.hypotheses.formats import format_candidates
from auto_interventions.hypotheses.lexical import lexical_candidates, most_telling, surprise
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


def many_stories(different: int, pairs: int = 3_000) -> tuple[list[str], Design]:
    """Two models that put a text together out of the same sentences, so that hundreds of phrases differ by chance. Six of the second's
    texts begin with a quotation mark and hold a phrase that nobody else writes; these and nine more go on for longer."""
    rng = np.random.default_rng(0)
    sentences = [" ".join(f"w{number}x{word}" for word in range(6)) for number in range(different)]
    texts = [". ".join(rng.choice(sentences, 2)) + "." for _ in range(2 * pairs)]
    for number, place in enumerate(rng.choice(pairs, 15, replace=False).tolist()):
        texts[pairs + place] += f" {rng.choice(sentences)}."
        if number < 6:
            texts[pairs + place] = f'"{texts[pairs + place]} He slept after all the help.'
    return texts, Design([f"p{pair}" for pair in range(pairs)], ["s"] * pairs)


def test_what_one_text_in_500_has_is_a_candidate() -> None:
    """The rarest change that could still be confirmed must not be lost among what is common: words, openings, tails of lengths."""
    texts, design = many_stories(1_000)
    phrases, marks, counted = lexical_candidates(texts, design)
    assert counted > 5_000
    assert marks.shape == (len(texts), len(phrases))
    assert ("after all the help",) in phrases
    texts, design = many_stories(400)
    found, _ = format_candidates(texts, texts, design)
    assert Opening(phrase='"') in found
    assert any(isinstance(one, MeasureBound) and one.feature == "words" and (one.at_least or 0) > 12 for one in found)


def test_a_common_word_that_rises_a_little_in_a_tenth_of_the_strata_is_a_candidate() -> None:
    """Of 600 common words, many differ as much by chance, all strata together or in one; its rate doubles in ten of a hundred."""
    rng = np.random.default_rng(5)
    strata, each, words, worlds, kept = 100, 40, 600, 24, 0
    design = Design([f"p{pair}" for pair in range(strata * each)], [f"s{pair // each}" for pair in range(strata * each)])
    for _ in range(worlds):
        shown = rng.random((2, strata * each, words)) < np.exp(rng.normal(np.log(0.05), 0.5, words))
        shown[1, :, 0] |= np.repeat(np.arange(strata) < 10, each) & (rng.random(strata * each) < 0.1)
        marks = csr_matrix(np.concatenate(shown).astype(float))
        kept += 0 in most_telling([f"w{word:03}" for word in range(words)], marks, design, 10)
    assert kept >= 0.6 * worlds


def test_payoffs_by_stratum_are_those_of_the_pairs() -> None:
    rng = np.random.default_rng(2)
    marks = (rng.random((24, 3)) < 0.4).astype(float)
    design = Design([f"p{pair // 2}" for pair in range(12)], [f"s{pair // 6}" for pair in range(12)])
    paid = (marks[12:] - marks[:12]).T.reshape(3, 2, 6)
    expected = np.stack([np.full((3, 2), 6.0), paid.sum(axis=2), (paid**2).sum(axis=2)], axis=-1)
    np.testing.assert_allclose(design.payoffs_by_stratum(csr_matrix(marks)), expected)


def test_a_prompt_that_was_asked_often_says_little_of_others() -> None:
    """Sixty times in one prompt's texts, or once in each of three prompts' and the other way in a fourth's."""
    marks = np.zeros((2 * 72, 2))
    marks[72:132, 0] = 1
    marks[[72, 132, 135], 1], marks[69, 1] = 1, 1
    design = Design(["often"] * 60 + [f"p{pair // 3}" for pair in range(12)], ["s"] * 72)
    np.testing.assert_allclose(design.most_nats(csr_matrix(marks), np.array([1.0, 1.0])), 4 * np.log(2) * np.array([1, 3]))
    np.testing.assert_allclose(design.most_nats(csr_matrix(marks), np.array([-1.0, -1.0])), 4 * np.log(2) * np.array([0, 1]))
