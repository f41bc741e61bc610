from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_interventions.prompts import beginning, free_prompts, mine_prefixes
from auto_interventions.records import Generation, IntArray, Pair, Prompt


def pair(prompt: Prompt, base: str, intervention: str, sample: int = 0) -> Pair:
    return Pair(
        prompt, Generation("base", prompt, sample, base, 0, True), Generation("intervention", prompt, sample, intervention, 0, True), 0
    )


def story(word: str, number: int = 0) -> str:
    return f" {word} went to the river with friend {number} and sang there all day."


def zeros(pairs: list[Pair]) -> IntArray:
    return np.zeros(len(pairs), dtype=np.int64)


@pytest.mark.parametrize(
    ("text", "words", "start"),
    [
        (" One day a little otter  went to the river.", 4, " One day a little"),
        ("One\n\n day, a little otter went", 2, "One\n\n day,"),
        ("one two three four five", 6, "one two"),  # at most half, so that something is left to say
        ("one two", 6, "one"),
        ("one", 6, ""),
        ("  ", 6, ""),
        ("", 6, ""),
        ("我们一起去河边玩", 3, "我们一"),
        ("เก้าอี้ตัวนี้", 1, "เ"),
        ("กี่คนมาที่นี่", 1, "กี่"),  # a vowel sign and a tone mark stay with their letter
    ],
)
def test_a_beginning_ends_with_a_word(text: str, words: int, start: str) -> None:
    assert beginning(text, words) == start
    assert text.startswith(start)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab .,\n我é\u0301ก\u0e35", max_size=40), st.integers(1, 12))
def test_a_beginning_is_one_and_leaves_something(text: str, words: int) -> None:
    start = beginning(text, words)
    assert text.startswith(start)
    assert not start or text[len(start) :].strip()
    assert start == start.rstrip()


def test_free_prompts_are_distinct_beginnings() -> None:
    texts = ["One day an otter went home again.", " one DAY, an otter sang to her friends", "A cat", "", "x"]
    assert [prompt.text for prompt in free_prompts(texts, 3)] == ["One day an", "A"]
    assert free_prompts([], 3) == []


OTTER, CAT, FOX = (Prompt(f"Tell me of the {animal}.", "animals") for animal in ("otter", "cat", "fox"))


def test_the_most_telling_pairs_give_the_prefixes_and_the_stratum_is_theirs() -> None:
    pairs = [pair(OTTER, story("Ann"), story("Ben")), pair(CAT, story("Cleo"), story("Dan")), pair(FOX, story("Eve"), story("Finn"))]
    mined = mine_prefixes(pairs, np.array([0.1, 0.9, -0.2]), zeros(pairs), {0: 10}, 3, [OTTER, CAT, FOX])
    assert [(prompt.text, prompt.prefix) for prompt in mined[0]] == [
        (CAT.text, " Dan went to"),
        (CAT.text, " Cleo went to"),
        (OTTER.text, " Ben went to"),
        (OTTER.text, " Ann went to"),
    ]
    assert {(prompt.stratum, prompt.pool) for prompt in mined[0]} == {("animals", "explore")}
    assert len({prompt.id for prompt in (*mined[0], OTTER, CAT, FOX)}) == 7


def test_each_stratum_gets_what_it_wants_and_no_other_does() -> None:
    pairs = [pair(Prompt(f"{name} {number}", name), story(f"A{number}"), story(f"B{number}")) for name in "xyz" for number in range(9)]
    strata = np.repeat([0, 1, 2], 9)
    bank = [one.prompt for one in pairs]
    mined = mine_prefixes(pairs, np.linspace(1, 0.1, 27), strata, {0: 4, 2: 50}, 6, bank)
    assert {stratum: len(prompts) for stratum, prompts in mined.items()} == {0: 4, 2: 18}
    assert {prompt.stratum for prompt in mined[0]} == {"x"}


def test_prompts_take_turns() -> None:
    pairs = [pair(OTTER, story("Ann", number), story(f"Ben{number}"), number) for number in range(6)]
    pairs.append(pair(CAT, story("Cleo"), story("Dan")))
    mined = mine_prefixes(pairs, np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.1]), zeros(pairs), {0: 6}, 2, [OTTER, CAT])[0]
    assert [prompt.prefix for prompt in mined] == [" Ben0 went", " Ann went", " Ben1 went", " Dan went", " Cleo went", " Ben2 went"]


def test_what_reads_like_a_prompt_of_the_bank_is_left_out_in_either_pool() -> None:
    once = Prompt("Once upon a time", "s")
    known = Prompt("once upon a time, there was", "s", "confirm")
    pairs = [pair(once, " There was an otter here", " there lived an otter here"), pair(once, " THERE lived! an otter here", " a b", 1)]
    mined = mine_prefixes(pairs, np.array([0.5, 0.4]), zeros(pairs), {0: 9}, 2, [once, known])[0]
    assert [prompt.whole for prompt in mined] == ["Once upon a time there lived", "Once upon a time a"]
    again = mine_prefixes(pairs, np.array([0.5, 0.4]), zeros(pairs), {0: 9}, 2, [once, known, *mined])
    assert again == {0: ()}


def test_a_prompt_that_was_mined_gets_a_longer_prefix() -> None:
    begun = Prompt("Tell me.", "s", prefix=" One day")
    mined = mine_prefixes([pair(begun, " a fox came by", " an otter came by")], np.array([1.0]), np.array([0]), {0: 1}, 2, [begun])
    assert mined[0] == (Prompt("Tell me.", "s", prefix=" One day an otter"),)


def test_the_confirm_pool_is_never_mined() -> None:
    pairs = [pair(Prompt("kept for testing", "s", "confirm"), story("Ann"), story("Ben"))]
    with pytest.raises(ValueError, match="the confirm pool stays untouched"):
        mine_prefixes(pairs, np.array([1.0]), zeros(pairs), {0: 1}, 3, [])


def test_one_score_a_pair() -> None:
    pairs = [pair(OTTER, story("Ann"), story("Ben"))]
    with pytest.raises(ValueError, match="1 pairs need one score and one stratum each, not 2 and 1"):
        mine_prefixes(pairs, np.ones(2), zeros(pairs), {0: 1}, 3, [])
    assert mine_prefixes([], np.zeros(0), np.zeros(0, dtype=np.int64), {0: 1}, 3, []) == {0: ()}
