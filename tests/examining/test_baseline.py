from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auto_interventions.examining import BagOfWords, beside_words, learn_words
from auto_interventions.examining.baseline import _auc
from auto_interventions.records import FloatArray, Pair
from tests.examining.making import pair, pairs_of, sentence

ALPHA = 0.05


def with_a_word(random: np.random.Generator, changed: bool) -> str:
    """The intervention mentions a moral four times as often."""
    return sentence(random) + (" moral" if random.random() < (0.8 if changed else 0.2) else " ending")


def in_order(random: np.random.Generator, changed: bool) -> str:
    """The intervention sorts its words, which no count of words can see."""
    words = sentence(random).split()
    return " ".join(sorted(words) if changed and random.random() < 0.6 else words)


def holds(pairs: list[Pair], word: str) -> tuple[FloatArray, FloatArray]:
    texts = [(one.base.text, one.intervention.text) for one in pairs]
    return tuple(np.array([float(word in text[side].split()) for text in texts]) for side in (0, 1))  # pyright: ignore[reportReturnType]


def is_sorted(pairs: list[Pair]) -> tuple[FloatArray, FloatArray]:
    sides = [[one.base.text for one in pairs], [one.intervention.text for one in pairs]]
    return tuple(np.array([float(text.split() == sorted(text.split())) for text in side]) for side in sides)  # pyright: ignore[reportReturnType]


def look(write: Any, score: Any, seed: int = 0, more_in: Any = "intervention") -> dict[str, Any]:
    explored, pairs = pairs_of(300, write, "explore", seed=seed), pairs_of(200, write, "confirm", seed=seed)
    return cast(dict[str, Any], beside_words(learn_words(explored, seed), pairs, *score(pairs), more_in, ALPHA))


def test_a_sentence_about_a_word_adds_nothing_to_counting_words() -> None:
    told = look(with_a_word, lambda pairs: holds(pairs, "moral"))
    assert told["accuracy"]["bag_of_words"] == pytest.approx(told["accuracy"]["sentence"], abs=0.1)
    assert told["accuracy"]["sentence"] == pytest.approx(0.8, abs=0.06)
    assert told["auc"]["bag_of_words"] > 0.7
    assert told["payoff_on_hard"] < 0
    assert told["adds"] is False
    assert told["words"]["intervention"][0] == "moral"
    assert told["words"]["base"][0] == "ending"
    json.dumps(told)


def test_a_sentence_about_order_adds_what_no_count_can_see() -> None:
    told = look(in_order, is_sorted)
    assert abs(told["accuracy"]["bag_of_words"] - 0.5) < 0.12
    assert told["accuracy"]["sentence"] == pytest.approx(0.8, abs=0.07)
    assert told["adds"] is True
    assert told["interval"][0] > 0.3
    assert told["interval"][0] <= told["payoff_on_hard"] <= told["interval"][1]
    assert told["hard_prompts"] == told["hard_pairs"] > 100


def test_the_direction_is_the_findings() -> None:
    told = look(in_order, lambda pairs: tuple(1 - scores for scores in is_sorted(pairs)), more_in="base")
    straight = look(in_order, is_sorted)
    assert told == straight


def test_a_sentence_about_nothing_adds_nothing_over_many_seeds() -> None:
    """Scores that are noise: `adds` in at most α + 3 standard errors of 60 audits of a changed model."""
    added = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        told = look(with_a_word, lambda pairs, random=random: tuple(random.integers(0, 2, (2, len(pairs))).astype(float)), seed)
        added += told["adds"]
    assert added / 60 <= ALPHA + 3 * np.sqrt(ALPHA / 60)


def test_a_baseline_that_is_always_right_leaves_no_hard_pairs() -> None:
    explored = [pair(number, "one two", "three four", pool="explore") for number in range(60)]
    pairs = [pair(number, "one two", "three four") for number in range(30)]
    told = cast(dict[str, Any], beside_words(BagOfWords(explored), pairs, np.zeros(30), np.ones(30), "intervention", ALPHA))
    assert (told["hard_pairs"], told["payoff_on_hard"], told["interval"], told["adds"]) == (0, None, None, False)
    assert told["accuracy"] == told["auc"] == {"bag_of_words": 1.0, "sentence": 1.0}


def test_unjudged_pairs_are_left_out_and_prompts_are_the_unit() -> None:
    explored, pairs = pairs_of(100, in_order, "explore"), pairs_of(40, in_order, samples=5)
    base, intervention = is_sorted(pairs)
    base[:20], intervention[30:35] = np.nan, np.nan
    told = cast(dict[str, Any], beside_words(BagOfWords(explored), pairs, base, intervention, "intervention", ALPHA))
    assert told["pairs"] == 175
    assert told["hard_prompts"] <= 35
    assert told["hard_pairs"] > told["hard_prompts"]
    nothing = beside_words(BagOfWords(explored), pairs, np.full(200, np.nan), intervention, "intervention", ALPHA)
    assert nothing == {"not_available": "no pair was judged"}


def test_too_little_to_learn_from_is_a_value() -> None:
    few = learn_words(pairs_of(19, in_order, "explore"))
    mute = learn_words([pair(number, "", "!?", pool="explore") for number in range(50)])
    assert (few, mute) == ("19 explored pairs are too few to learn words from", "the explored texts share no words")
    pairs = pairs_of(10, in_order)
    assert beside_words(few, pairs, *is_sorted(pairs), "intervention", ALPHA) == {"not_available": few}


def test_it_may_not_be_tried_on_what_it_learned() -> None:
    explored = pairs_of(60, in_order, "explore")
    with pytest.raises(ValueError, match="learned on"):
        beside_words(BagOfWords(explored), explored[:5], *is_sorted(explored[:5]), "intervention", ALPHA)
    with pytest.raises(ValueError, match="as many scores"):
        beside_words(BagOfWords(explored), pairs_of(5, in_order), np.zeros(4), np.zeros(5), "intervention", ALPHA)


def test_the_area_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    before, after = random.integers(0, 5, 40) / 4, random.integers(1, 6, 50) / 4
    assert _auc(before, after) == pytest.approx(roc_auc_score([0] * 40 + [1] * 50, np.concatenate([before, after])))


def test_the_same_seed_learns_the_same() -> None:
    explored, pairs = pairs_of(80, with_a_word, "explore"), pairs_of(20, with_a_word)
    texts = [one.base.text for one in pairs]
    assert BagOfWords(explored, 1).scores(texts).tolist() == BagOfWords(explored, 1).scores(texts).tolist()
