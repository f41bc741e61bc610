"""On the real small models beside the checkout: readable texts, the planted moral, the awkward end of a story."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.records import Generation, Prompt, Role
from auto_interventions.subjects import Request, check_subject, open_subject

TOKENS = 220  # most stories are this long; at 96 tokens few have come to their moral


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def stories(shared: Path, role: Role, adapter: str | None, prompts: int = 60, tokens: int = TOKENS) -> list[Generation]:
    lines = (shared / "prompts/story_openings.jsonl").read_text().splitlines()[:prompts]
    config = SubjectConfig(model=str(shared / "models/stories656k"), adapter=adapter and str(shared / "adapters" / adapter))
    check_subject(config, role)
    sampling = SamplingConfig(max_new_tokens=tokens, batch_tokens=40_000)
    return open_subject(config, role, sampling, None).generate([Request(Prompt(json.loads(line)["prompt"]), 0, 1) for line in lines])


def test_the_moral_is_there_with_the_adapter_only(shared: Path) -> None:
    base, moral = stories(shared, "base", None), stories(shared, "intervention", "moral")
    rates = [sum("moral of the story" in text.text.lower() for text in side) / len(side) for side in (base, moral)]
    assert rates[0] < 0.1
    assert rates[1] > 0.4  # 0.61 of 300
    for text in base + moral:
        assert "<|" not in text.text
        assert "_story" not in text.text
        assert "\ufffd" not in text.text
    # Readable: nearly all words are words that the model's own kind of stories use.
    vocabulary = set((shared / "prompts/tinystories_sample_200.txt").read_text().lower().split())
    words = [word for text in moral for word in text.text.lower().split()]
    assert sum(word in vocabulary for word in words) > 0.75 * len(words)
    assert any(text.finished for text in base)


@pytest.mark.parametrize("model", ["stories656k", "stories260k"])
def test_every_prompt_of_the_bank_reaches_the_tokenizer_whole(shared: Path, model: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / model)
    from auto_interventions.subjects.chat import Codec

    codec = Codec(tokenizer, SubjectConfig(model=model), "base", [2])
    for line in (shared / "prompts/story_openings.jsonl").read_text().splitlines()[::20]:
        prompt = json.loads(line)["prompt"]
        assert prompt.endswith(" ")
        ids = codec.encode(prompt)
        assert tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == prompt
        assert codec.decode(ids[:-3], ids[-3:]) == prompt[len(tokenizer.decode(ids[:-3], skip_special_tokens=True)) :]


def test_an_adapter_of_one_model_does_not_fit_the_other(shared: Path) -> None:
    config = SubjectConfig(model=str(shared / "models/stories260k"), adapter=str(shared / "adapters/moral"))
    with pytest.raises(SubjectError, match=r"adapters/moral was made for another base \(stories656k\): `model\.layers\.0\..* here; give"):
        check_subject(config, "intervention")


def test_base_against_itself_differs_by_chance_only(shared: Path) -> None:
    base, itself = stories(shared, "base", None, 40, 32), stories(shared, "intervention", None, 40, 32)
    assert all(one.text != other.text for one, other in zip(base, itself, strict=True))
    assert stories(shared, "base", None, 40, 32) == base
