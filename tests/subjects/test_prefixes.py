"""Prompts whose answer begins with words that are given: what is sent, under which seed and key, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.fingerprint import fingerprint
from auto_interventions.records import Generation, Prompt
from auto_interventions.stores import open_store
from auto_interventions.subjects import Request, check_subject, open_subject
from auto_interventions.subjects.chat import Codec
from auto_interventions.subjects.stored import StoredSubject

from .tiny_models import byte_tokenizer, piece_tokenizer

SAMPLING = SamplingConfig(max_new_tokens=12, batch_tokens=400)
Folder = Callable[..., Path]


def codec(tokenizer: Any, **config: Any) -> Codec:
    return Codec(tokenizer, SubjectConfig(model="tiny", **config), "base", [2])


@pytest.mark.parametrize("make", [byte_tokenizer, piece_tokenizer])
@pytest.mark.parametrize(
    ("prompt", "prefix"), [("One day ", "a little otter"), ("One day", " a little"), ("One", " day a little otter went")]
)
def test_a_raw_prompt_and_its_prefix_are_encoded_as_one_text(make: Any, prompt: str, prefix: str) -> None:
    speech = codec(make())
    assert speech.encode(prompt, prefix) == speech.encode(prompt + prefix)
    assert speech.encode(prompt) != speech.encode(prompt, prefix)


def test_in_a_chat_the_prefix_opens_the_answer() -> None:
    tokenizer = byte_tokenizer(chat=True)
    ids = codec(tokenizer, system_prompt="Be brief.").encode("Hi", "The lighthouse")
    assert tokenizer.decode(ids) == "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>The lighthouse"
    marker = tokenizer.convert_tokens_to_ids("<|assistant|>")
    assert ids[ids.index(marker) + 1 :] == tokenizer("The lighthouse", add_special_tokens=False)["input_ids"]


def test_a_cut_between_words_leaves_the_tokens_before_it_as_they_are() -> None:
    tokenizer = byte_tokenizer()
    speech = codec(tokenizer)
    whole = tokenizer("One day a little otter went to the river.")["input_ids"]
    before = speech.encode("One day", " a little")
    assert whole[: len(before)] == before
    assert speech.decode(before, whole[len(before) :]) == " otter went to the river."


def test_what_comes_back_is_the_continuation_alone() -> None:
    tokenizer = piece_tokenizer()  # its decoder would drop the space before the first word
    speech = codec(tokenizer)
    words = tokenizer("otter went to the river.", add_special_tokens=False)["input_ids"]
    assert speech.decode(speech.encode("One day", " a little"), words) == " otter went to the river."


def test_ids_seeds_and_keys_know_the_prefix_and_stay_as_they_were_without_one(model_folder: Folder, tmp_path: Path) -> None:
    plain, begun = Prompt("One day a little"), Prompt("One day", prefix=" a little")
    assert plain.whole == begun.whole
    ids = [Generation("base", prompt, 0, "", 0, True).id for prompt in (plain, begun)]
    assert (plain.id, ids[0]) == (fingerprint("prompt", plain.text)[:16], fingerprint("text", "base", plain.text, 0)[:16])
    assert begun.id == replace(begun, stratum="x").id
    assert plain.id != begun.id
    assert ids[0] != ids[1]
    subject = open_subject(SubjectConfig(model=str(model_folder())), "base", SAMPLING, open_store(str(tmp_path / "store")))
    assert isinstance(subject, StoredSubject)
    assert subject.key(plain, 0) != subject.key(begun, 0)
    texts = subject.generate([Request(plain, 0, 4), Request(begun, 0, 4)])
    assert {text.text for text in texts[:4]} != {text.text for text in texts[4:]}, "the same words are sent, but drawn afresh"
    assert subject.generate([Request(begun, 0, 4)]) == texts[4:]
    assert (subject.computed, subject.reused) == (8, 4)


def test_a_model_goes_on_from_the_prefix_as_from_the_same_text(model_folder: Folder) -> None:
    """At a temperature near 0 the numbers drawn do not matter: what is sent does."""
    cold = SAMPLING.model_copy(update={"temperature": 1e-4})
    subject = open_subject(SubjectConfig(model=str(model_folder())), "base", cold, None)
    requests = [Request(Prompt("One day", prefix=" a little otter"), 0, 1), Request(Prompt("One day a little otter"), 0, 1)]
    begun, plain = subject.generate([*requests, Request(Prompt("One day"), 0, 1)])[:2]
    assert begun.text == plain.text != ""
    assert not begun.text.startswith(" a little otter")


@pytest.mark.parametrize("chat", [False, True], ids=["raw", "chat"])
def test_the_continuation_is_the_one_that_transformers_gives(model_folder: Folder, chat: bool) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = model_folder(chat=chat)
    subject = open_subject(SubjectConfig(model=str(folder)), "base", SAMPLING.model_copy(update={"temperature": 1e-4}), None)
    text = subject.generate([Request(Prompt("One day", prefix=" a little otter"), 0, 1)])[0].text
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    sent = "<|user|>One day<|end|><|assistant|> a little otter" if chat else "<s>One day a little otter"
    ids = tokenizer(sent, add_special_tokens=False, return_tensors="pt")["input_ids"]
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        greedy = model.generate(ids, do_sample=False, max_new_tokens=SAMPLING.max_new_tokens)[0, ids.shape[1] :]
    assert text == tokenizer.decode(greedy, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def test_a_prefix_that_leaves_no_room_is_known_beforehand(model_folder: Folder) -> None:
    subject = open_subject(SubjectConfig(model=str(model_folder())), "base", SAMPLING, None)
    long = Prompt("One day", prefix=" a little otter went to the river" * 30)
    assert subject.available(long) == 0
    assert subject.available(Prompt("One day", prefix=" a little")) is None
    assert subject.available(Prompt("One day")) is None
    with pytest.raises(SubjectError, match="has room for 128 tokens"):
        subject.generate([Request(long, 0, 1)])


def test_recorded_texts_cannot_go_on(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("model,prompt,text\nbase,One day,a little otter\n")
    subject = open_subject(SubjectConfig(texts=str(path)), "base", SAMPLING, None)
    begun = Prompt("One day", prefix="a little")
    assert subject.available(Prompt("One day")) == 1
    assert subject.available(begun) == 0
    with pytest.raises(SubjectError, match=r"texts\.csv: recorded texts cannot go on from the prefix 'a little'; give a live model"):
        subject.generate([Request(begun, 0, 1)])


def test_who_can_write_from_nothing(model_folder: Folder) -> None:
    check_subject(SubjectConfig(model=str(model_folder())), "base", free=True)
    chat = model_folder("chat", chat=True)
    check_subject(SubjectConfig(model=str(chat)), "base")
    check_subject(SubjectConfig(model=str(chat), chat_template="raw"), "base", free=True)
    with pytest.raises(SubjectError, match=r"base: chat is sent chats, .*`prompts.source: free` cannot apply; .*`base.chat_template: raw`"):
        check_subject(SubjectConfig(model=str(chat)), "base", free=True)


def test_nothing_is_sent_as_the_token_that_begins_texts_or_ends_the_one_before() -> None:
    tokenizer = byte_tokenizer()
    assert codec(tokenizer).encode("") == [1]
    tokenizer.backend_tokenizer.post_processor = __import__("tokenizers").processors.ByteLevel(trim_offsets=False)
    tokenizer.bos_token = None
    assert codec(tokenizer).encode("") == [2]
    assert codec(tokenizer).encode("One day")[0] not in (1, 2), "only an empty prompt"
    tokenizer.eos_token = None
    with pytest.raises(SubjectError, match=r"has no token from which a text could begin \(neither bos nor eos\)"):
        codec(tokenizer).check_free()
