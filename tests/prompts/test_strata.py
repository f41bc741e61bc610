from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.config import PromptsConfig
from auto_interventions.errors import PromptError
from auto_interventions.prompts import stratify
from auto_interventions.records import Prompt

TOPICS = {"otter": 40, "lighthouse": 30, "piano": 20}
PROMPTS = [Prompt(f"Tell me about the {topic} number {number}.") for topic, size in TOPICS.items() for number in range(size)]
CENTRES = dict(zip(TOPICS, np.eye(3, 8), strict=True))
AUTO = PromptsConfig(path="x", strata_count=3)


def vectors(prompts: list[Prompt]) -> np.ndarray:
    noise = np.random.default_rng(0).normal(scale=0.02, size=(len(prompts), 8))
    rows = np.array([next(CENTRES[topic] for topic in TOPICS if topic in prompt.text) for prompt in prompts]) + noise
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_clusters_of_prompts_are_numbered_by_size_and_named_by_their_words() -> None:
    stratified = stratify(PROMPTS, vectors(PROMPTS), AUTO, 0)
    assert [prompt.text for prompt in stratified] == [prompt.text for prompt in PROMPTS]
    names = {prompt.text.split()[4]: prompt.stratum for prompt in stratified}
    assert len({prompt.stratum for prompt in stratified}) == 3
    for number, topic in enumerate(TOPICS, start=1):
        assert names[topic].startswith(f"{number} · ")
        assert topic in names[topic]


def test_the_same_again_and_for_another_order() -> None:
    stratified = stratify(PROMPTS, vectors(PROMPTS), AUTO, 0)
    assert stratify(PROMPTS, vectors(PROMPTS), AUTO, 0) == stratified
    assert set(stratify(PROMPTS[::-1], vectors(PROMPTS)[::-1], AUTO, 0)) == set(stratified)


def test_a_small_bank_has_fewer_strata() -> None:
    few = PROMPTS[:25]
    assert len({prompt.stratum for prompt in stratify(few, vectors(few), PromptsConfig(path="x", strata_count=8), 0)}) == 2
    three = PROMPTS[:3]
    assert len({prompt.stratum for prompt in stratify(three, vectors(three), AUTO, 0)}) == 1


def test_prompts_without_words_are_numbered() -> None:
    prompts = [Prompt(f"{number}?") for number in range(12)]
    assert {prompt.stratum for prompt in stratify(prompts, vectors(PROMPTS[:12]), AUTO, 0)} == {"1"}


def test_given_strata_are_kept() -> None:
    config = PromptsConfig(path="x", strata="given")
    prompts = [Prompt("a", "one"), Prompt("b", "two")]
    assert stratify(prompts, None, config, 0) == prompts
    with pytest.raises(PromptError, match=r"the prompt 'c' has no `stratum`"):
        stratify([*prompts, Prompt("c")], None, config, 0)


def test_vectors_are_needed() -> None:
    with pytest.raises(ValueError, match="needs one vector for each of 90 prompts"):
        stratify(PROMPTS, None, AUTO, 0)
    with pytest.raises(ValueError, match="needs one vector"):
        stratify(PROMPTS, vectors(PROMPTS)[:5], AUTO, 0)
