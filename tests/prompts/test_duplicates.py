from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_interventions.config import PromptsConfig
from auto_interventions.prompts import free_prompts, split, without_copies
from auto_interventions.prompts.duplicates import near_copies, plain_words
from auto_interventions.records import Prompt


def shingles(text: str) -> set[tuple[str, ...]]:
    words = plain_words(text).split()
    return {tuple(words)} if len(words) < 3 else set(zip(words, words[1:], words[2:], strict=False))


def similarity(one: str, other: str) -> float:
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


def by_hand(texts: list[str], share: float) -> list[int]:
    """The definition itself: each text against every earlier one that was kept."""
    kept: list[int] = []
    copies: list[int] = []
    for place, text in enumerate(texts):
        first = next((earlier for earlier in kept if similarity(texts[earlier], text) >= share - 1e-12), -1)
        copies.append(first)
        if first < 0:
            kept.append(place)
    return copies


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
def test_every_near_copy_is_found_and_no_other(share: float) -> None:
    chance = random.Random(7)
    vocabulary = [f"word{number}" for number in range(25)]
    texts: list[str] = []
    for _ in range(250):
        words = chance.choices(vocabulary, k=chance.randint(1, 14))
        texts.append(" ".join(words))
        if chance.random() < 0.5:
            words[chance.randrange(len(words))] = chance.choice(vocabulary)
            texts.append(" ".join(words).upper())
    found = near_copies(texts, share)
    assert found == by_hand(texts, share)
    assert sum(first >= 0 for first in found) >= 5


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet="ab c", min_size=1, max_size=16).filter(lambda text: bool(text.strip())), max_size=12), st.floats(0.05, 1))
def test_small_texts_too(texts: list[str], share: float) -> None:
    assert near_copies(texts, share) == by_hand(texts, share)


def test_a_frame_that_all_share_makes_copies_only_of_those_that_say_the_same() -> None:
    texts = [f"Tell me a long and winding story about {what}, please." for what in ("an otter", "two old foxes", "an otter")]
    assert near_copies(texts, 0.95) == [-1, -1, 0]
    assert near_copies(texts, 0.3) == [-1, 0, 0]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    assert near_copies(["我们一起去河边玩吧今天", "我们一起去河边玩吧明天", "他不喜欢吃鱼和米饭"], 0.5) == [-1, 0, -1]


def test_chains_do_not_become_one() -> None:
    words = [f"w{number}" for number in range(40)]
    texts = [" ".join(words[start : start + 20]) for start in range(0, 20, 2)]
    copies = near_copies(texts, 0.75)
    kept = [text for text, first in zip(texts, copies, strict=True) if first < 0]
    assert len(kept) > 1
    assert all(similarity(one, other) < 0.75 for one, other in pairwise(kept))


def test_plain_words_of_ascii_and_of_the_rest_agree() -> None:
    for text in ("One DAY, an otter\n", "a_b-c  d", "?!", " 3.5 %", "Ünder  the SEA", "ﬁne"):
        assert plain_words(text) == plain_words(text + "\u200a").removesuffix(" ")
    assert plain_words("?!") == "?!"


def text_of(prompt: Prompt) -> str:
    return prompt.text


def test_no_prompt_and_no_near_copy_lies_in_both_pools() -> None:
    """The reference pipeline tested hypotheses on prompts, and near copies of prompts, that had suggested them."""
    chance = random.Random(3)
    words = [f"word{number}" for number in range(300)]
    texts: list[str] = []
    for _ in range(150):
        said = chance.choices(words, k=12)
        texts += [" ".join(said), " ".join(said).upper() + "!", " ".join([*said[:-1], "otherwise"])]
    chance.shuffle(texts)
    prompts = without_copies(free_prompts(texts, 50), 0.7, text_of)
    pools = split(prompts, 0.5, 0)
    explore = [prompt.text for prompt in pools if prompt.pool == "explore"]
    confirm = [prompt.text for prompt in pools if prompt.pool == "confirm"]
    assert len(explore) > 50
    assert max(similarity(one, other) for one in explore for other in confirm) < 0.7
    mixed = split([Prompt(text) for text in texts], 0.5, 0)
    sides = [{plain_words(prompt.text) for prompt in mixed if prompt.pool == pool} for pool in ("explore", "confirm")]
    assert sides[0] & sides[1], "the bank has copies, so that what is tested here could fail"


def test_none_keeps_all() -> None:
    prompts = [Prompt("a b c d"), Prompt("a b c d e")]
    assert without_copies(prompts, None, text_of) == prompts
    assert without_copies(prompts, 0.6, text_of) == prompts[:1]
    assert near_copies([], 0.5) == []
    assert PromptsConfig(path="x").near_duplicates is None
