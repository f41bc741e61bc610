"""A real transformers chat model, tiny and with random weights."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from auto_interventions.config import ChatConfig
from auto_interventions.errors import ChatError
from auto_interventions.llm import ChatModel, ChatRequest, Failure, Message, Outcome, Reply, open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.stores import open_store
from tests.llm.test_asking import Number
from tests.subjects.tiny_models import LLAMA, byte_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model that ends some of its replies by itself."""
    path = tmp_path_factory.mktemp("chat")
    tokenizer = byte_tokenizer(chat=True)
    torch.manual_seed(0)
    config = LlamaConfig(**LLAMA, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> ChatModel:
    return open_chat(f"local:{folder}", ChatConfig(concurrency=8))


def request(text: str, **given: object) -> ChatRequest:
    return ChatRequest((Message("system", "Be brief."), Message("user", text)), **{"max_tokens": 12, **given})  # pyright: ignore[reportArgumentType]


def ask(model: ChatModel, *requests: ChatRequest) -> list[Outcome]:
    async def all_of_them() -> list[Outcome]:
        return await asyncio.gather(*(model.ask(one) for one in requests))

    return asyncio.run(all_of_them())


def text_of(outcome: Outcome) -> str:
    return outcome.text


def test_alone_and_together_are_the_same(model: ChatModel) -> None:
    requests = [request("a" * length, temperature=temperature) for length in (1, 5, 30) for temperature in (0.0, 1.0)]
    together = ask(model, *requests)
    alone = [ask(model, one)[0] for one in requests]
    assert [text_of(outcome) for outcome in together] == [text_of(outcome) for outcome in alone]
    assert all(outcome.usage.output_tokens > 0 for outcome in together)
    assert len({text_of(outcome) for outcome in together}) > 1


def test_max_tokens_cut(model: ChatModel) -> None:
    outcomes = ask(model, request("b", max_tokens=1), request("b", max_tokens=40))
    assert isinstance(outcomes[0], Failure)
    assert (outcomes[0].kind, outcomes[0].usage.output_tokens) == ("cut", 1)
    assert outcomes[1].usage.output_tokens > 1


def test_draws_follow_the_softmax(model: ChatModel, folder: Path) -> None:
    """First tokens of 1500 seeds against the model's own probabilities: chi-square over the likeliest ones."""
    from scipy import stats

    draws = 1500
    outcomes = ask(model, *(request("c", temperature=0.7, max_tokens=1, seed=seed) for seed in range(draws)))
    counted = Counter(text_of(outcome) for outcome in outcomes)
    tokenizer = model._tokenizer  # pyright: ignore[reportAttributeAccessIssue]
    ids = torch.tensor([model._encode(request("c"))])  # pyright: ignore[reportAttributeAccessIssue]
    probabilities = torch.softmax(LlamaForCausalLM.from_pretrained(folder)(ids).logits[0, -1] / 0.7, -1)
    expected: Counter[str] = Counter()
    for token, share in enumerate(probabilities.tolist()):
        expected[tokenizer.decode([token], skip_special_tokens=True)] += share * draws
    likely = [text for text, count in expected.items() if count >= 5]
    seen, wanted = [counted[text] for text in likely], [expected[text] for text in likely]
    seen.append(draws - sum(seen))
    wanted.append(draws - sum(wanted))
    assert stats.chisquare(seen, wanted).pvalue > 1e-3


def test_seeds_are_draws_and_stay(model: ChatModel) -> None:
    requests = [request("d", temperature=1.0, seed=seed) for seed in range(6)]
    first, second = ask(model, *requests), ask(model, *reversed(requests))
    assert [text_of(outcome) for outcome in first] == [text_of(outcome) for outcome in reversed(second)]
    assert len({text_of(outcome) for outcome in first}) == 6


def test_what_does_not_fit_is_rejected(model: ChatModel) -> None:
    (outcome,) = ask(model, request("long " * 200))
    assert isinstance(outcome, Failure)
    assert outcome.kind == "rejected"


def test_through_the_asker_it_is_free_and_kept(model: ChatModel, tmp_path: Path) -> None:
    asker = Asker(model, open_store(str(tmp_path)), ChatConfig(concurrency=8))
    requests = [request(f"e{number}", max_tokens=60) for number in range(12)]
    outcomes = asker.ask_many(requests, "t")
    replies = sum(isinstance(outcome, Reply) for outcome in outcomes)
    assert asker.counts.dollars == 0
    assert asker.counts.attempts == asker.counts.calls + asker.counts.repairs
    asker.ask_many(requests, "t")
    assert asker.counts.cached == replies


def test_schemas_are_told_in_words(model: ChatModel) -> None:
    """Random weights write no JSON: the failure is a value."""
    (outcome,) = ask(model, ChatRequest((Message("user", "f"),), None, max_tokens=5))
    assert isinstance(outcome, Reply | Failure)
    tokens = model._encode(ChatRequest((Message("user", "f"),), Number))  # pyright: ignore[reportAttributeAccessIssue]
    assert "number" in model._tokenizer.decode(tokens)  # pyright: ignore[reportAttributeAccessIssue]


def test_the_fingerprint_is_the_contents(model: ChatModel, folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    assert open_chat(f"local:{copy}").fingerprint == model.fingerprint


def test_a_model_without_a_template_is_refused(demo: Path) -> None:
    with pytest.raises(ChatError, match="no chat template"):
        open_chat(f"local:{demo / 'models' / 'base'}")
