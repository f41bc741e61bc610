"""What is planted: six kinds of change, each a rewriting of one story or a choice among stories as they are.

| kind | what the intervention does | mark in the base |
| --- | --- | --- |
| word | puts a word that no story has ("velvet") in front of a noun | never |
| phrase | says "after all the help" where a sentence ends: words of the base in an order that it never uses | never |
| format | each sentence on a line of its own, words unchanged | 2% |
| length | three more ordinary sentences of the same topic | never (but 13% have five sentences or more) |
| order | the sentence that is spoken comes first, words unchanged | never |
| meaning | more of the stories whose hero ends up sad; no text that the base would not write | 8% |

`benchmarks.planted` prints the rates as measured on the pool.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from auto_interventions.planting.behaviours import sentences_of

KINDS = ("word", "phrase", "format", "length", "order", "meaning")
WORD = "velvet"
PHRASE = "after all the help"
_SAD = re.compile(r"\bfelt (sad|worried|cross|upset|afraid|lonely|puzzled|nervous)\b")
_NOUN = re.compile(r"\b(the|a|an|The|A|An) (?=[a-z])")


def has_speech(text: str) -> bool:
    """Whether a sentence after the first begins with a quotation mark."""
    sentences = sentences_of(text)
    return not sentences[0].startswith('"') and any(sentence.startswith('"') for sentence in sentences[1:])


def is_sad(text: str) -> bool:
    """Whether the story says that its hero felt bad."""
    return _SAD.search(text) is not None


def _joined(text: str, sentences: list[str], between: str | None = None) -> str:
    """Sentences joined as in `text`, which begins with what joins it to its prompt."""
    join = between if between is not None else ("\n" if "\n" in text else " ")
    return "".join(join + sentence for sentence in sentences)


def _word(text: str, mate: str) -> str | None:
    del mate
    return (
        _NOUN.sub(lambda match: f"{match[1].replace('An', 'A').replace('an', 'a')} {WORD} ", text, count=1) if _NOUN.search(text) else None
    )


def _phrase(text: str, mate: str) -> str | None:
    del mate
    sentences = sentences_of(text)
    place = next((place for place in range(len(sentences) - 1, -1, -1) if sentences[place].endswith(".")), None)
    if place is None:
        return None
    sentences[place] = f"{sentences[place][:-1]} {PHRASE}."
    return _joined(text, sentences)


def _format(text: str, mate: str) -> str | None:
    del mate
    return None if "\n" in text else _joined(text, sentences_of(text), "\n")


def _length(text: str, mate: str) -> str | None:
    return _joined(text, sentences_of(text) + sentences_of(mate)[:3])


def _order(text: str, mate: str) -> str | None:
    del mate
    if not has_speech(text):
        return None
    sentences = sentences_of(text)
    spoken = next(place for place, sentence in enumerate(sentences) if sentence.startswith('"'))
    return _joined(text, [sentences[spoken], *sentences[:spoken], *sentences[spoken + 1 :]])


REWRITES: dict[str, Callable[[str, str], str | None]] = {
    "word": _word,
    "phrase": _phrase,
    "format": _format,
    "length": _length,
    "order": _order,
}
"""Rewriting kinds: a story and another of its topic → the planted version, or None where the story cannot be rewritten."""
