"""A generated corpus of very short stories, and the prompt bank of the demo.

The grammar (grammar.yaml) draws a hero, a friend, an object and a place once a story and uses them throughout, so that stories
are coherent; sentence patterns, words and small habits (quotes, exclamation marks, a closing “The end.”, now and then a moral)
vary, so that two samples of one model differ as texts do. Eight topics serve as strata.

Openings end with their full stop and no space: byte-level BPE puts a space at the start of the word that follows, so the prompt's
tokens are exactly the first tokens of the whole story.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from auto_interventions.fingerprint import file_fingerprint, fingerprint, seed_of
from auto_interventions.records import Prompt

GRAMMAR = Path(__file__).with_name("grammar.yaml")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")


@dataclass(frozen=True, slots=True)
class Story:
    """A story of the corpus: `opening` is the prompt, `continuation` begins with the space or line break that joins it."""

    topic: str
    opening: str
    continuation: str

    @property
    def text(self) -> str:
        """The whole story."""
        return self.opening + self.continuation


@lru_cache(maxsize=1)
def grammar() -> dict[str, Any]:
    """The grammar file as data."""
    return yaml.safe_load(GRAMMAR.read_text(encoding="utf-8"))


def grammar_fingerprint() -> str:
    """What the corpus depends on besides its size and seed: the grammar file, and how it is read (by its first stories)."""
    read = [[story.topic, story.opening, story.continuation] for story in stories(200, 0)]
    return fingerprint("grammar", file_fingerprint(GRAMMAR), read)


def topics() -> tuple[str, ...]:
    """The eight topics, which are the strata of the bank."""
    return tuple(grammar()["topics"])


def stories(count: int, seed: int) -> Iterator[Story]:
    """`count` stories, the topics in turn; the same seed gives the same stories."""
    rng = Random(seed_of("corpus", seed))
    names = topics()
    for number in range(count):
        yield _story(rng, names[number % len(names)])


def prompt_bank(count: int, seed: int, topic: str | None = None) -> list[Prompt]:
    """`count` distinct openings, equally many a topic (or all of one), from the distribution of the corpus' own openings.

    `stratum` is the topic. Openings that differ only in letter case or spaces count as the same.
    """
    rng = Random(seed_of("prompt bank", seed))
    names = topics() if topic is None else (topic,)
    seen: set[str] = set()
    bank: list[Prompt] = []
    while len(bank) < count:
        stratum = names[len(bank) % len(names)]
        opening = _story(rng, stratum).opening
        key = " ".join(opening.lower().split())
        if key not in seen:
            seen.add(key)
            bank.append(Prompt(opening, stratum))
    return bank


def write_prompts(path: Path, prompts: list[Prompt]) -> None:
    """The bank as JSONL with columns prompt and stratum."""
    lines = [json.dumps({"prompt": prompt.text, "stratum": prompt.stratum}, ensure_ascii=False) for prompt in prompts]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _story(rng: Random, topic: str) -> Story:
    rules = grammar()
    group = rng.choice(("with", "without"))
    slots = _slots(rng, topic)
    opening = _fill(rng.choice(rules["openings"][group]), rng, slots)
    shape: list[str] = rng.choice(rules["shapes"])
    sentences = [_sentence(part, group, topic, rng, slots) for part in shape]
    seldom = rules["topics"][topic].get("seldom")
    if seldom and rng.random() < seldom["share"]:
        sentences.insert(rng.randrange(len(sentences)), _fill(rng.choice(seldom["sentences"]), rng, slots))
    habits: dict[str, float] = rules["habits"]
    if rng.random() < habits["the_end"]:
        sentences.append("The end.")
    elif rng.random() < habits["moral"]:
        sentences.append(_fill(rng.choice(rules["morals"]), rng, slots))
    if rng.random() < habits["shout"]:
        sentences[0] = sentences[0].removesuffix(".") + "!" if sentences[0].endswith(".") else sentences[0]
    join = "\n" if rng.random() < habits["lines"] else " "
    return Story(topic, opening, "".join(join + sentence for sentence in sentences))


def _sentence(part: str, group: str, topic: str, rng: Random, slots: dict[str, str]) -> str:
    rules = grammar()
    if part == "scene":
        return _fill(rng.choice(rules["topics"][topic]["scenes"]), rng, slots)
    return _fill(rng.choice(rules[f"event_{group}" if part == "event" else part]), rng, slots)


def _slots(rng: Random, topic: str) -> dict[str, str]:
    """What stays the same through a story."""
    rules = grammar()
    words = rules["topics"][topic]
    gender = rng.choice(("she", "he"))
    he, him, his = ("she", "her", "her") if gender == "she" else ("he", "him", "his")
    hero = rng.choice(rules["names"][gender])
    everyone = rules["names"]["she"] + rules["names"]["he"]
    kind = rng.choice(rules["kinds"][gender])
    return {
        "hero": hero,
        "friend": rng.choice([name for name in everyone if name != hero]),
        "kind": kind,
        "kind2": rng.choice([other for other in rules["kinds"]["she"] + rules["kinds"]["he"] if other != kind]),
        "he": he,
        "He": he.capitalize(),
        "him": him,
        "his": his,
        "trait": rng.choice(rules["traits"]),
        "trait2": rng.choice(rules["traits"]),
        "feel": rng.choice(rules["feelings"]),
        "woe": rng.choice(rules["woes"]),
        "sky": rng.choice(rules["skies"]),
        "adj": rng.choice(rules["adjectives"]),
        "obj": rng.choice(words["objects"]),
        "place": rng.choice(words["places"]),
        "thing": rng.choice(words["things"]),
        "do": rng.choice(words["do"]),
    }


def _fill(template: str, rng: Random, slots: dict[str, str]) -> str:
    chosen = _CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), template)
    filled = _SLOT.sub(lambda match: slots[match.group(1)], chosen)
    return _ARTICLE.sub(r"\1n ", filled)
