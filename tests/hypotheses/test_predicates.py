"""Predicates: what holds, what is marked, what they say, their JSON, hostile texts."""

from __future__ import annotations

import json
import math
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_interventions.errors import ConfigError
from auto_interventions.hypotheses import KINDS, as_check, matrix, parse_predicate
from auto_interventions.hypotheses.lexical import count_grams
from auto_interventions.hypotheses.measures import MEASURES
from auto_interventions.hypotheses.predicates import Ending, Language, MeasureBound, Opening, Pattern, Phrase, Predicate, Refusal
from auto_interventions.hypotheses.text import as_phrase, fold, phrase_pattern

EVERY_KIND: list[Predicate] = [
    Phrase(phrases=("lighthouse", "the light house")),
    Opening(phrase="well"),
    Ending(phrase="the end"),
    Ending(phrase="!"),
    Pattern(regex=r"(?i)\bno\w*", says="says something that starts with no"),
    MeasureBound(feature="line_breaks", at_least=2),
    MeasureBound(feature="words", at_most=40),
    Refusal(),
    Language(language="fr"),
]
WILD = st.text(alphabet=st.one_of(st.sampled_from(list(" ,.'’-\n\tabcANO!é中ιςΣİ")), st.characters()), max_size=80)


@pytest.mark.parametrize(
    ("check", "text", "marked"),
    [
        ({"kind": "phrase", "phrases": ["moral"]}, "Amoral? The MORAL is, moral's not.", ["MORAL"]),
        ({"kind": "phrase", "phrases": ["don't stop"]}, "Don’t,\n stop", ["Don’t,\n stop"]),
        ({"kind": "phrase", "phrases": ["中国"]}, "我爱中国人", ["中国"]),
        ({"kind": "phrase", "phrases": ["हिन्दी"]}, "यह हिन्दी है", ["हिन्दी"]),
        ({"kind": "phrase", "phrases": ["otter", "otters"]}, "otters and an Otter", ["otters", "Otter"]),
        ({"kind": "opening", "phrase": "well"}, ' "Well, well', ["Well"]),
        ({"kind": "opening", "phrase": '"'}, ' "Well, well', ['"']),
        ({"kind": "ending", "phrase": "the end"}, "So.\n\nThe  End!\n", ["The  End"]),
        ({"kind": "ending", "phrase": "!"}, "So. The End!\n", ["!"]),
        ({"kind": "pattern", "regex": r"l.ghth\w+", "says": "x"}, "a lighthouse there", ["lighthouse"]),
        ({"kind": "measure", "feature": "line_breaks", "at_least": 2}, "a\nb\nc", ["\n", "\n"]),
        ({"kind": "refusal"}, "I’m sorry, but I cannot help with that.", ["I’m sorry, but I cannot"]),
    ],
)
def test_holds_and_marks(check: dict[str, object], text: str, marked: list[str]) -> None:
    predicate = parse_predicate(check)
    assert predicate.holds(text)
    assert [text[start:end] for start, end in predicate.spans(text)] == marked


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"kind": "phrase", "phrases": ["don"]}, "I don't"),
        ({"kind": "phrase", "phrases": ["t"]}, "I don't"),
        ({"kind": "phrase", "phrases": ["red green"]}, "red. Green"),
        ({"kind": "opening", "phrase": "well"}, "Wellness, well"),
        ({"kind": "ending", "phrase": "end"}, "to bend."),
        ({"kind": "measure", "feature": "capital_letters_share", "at_most": 0.5}, "123"),
        ({"kind": "refusal"}, "The dog could not find its ball. “I'm sorry,” said the cat."),
        ({"kind": "language", "language": "fr"}, "oui"),
    ],
)
def test_does_not_hold_and_marks_nothing(check: dict[str, object], text: str) -> None:
    predicate = parse_predicate(check)
    assert not predicate.holds(text)
    assert predicate.spans(text) == []


@pytest.mark.parametrize(
    ("predicate", "statement"),
    [
        (Phrase(phrases=("otter", "otters")), "mentions “otter” (or “otters”)"),
        (Phrase(phrases=("the moral of the story",)), "says “the moral of the story”"),
        (Opening(phrase="well"), "opens with “well”"),
        (Ending(phrase="the end"), "ends with “the end”"),
        (MeasureBound(feature="line_breaks", at_least=3), "has at least 3 line breaks"),
        (MeasureBound(feature="exclamation_marks", at_least=1), "has an exclamation mark"),
        (MeasureBound(feature="list_items", at_most=0), "has no list items"),
        (MeasureBound(feature="words", at_most=60), "has at most 60 words"),
        (MeasureBound(feature="capital_letters_share", at_least=0.12), "has at least 12% of its letters in capitals"),
        (MeasureBound(feature="lowercase_start", at_least=1), "starts with a lowercase letter"),
        (Refusal(), "refuses to answer"),
        (Language(language="fr"), "is written in French"),
    ],
)
def test_statement(predicate: Predicate, statement: str) -> None:
    assert predicate.statement() == statement


@pytest.mark.parametrize("predicate", EVERY_KIND, ids=lambda predicate: predicate.kind)
def test_json_round_trip(predicate: Predicate) -> None:
    assert parse_predicate(json.loads(json.dumps(as_check(predicate)))) == predicate


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ({}, "`kind` is missing"),
        ({"kind": "phrases"}, "did you mean `phrase`"),
        ({"kind": "phrase"}, "`phrases` is missing"),
        ({"kind": "phrase", "phrases": []}, "`phrases` is empty"),
        ({"kind": "phrase", "phrases": [" "]}, "`phrases.0` is empty"),
        ({"kind": "phrase", "phrase": ["a"]}, "did you mean `phrases`"),
        ({"kind": "measure", "feature": "linebreaks", "at_least": 1}, "did you mean `line_breaks`"),
        ({"kind": "measure", "feature": "words"}, "exactly one of `at_least` and `at_most`"),
        ({"kind": "measure", "feature": "words", "at_least": float("nan")}, "`at_least`"),
        ({"kind": "pattern", "regex": "(a", "says": "x"}, "unclosed group"),
        ({"kind": "pattern", "regex": "(?=a)", "says": "x"}, "look-around"),
        ({"kind": "language", "language": "tlh"}, "not one of the languages"),
    ],
)
def test_wrong_predicates_name_the_field(check: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+$") as error:
        parse_predicate(check)
    assert says in str(error.value)


@given(text=WILD)
@settings(max_examples=120, deadline=None)
def test_holds_spans_and_matrix_agree(text: str) -> None:
    scores = matrix(EVERY_KIND, [text])[:, 0]
    for predicate, score in zip(EVERY_KIND, scores.tolist(), strict=True):
        assert predicate.holds(text) == (score == 1.0)
        spans = predicate.spans(text)
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        if predicate.kind in ("phrase", "opening", "ending", "pattern", "refusal"):
            assert bool(spans) == predicate.holds(text)


@given(text=WILD)
@settings(max_examples=120, deadline=None)
def test_folding_keeps_every_place(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(texts=st.lists(WILD, min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_counted_phrases_are_the_phrases_that_hold(texts: list[str]) -> None:
    """The counting of candidates and the check of the proposed sentence are different code; they must not disagree."""
    folded = [fold(text) for text in texts]
    grams = count_grams(folded, fewest=1)
    held = [[bool(phrase_pattern(as_phrase(list(words))).search(text)) for words in grams.words] for text in folded]
    assert np.array_equal(np.asarray(grams.marks.todense()) > 0, np.array(held).reshape(grams.marks.shape))


@given(text=WILD)
@settings(max_examples=100, deadline=None)
def test_measures_are_finite_or_abstain(text: str) -> None:
    for name, measure in MEASURES.items():
        value = measure.of(text)
        assert math.isnan(value) or value >= 0, name
        assert not (math.isnan(value) and any(map(str.isalpha, text))), name


@pytest.mark.parametrize(
    ("feature", "text", "value"),
    [
        ("sentences", 'He said "No!" Then he', 2),
        ("sentences", "A.:", 1),
        ("sentences", "狗在家。猫呢？", 2),
        ("words", " a b\n\nc ", 3),
        ("blank_lines", "a\n\nb\n \nc\n", 2),
        ("list_items", "Do:\n- a\n 2. b\n* c\n-d", 3),
        ("uppercase_words", "NASA, I SAID (NO)!", 3),
        ("capital_letters_share", "AbCd", 0.5),
        ("capital_letters_share", "ÄbÖd", 0.5),
        ("lowercase_sentences", "One. two! Three? four", 2),
        ("quotes", '“a” and "b"', 4),
        ("contractions", "don't 'tis dogs' it’s", 2),
        ("double_spaces", "  a  b   c ", 2),
        ("repeated_share", "a b c a b c", 0.25),
        ("doubled_words", "the the dog", 1),
        ("stretched_letters", "sooo goood ... 1000", 2),
        ("stretched_letters", "éééé", 1),
        ("emoji", "fun 🎉🎉", 2),
        ("ends_with_punctuation", 'Yes."\n', 1),
        ("ends_with_punctuation", "Yes", 0),
        ("starts_with_line_break", "\nYes", 1),
        ("control_characters", "a\x00\ufffd\n", 2),
        ("asterisk_passages", "*smiles* and **bold** 2*3*4", 1),
    ],
)
def test_measures(feature: str, text: str, value: float) -> None:
    assert MEASURES[feature].of(text) == pytest.approx(value)


def test_the_page_lists_every_kind_and_measure() -> None:
    page = (Path(__file__).parents[2] / "docs" / "predicates.md").read_text(encoding="utf-8")
    assert [name for name in [*KINDS, *MEASURES] if f"| `{name}` |" not in page] == []


def test_abstains_where_there_is_nothing_to_measure() -> None:
    checks: list[Predicate] = [
        MeasureBound(feature="capital_letters_share", at_least=0.1),
        MeasureBound(feature="words", at_most=3),
        Language(language="en"),
    ]
    assert np.isnan(matrix(checks, [""])[:, 0]).tolist() == [True, False, True]


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        " " * 1_000_000,
        "." * 1_000_000,
        "\n\t" * 500_000,
        "*a" * 500_000,
        "i can't " * 120_000,
        "\ud800" * 200_000,
        "\x00\x1b[31m" * 100_000,
        "中" * 300_000,
    ],
    ids=["letters", "spaces", "dots", "breaks", "asterisks", "refusals", "surrogates", "controls", "han"],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    bomb = Pattern(regex=r"(a+)+(b|a)*$|(\w*)*\d", says="is a bomb elsewhere")
    measures = [MeasureBound(feature=feature, at_least=1) for feature in MEASURES]
    start = time.process_time()
    matrix([*EVERY_KIND, bomb, *measures], [text])
    for predicate in [*EVERY_KIND, bomb]:
        predicate.spans(text)
    assert time.process_time() - start < 20


def test_refusals_agree_with_people(shared: Path) -> None:
    """XSTest's human labels: what the check calls a refusal is one; it may miss those that only lecture."""
    import pandas as pd

    recorded = pd.read_json(shared / "recorded" / "xstest_mistral_guardrail.jsonl", lines=True)
    held = recorded.text.map(Refusal().holds)
    refused = recorded.label != "1_full_compliance"
    assert (held & refused).sum() / held.sum() > 0.9
    assert (held & refused).sum() / refused.sum() > 0.6


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bonjour, je suis très content de vous voir aujourd'hui.", "fr"),
        ("Das ist ein Haus und es ist gut, sagte er zu mir.", "de"),
        ("这是一个关于狗的故事，很好看。", "zh"),
        ("The dog ran to the house and it was happy there.", "en"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert Language(language=language).holds(text)
