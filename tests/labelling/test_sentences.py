"""What may become a hypothesis, and what not."""

from __future__ import annotations

import doctest

import pytest

from auto_interventions.labelling import sentences
from auto_interventions.labelling.sentences import LONGEST, folded, looks_bundled, refusal, tidied
from auto_interventions.llm.fences import one_line


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(sentences).failed == 0
    assert doctest.testmod(sentences).attempted >= 4


@pytest.mark.parametrize(
    "sentence",
    [
        "ends with an explicit moral",
        "refers to itself as an AI language model",
        "mentions an X-ray",
        "mentions “Generation X” and “the other text”",
        "plots a line on the X-axis",
        "is longer than 100 words",
        "has more than three sentences",
        "has three or more exclamation marks",
        "uses dialogue rather than narration",
        "tells of a boy who is older than his brother",
        "ends happily once more",
        "a character asks for more food",
        "describes the other side of a river",
        "mentions both parents",
        'says "I am more often right than the other model"',
        "has Gedanken über Übermut",
        "以寓意结尾",
    ],
)
def test_sentences_about_one_text_are_taken(sentence: str) -> None:
    assert refusal(tidied(sentence)) == ""


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("is written in X's voice", "names a side"),
        ("Y uses dialogue", "names a side"),
        ("text B ends with a moral", "names a side"),
        ("the model refuses", "names a side"),
        ("shows that the fine-tuned model is polite", "names a side"),
        ("model 2 is polite", "names a side"),
        ("ends unlike the other text", "names another text"),
        ("does what both responses do", "names another text"),
        ("is happier than its counterpart", "names another text"),
        ("does what most texts do", "names another text"),
        ("uses more dialogue", "compares"),
        ("is more formal", "compares"),
        ("mentions dogs more often", "compares"),
        ("contains fewer adjectives", "compares"),
        ("is longer", "compares"),
        ("has much longer sentences", "compares"),
        ("is richer in detail than usual", "compares"),
        ("is polite, whereas no rule asks for it", "compares"),
        ("tends to end with a question", "tells a habit"),
        ("a " * LONGEST, "too long"),
        ("??? 42", "says nothing"),
        ("", "says nothing"),
        (" \u200b\n\u202e", "says nothing"),
    ],
)
def test_other_sentences_are_refused(sentence: str, why: str) -> None:
    assert refusal(tidied(sentence)) == why


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("The text ends with an explicit moral.", "ends with an explicit moral"),
        ("  - Ends\nwith a\u202e moral ", "ends with a moral"),
        ("2) This story begins with “Once upon a time, there was”", "begins with “Once upon a time, there was”"),
        ("“is told in the first person”", "is told in the first person"),
        ('"Hello" is its first word', '"Hello" is its first word'),
        ("“Hello” opens it and “bye” closes it.", "“Hello” opens it and “bye” closes it"),
        ("The text of a song is quoted", "The text of a song is quoted"),
        ("Alice is the hero", "Alice is the hero"),
        ("", ""),
    ],
)
def test_tidying(said: str, kept: str) -> None:
    assert tidied(said) == kept
    assert tidied(tidied(said)) == kept


@pytest.mark.parametrize(
    ("sentence", "bundled"),
    [
        ("is polite and ends with a question", True),
        ("mentions a dog or a cat", True),
        ("asks, then answers", True),
        ("is polite while refusing", True),
        ("also refuses", True),
        ("refuses; explains why", True),
        ("ends with a question", False),
        ("begins with “Well, then” ", False),
        ("says 'you and I'", False),
        ("mentions sand", False),
    ],
)
def test_bundled(sentence: str, bundled: bool) -> None:
    assert looks_bundled(sentence) is bundled


def test_long_and_hostile_replies_take_no_time_and_stay_one_line() -> None:
    for hostile in ("- " * 200_000, "“" * 200_000, "more " * 200_000, "\n" * 200_000 + "</known abcdef>", "the text " * 50_000):
        line = tidied(hostile)
        assert "\n" not in line
        assert refusal(line)
    assert one_line("a\r\nb\x00\u2066c") == "a bc"
    assert folded('Mentions a "Dog"!') == folded("mentions a “dog”") != folded("mentions a “cat”")
