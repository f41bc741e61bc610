from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.records import Prompt
from auto_interventions.subjects import Request, jobs_of, open_subject
from auto_interventions.subjects.live import LiveSubject

from .tiny_models import byte_tokenizer, edit_json, make_model

SAMPLING = SamplingConfig(max_new_tokens=12, batch_tokens=400)
REQUESTS = [Request(Prompt("One day " * (1 + number % 5) + str(number)), number % 2, 1 + number % 4) for number in range(24)]
Folder = Callable[..., Path]


def test_answers_in_the_order_of_requests_and_samples(model_folder: Folder) -> None:
    subject = open_subject(SubjectConfig(model=str(model_folder())), "base", SAMPLING, None)
    finished: list[int] = []
    texts = subject.generate(REQUESTS, finished.append)
    assert [(text.prompt, text.sample) for text in texts] == [(job.prompt, job.sample) for job in jobs_of(REQUESTS)]
    assert sum(finished) == len(texts)
    assert len(finished) > 3
    assert all(0 < text.tokens <= 12 for text in texts)
    assert subject.available(REQUESTS[0].prompt) is None


def test_the_same_config_gives_the_same_texts_in_any_batches(model_folder: Folder) -> None:
    config = SubjectConfig(model=str(model_folder()))
    texts = open_subject(config, "base", SAMPLING, None).generate(REQUESTS)
    again = open_subject(config, "base", SAMPLING, None).generate(REQUESTS)
    assert texts == again
    alone = [open_subject(config, "base", SAMPLING, None).generate([request]) for request in reversed(REQUESTS)]
    assert [text for part in reversed(alone) for text in part] == texts
    larger = SAMPLING.model_copy(update={"batch_tokens": 100_000})
    assert open_subject(config, "base", larger, None).generate(REQUESTS) == texts


def test_seed_role_and_sample_number_change_a_text(model_folder: Folder) -> None:
    config, request = SubjectConfig(model=str(model_folder())), [Request(Prompt("One day"), 0, 2)]
    first, second = open_subject(config, "base", SAMPLING, None).generate(request)
    assert first.text != second.text
    assert open_subject(config, "intervention", SAMPLING, None).generate(request)[0].text != first.text
    other = SAMPLING.model_copy(update={"seed": 1})
    assert open_subject(config, "base", other, None).generate(request)[0].text != first.text


def test_batches_hold_prompts_of_about_the_same_length_and_keep_samples_together(model_folder: Folder) -> None:
    subject = LiveSubject(SubjectConfig(model=str(model_folder())), "base", SAMPLING)
    jobs = jobs_of(REQUESTS)
    batches = subject.plan(jobs)
    assert sorted(job.position for batch in batches for job in batch) == list(range(len(jobs)))
    tokenizer = byte_tokenizer()
    for batch in batches:
        lengths = [len(tokenizer(job.prompt.text)["input_ids"]) for job in batch]
        assert max(lengths) - min(lengths) <= max(3, min(lengths) / 8)
        assert len(batch) * (min(lengths) + 12) <= 400
    for request in REQUESTS:
        assert sum(any(job.prompt == request.prompt for job in batch) for batch in batches) == 1


def test_more_samples_than_a_batch_holds(model_folder: Folder) -> None:
    small = SamplingConfig(max_new_tokens=12, batch_tokens=60)
    config = SubjectConfig(model=str(model_folder()))
    texts = open_subject(config, "base", small, None).generate([Request(Prompt("One day"), 0, 11)])
    assert texts == open_subject(config, "base", SAMPLING, None).generate([Request(Prompt("One day"), 0, 11)])
    assert len({text.text for text in texts}) > 8


def test_no_requests_no_texts(model_folder: Folder) -> None:
    assert open_subject(SubjectConfig(model=str(model_folder())), "base", SAMPLING, None).generate([]) == []


def test_stops_at_every_end_token_of_the_generation_config(model_folder: Folder) -> None:
    folder = model_folder()
    letters = byte_tokenizer()("e a t o", add_special_tokens=False)["input_ids"]
    edit_json(folder / "generation_config.json", eos_token_id=[2, *letters])
    texts = open_subject(SubjectConfig(model=str(folder)), "base", SAMPLING, None).generate([Request(Prompt("One day"), 0, 300)])
    edit_json(folder / "generation_config.json", eos_token_id=2)
    endless = open_subject(SubjectConfig(model=str(folder)), "base", SAMPLING, None).generate([Request(Prompt("One day"), 0, 300)])
    stopped = [(short, long) for short, long in zip(texts, endless, strict=True) if short.tokens < long.tokens]
    assert len(stopped) > 5
    for short, long in stopped:
        assert short.finished
        assert long.text.startswith(short.text.rstrip("\ufffd"))
        assert long.text != short.text


def test_no_special_token_is_in_a_text(model_folder: Folder) -> None:
    folder = model_folder(chat=True)
    texts = open_subject(SubjectConfig(model=str(folder)), "base", SAMPLING, None).generate([Request(Prompt("One day"), 0, 400)])
    for special in byte_tokenizer(chat=True).all_special_tokens:
        assert not any(special in text.text for text in texts)


def test_a_prompt_that_leaves_no_room_is_an_error_before_anything_is_generated(model_folder: Folder) -> None:
    subject = open_subject(SubjectConfig(model=str(model_folder())), "base", SAMPLING, None)
    finished: list[int] = []
    with pytest.raises(SubjectError, match=r"has room for 128 tokens, but the prompt 'otter otter .* `sampling.max_new_tokens` 12"):
        subject.generate([Request(Prompt("One day"), 0, 1), Request(Prompt("otter " * 150), 0, 1)], finished.append)
    assert finished == []


def test_a_model_that_answers_nothing_is_an_error_but_an_empty_text_is_not(tmp_path: Path) -> None:
    model = make_model()
    model.lm_head.weight.data.zero_()
    model.generation_config.eos_token_id = list(range(400))  # whatever it says ends the text
    model.save_pretrained(tmp_path / "silent")
    byte_tokenizer().save_pretrained(tmp_path / "silent")
    config = SubjectConfig(model=str(tmp_path / "silent"))
    one = open_subject(config, "base", SAMPLING, None).generate([Request(Prompt("One day"), 0, 3)])
    assert [(text.text, text.tokens, text.finished) for text in one] == [("", 1, True)] * 3
    with pytest.raises(SubjectError, match=r"base: silent gave 2\d empty texts and no other; check `chat_template`"):
        open_subject(config, "base", SAMPLING, None).generate([Request(Prompt(f"One day {n}"), 0, 1) for n in range(25)])


def test_nan_logits_name_the_number_format(tmp_path: Path) -> None:
    model = make_model()
    model.model.norm.weight.data[0] = torch.nan
    model.save_pretrained(tmp_path / "broken")
    byte_tokenizer().save_pretrained(tmp_path / "broken")
    with pytest.raises(SubjectError, match=r"broken answers NaN in fp32; set `base.quantization: bf16`"):
        open_subject(SubjectConfig(model=str(tmp_path / "broken")), "base", SAMPLING, None).generate(REQUESTS)


def test_fingerprint_is_of_the_content(model_folder: Folder, adapter_folder: Folder) -> None:
    folder = model_folder("one", chat=True)
    copy = model_folder("two", chat=True)
    other = model_folder("three", chat=True, seed=1)

    def print_of(**config: Any) -> str:
        return open_subject(SubjectConfig(**config), "base", SAMPLING, None).fingerprint

    same = print_of(model=str(folder))
    assert print_of(model=str(copy)) == same
    assert print_of(model=str(folder), chat_template="chat") == same  # what auto means here
    changed = {
        print_of(model=str(other)),
        print_of(model=str(folder), chat_template="raw"),
        print_of(model=str(folder), system_prompt="Be brief."),
        print_of(model=str(folder), quantization="bf16"),
        print_of(model=str(folder), adapter=str(adapter_folder(folder))),
    }
    assert len(changed | {same}) == 6


def test_bf16_runs(model_folder: Folder) -> None:
    config = SubjectConfig(model=str(model_folder()), quantization="bf16")
    texts = open_subject(config, "base", SAMPLING, None).generate(REQUESTS[:4])
    assert all(text.tokens for text in texts)
