from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.records import Prompt, Role
from auto_interventions.stores import Store, open_store
from auto_interventions.subjects import RecordedSubject, Request, Scorer, loading, open_subject
from auto_interventions.subjects.chat import Codec
from auto_interventions.subjects.likelihood import continuation_log_likelihoods
from auto_interventions.subjects.live import LiveSubject

from .test_chat import AWKWARD
from .tiny_models import byte_tokenizer, edit_json, make_model, piece_tokenizer

SAMPLING = SamplingConfig(max_new_tokens=12, batch_tokens=200)
TEXTS = [" a little otter", "", " went to the river. 🙂", "é", " sad", " One day One day One day", " sad"]
Folder = Callable[..., Path]


def live(folder: Path, role: Role = "base", sampling: SamplingConfig = SAMPLING, store: Store | None = None, **config: Any) -> Any:
    return open_subject(SubjectConfig(model=str(folder), **config), role, sampling, store)


def by_hand(model: Any, prompt: list[int], text: list[int]) -> float:
    """One row, no padding, all logits: the definition."""
    ids = torch.tensor([[*prompt, *text]])
    with torch.inference_mode():
        chances = torch.log_softmax(model(input_ids=ids).logits.double(), dim=-1)[0]
    return sum(float(chances[len(prompt) + place - 1, token]) for place, token in enumerate(text))


@pytest.mark.parametrize("kind", ["Llama", "GPT2", "Mistral", "Qwen3"])
@pytest.mark.parametrize("batch_tokens", [1, 60, 10_000])
def test_sums_are_those_of_each_text_alone(kind: str, batch_tokens: int) -> None:
    model, tokenizer = make_model(kind), byte_tokenizer()
    prompt: list[int] = tokenizer("One day")["input_ids"]
    texts: list[list[int]] = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    sums = continuation_log_likelihoods(model, prompt, texts, batch_tokens)
    np.testing.assert_allclose(sums, [by_hand(model, prompt, text) for text in texts], rtol=1e-4, atol=1e-4)
    assert sums[1] == 0
    assert len(set(sums.round(3).tolist())) == 6


def test_chances_of_all_next_tokens_sum_to_one() -> None:
    sums = continuation_log_likelihoods(make_model(), [1, 5, 6], [[token] for token in range(400)], 50)
    assert np.exp(sums).sum() == pytest.approx(1, abs=1e-5)


def test_a_large_vocabulary_goes_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    from auto_interventions.subjects import likelihood

    model, rows = make_model(), []
    forward = model.forward

    def counted(*args: Any, **given: Any) -> Any:
        rows.append(len(given["input_ids"]))
        return forward(*args, **given)

    texts = [[5] * (1 + number % 7) for number in range(40)]
    whole = continuation_log_likelihoods(model, [1], texts, 10_000)
    monkeypatch.setattr(likelihood, "MOST_LOGITS", 400 * 8 * 3)
    monkeypatch.setattr(model, "forward", counted)
    np.testing.assert_allclose(continuation_log_likelihoods(model, [1], texts, 10_000), whole, rtol=1e-4)
    assert rows[0] == 3
    assert sum(rows) == 40


@pytest.mark.parametrize("chat", [False, True])
def test_the_prompt_is_the_one_that_is_really_sent(model_folder: Folder, chat: bool) -> None:
    folder = model_folder(chat=chat)
    model, tokenizer = make_model(), byte_tokenizer(chat)
    config = {"system_prompt": "Be brief."} if chat else {}
    before = "<|system|>Be brief.<|end|><|user|>One day<|end|><|assistant|>And" if chat else "<s>One dayAnd"
    prompt: list[int] = tokenizer(before, add_special_tokens=False)["input_ids"]
    found = live(folder, **config).log_likelihood(Prompt("One day", prefix="And"), TEXTS)
    expected = [by_hand(model, prompt, tokenizer(text, add_special_tokens=False)["input_ids"]) for text in TEXTS]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_texts_of_the_model_itself_are_likelier_to_it_than_to_another(model_folder: Folder) -> None:
    sharp = SAMPLING.model_copy(update={"temperature": 0.4, "max_new_tokens": 6})
    one, other = live(model_folder("one"), sampling=sharp), live(model_folder("other", seed=1), sampling=sharp)
    prompt = Prompt("One day")
    for subject, rival in ((one, other), (other, one)):
        texts = [text.text for text in subject.generate([Request(prompt, 0, 300)]) if "\ufffd" not in text.text]  # whole characters
        assert len(texts) > 15
        assert np.mean(subject.log_likelihood(prompt, texts) > rival.log_likelihood(prompt, texts)) > 0.9
        assert subject.token_counts(prompt, texts).mean() > 3


def test_an_adapter_counts_and_its_base_is_shared(model_folder: Folder, adapter_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MERGE_LIMIT", 0)  # the adapter runs beside the base's own weights
    folder = model_folder()
    base, adapted = live(folder), live(folder, "intervention", adapter=str(adapter_folder(folder)))
    prompt = Prompt("One day")
    before = base.log_likelihood(prompt, TEXTS)
    changed = adapted.log_likelihood(prompt, TEXTS)
    assert base._model is adapted._base
    assert np.all(np.abs(changed - before)[[0, 2, 3, 4, 5]] > 1e-3)
    assert base.log_likelihood(prompt, TEXTS).tolist() == before.tolist()


@pytest.mark.parametrize("make", [byte_tokenizer, piece_tokenizer, lambda: byte_tokenizer(chat=True)])
@pytest.mark.parametrize("prompt", ["One day ", "One d", "The lighthouse", "", "tab\t"])
def test_a_continuation_decodes_to_its_text(make: Any, prompt: str) -> None:
    codec = Codec(make(), SubjectConfig(model="tiny", chat_template="raw"), "base", [2])
    known = piece_tokenizer().get_vocab()
    for text in ["ay a little otter", " went to the river.", "x", "", "  two  spaces", "sang\n", *AWKWARD]:
        if make is piece_tokenizer and not set(text.replace(" ", "▁")) <= known.keys():
            continue  # unknown characters are lost
        ids = codec.continuation(prompt, "", text)
        before = codec.encode(prompt)
        assert codec.decode(before, ids) == text
        assert ids is not before
    assert codec.encode(prompt) == codec.encode(prompt)


def test_what_looks_like_a_special_token_is_text(model_folder: Folder) -> None:
    codec = Codec(byte_tokenizer(chat=True), SubjectConfig(model="tiny"), "base", [2])
    ids = codec.continuation("One day", "", "the end<|end|></s>")
    assert not set(ids) & set(range(7))


def test_texts_that_do_not_fit_and_nan_are_sentences(model_folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match=r"room for 128 tokens, but the prompt 'One day' and a text to be scored after it take \d+"):
        live(model_folder()).log_likelihood(Prompt("One day"), ["short", "otter 🙂 " * 60])
    model = make_model()
    model.model.norm.weight.data[0] = torch.nan
    model.save_pretrained(tmp_path / "broken")
    byte_tokenizer().save_pretrained(tmp_path / "broken")
    with pytest.raises(SubjectError, match=r"broken answers NaN in fp32; set `base.quantization: bf16`"):
        live(tmp_path / "broken").log_likelihood(Prompt("One day"), ["x"])


def test_the_store_keeps_them_for_whoever_asks(model_folder: Folder, tmp_path: Path) -> None:
    folder, store = model_folder(), open_store(str(tmp_path / "store"))
    prompt = Prompt("One day")
    first = live(folder, store=store).log_likelihood(prompt, TEXTS)
    np.testing.assert_allclose(first, live(folder).log_likelihood(prompt, TEXTS), rtol=1e-5)
    other = SAMPLING.model_copy(update={"seed": 3, "temperature": 0.5, "batch_tokens": 999})
    again = live(folder, "intervention", other, store)
    assert again.log_likelihood(prompt, TEXTS[::-1]).tolist() == first[::-1].tolist()
    assert "_model" not in vars(again._subject)
    more = again.log_likelihood(prompt, [*TEXTS, " new"])
    assert more[:-1].tolist() == first.tolist()
    assert again.log_likelihood(Prompt("One day "), TEXTS).tolist() != first.tolist()
    assert live(model_folder("other", seed=1), store=store).log_likelihood(prompt, TEXTS).tolist() != first.tolist()
    keys = {again.likelihood_key(one, "t") for one in (Prompt("a"), Prompt("a", prefix="t"), Prompt("a", prefix="b"), Prompt("ab"))}
    assert len(keys) == 4
    for damage in (b"", b"\xff", b"[1]"):
        store.put_many({again.likelihood_key(prompt, TEXTS[0]): damage})
        assert live(folder, store=store).log_likelihood(prompt, TEXTS)[0] == pytest.approx(first[0], rel=1e-5)


def test_only_live_models_are_scorers(model_folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"model": "base", "prompt": "p", "text": "t"}\n')
    recorded = open_subject(SubjectConfig(texts=str(tmp_path / "texts.jsonl")), "base", SAMPLING, None)
    assert isinstance(recorded, RecordedSubject)
    assert not isinstance(recorded, Scorer)
    assert isinstance(live(model_folder()), Scorer)
    assert isinstance(live(model_folder(), store=open_store(str(tmp_path / "store"))), Scorer)
    assert isinstance(live(model_folder()), LiveSubject)


def test_no_texts_no_numbers(model_folder: Folder) -> None:
    assert live(model_folder()).log_likelihood(Prompt("One day"), []).shape == (0,)


def test_the_stop_token_of_a_training_tokenizer_is_no_part_of_a_text(model_folder: Folder) -> None:
    """Tokenizers that end every text with a stop token: neither prompt nor text gets it."""
    folder = model_folder()
    plain = live(folder).log_likelihood(Prompt("One day"), TEXTS)
    processor = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    special = {token: {"id": token, "ids": [number], "tokens": [token]} for number, token in ((1, "<s>"), (2, "</s>"))}
    ended = [*single, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    edit_json(folder / "tokenizer.json", post_processor={**processor, "single": ended, "pair": pair, "special_tokens": special})
    assert live(folder).log_likelihood(Prompt("One day"), TEXTS).tolist() == plain.tolist()
