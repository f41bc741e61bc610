from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_interventions.prompts import split
from auto_interventions.records import Prompt

PROMPTS = [Prompt(f"prompt {number}", f"stratum {number % 7}") for number in range(350)]


def explorers(prompts: list[Prompt]) -> set[str]:
    return {prompt.text for prompt in prompts if prompt.pool == "explore"}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_each_stratum_is_split_by_the_share(share: float) -> None:
    done = split(PROMPTS, share, 0)
    assert [(prompt.text, prompt.stratum) for prompt in done] == [(prompt.text, prompt.stratum) for prompt in PROMPTS]
    counts = Counter(prompt.stratum for prompt in done if prompt.pool == "explore")
    assert all(abs(count - 50 * share) <= 1 for count in counts.values())
    assert len(counts) == 7


def test_depends_on_seed_and_texts_and_not_on_order() -> None:
    chosen = explorers(split(PROMPTS, 0.5, 0))
    assert explorers(split(PROMPTS[::-1], 0.5, 0)) == chosen
    assert explorers(split(PROMPTS, 0.5, 1)) != chosen
    assert 60 < len(chosen & explorers(split(PROMPTS, 0.5, 1))) < 115  # half of 175, as independent choices share


def test_every_prompt_explores_as_often_as_the_share_says() -> None:
    times = Counter(text for seed in range(200) for text in explorers(split(PROMPTS[:30], 0.5, seed)))
    assert len(times) == 30
    assert all(65 < count < 135 for count in times.values())  # five standard deviations of Binomial(200, 1/2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.floats(0.05, 0.95), st.integers(0, 5))
def test_small_strata_are_in_both_pools_and_the_share_holds_over_all(sizes: list[int], share: float, seed: int) -> None:
    prompts = [Prompt(f"{stratum} {number}", f"{stratum:02d}") for stratum, size in enumerate(sizes) for number in range(size)]
    done = split(prompts, share, seed)
    pools = {(prompt.stratum, prompt.pool) for prompt in done}
    for stratum, size in enumerate(sizes):
        if size > 1:
            assert (f"{stratum:02d}", "explore") in pools
            assert (f"{stratum:02d}", "confirm") in pools
    if all(size == 1 for size in sizes):
        assert abs(len(explorers(done)) - share * len(sizes)) <= 1
