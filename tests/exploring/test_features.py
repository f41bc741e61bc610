from __future__ import annotations

import time

import numpy as np
import pytest

from auto_interventions.exploring import text_features
from auto_interventions.exploring.features import _CACHE, CACHED, FORMAT_COUNTS, HASHED, MARK, STEPS, format_counts
from auto_interventions.fingerprint import generator


def vectors(count: int, dimension: int = 8) -> np.ndarray:
    drawn = generator("test-features").normal(size=(count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_blocks_lie_side_by_side() -> None:
    features = text_features(["One otter.", ""], vectors(2))
    assert features.shape == (2, 8 + HASHED + FORMAT_COUNTS + STEPS)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[:, :8].toarray(), vectors(2))
    words = features[:, 8 : 8 + HASHED]
    assert words[0].nnz == 7  # one, otter, "one otter", "^ one", "otter $", and ^ and $ that every text has
    assert words[1].nnz == 3  # ^, $, "^ $"
    np.testing.assert_allclose(words.data, MARK)
    counts = features[:, 8 + HASHED : 8 + HASHED + FORMAT_COUNTS].toarray()
    np.testing.assert_allclose(counts, format_counts(["One otter.", ""]))
    assert np.isfinite(features.toarray()).all()


def test_words_that_both_texts_have_leave_no_difference() -> None:
    one, other = text_features(["The old otter swam home.", "The old otter, very old, swam home."], vectors(2))[:, 8 : 8 + HASHED]
    assert (other - one).count_nonzero() <= 7  # very, "otter very", "very old", "old swam", "otter swam", and no more


def test_steps_mark_a_rare_layout() -> None:
    steps = text_features(["One.\nTwo.\nThree.\nFour.", "One. Two. Three. Four."], vectors(2))[:, 8 + HASHED + FORMAT_COUNTS :]
    assert set(np.unique(steps.toarray()).tolist()) == {0.0, float(np.float32(MARK))}
    assert (steps[0] - steps[1]).count_nonzero() >= 3  # at least 1, 2, 3 line breaks


def test_equal_texts_are_read_once() -> None:
    _CACHE._rows.clear()
    once = text_features(["One otter.", "Two."], vectors(2)).toarray()
    kept = dict(_CACHE._rows)
    again = text_features(["Two.", "One otter.", "Two."], vectors(3))
    assert len(kept) == 2
    assert all(_CACHE._rows[text] is row for text, row in kept.items())
    np.testing.assert_array_equal(again[:, 8:].toarray(), once[[1, 0, 1], 8:])


def test_the_cache_is_bounded_and_answers_beyond_its_bound() -> None:
    texts = [str(number) for number in range(CACHED + 50)]
    features = text_features(texts, np.zeros((len(texts), 1), dtype=np.float32))
    assert features.shape[0] == len(texts)
    assert len(_CACHE._rows) == CACHED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("One. Two.", "One.\nTwo."),
        ("One.\nTwo.", "One.\n\nTwo."),
        ("one two", "One Two"),
        ("One two", "One TWO"),
        ("One, two", "One two"),
        ("One two.", "One two!"),
        ("One two.", "One two"),
        ('He said "no".', "He said “no”."),
        ("One two", "One  two"),
        ("- one\n- two", "one\ntwo\n"),
        ("One – two", "One - two"),
        ("one 2", "one two"),
        ("One", " One"),
        ("naïve", "naive"),
    ],
)
def test_format_is_seen_where_word_tokenizers_are_blind(one: str, other: str) -> None:
    counts = format_counts([one, other])
    assert np.abs(counts[0] - counts[1]).max() > 0.1


def test_a_text_has_the_same_features_in_any_company() -> None:
    texts = ["A story.\n\nThe end.", "Well, “yes” 😀", "", "x" * 500]
    together = text_features(texts, vectors(4)).toarray()
    alone = np.concatenate([text_features([text], vectors(4)[[row]]).toarray() for row, text in enumerate(texts)])
    np.testing.assert_array_equal(together, alone)


def test_odd_texts() -> None:
    assert text_features([], np.zeros((0, 8), dtype=np.float32)).shape[0] == 0
    assert np.isfinite(format_counts(["\ud800 lone surrogate", "\x00", "\n" * 1000, "é" * 50])).all()


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="vectors"):
        text_features(["a"], vectors(2))
    with pytest.raises(ValueError, match="finite"):
        text_features(["a"], np.full((1, 8), np.nan, dtype=np.float32))


def test_fast_enough() -> None:
    """4,000 texts of 75 words within a round's second, with room for the fit."""
    random = generator("test-features", "speed")
    vocabulary = [f"word{number}" for number in range(2000)]
    texts = [" ".join(random.choice(vocabulary, 75)) + ".\nEnd." for _ in range(1000)]
    text_features(texts[:2], vectors(2, 384))
    start = time.process_time()
    text_features(texts, vectors(1000, 384))
    assert time.process_time() - start < 0.4
