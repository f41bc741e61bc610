"""A local chat model judges and labels on workers: the same replies and the same ledger as in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from auto_interventions.config import ChatConfig
from auto_interventions.crew import Crew
from auto_interventions.errors import ChatError
from auto_interventions.flows.runners import open_crew
from auto_interventions.llm import ChatRequest, Failure, Message, Outcome, open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.stores import open_store
from auto_interventions.stores.shared import place_of
from tests.subjects.tiny_models import LLAMA, byte_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chat")
    tokenizer = byte_tokenizer(chat=True)
    torch.manual_seed(0)
    config = LlamaConfig(**LLAMA, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with open_crew("dask:2") as opened:
        assert opened is not None
        yield opened


def said(outcome: Outcome) -> tuple[str, str]:
    return type(outcome).__name__, outcome.text


def test_replies_failures_and_counts_are_those_of_threads(folder: Path, crew: Crew, tmp_path: Path) -> None:
    requests = [ChatRequest((Message("user", "a" * length),), temperature=1.0, max_tokens=24) for length in range(40)]
    settings = ChatConfig(concurrency=4)
    here = Asker(open_chat(f"local:{folder}", settings), open_store(str(tmp_path / "here")), settings)
    expected = here.ask_many(requests, "a question/v1")
    model = open_chat(f"local:{folder}", settings, elsewhere=crew.facts.device)
    there = Asker(model, open_store(str(tmp_path / "there")), settings, crew=crew, place=place_of(str(tmp_path / "there")))
    assert there.place is not None
    there.place.check()
    told: list[int] = []
    found = there.ask_many(requests, "a question/v1", lambda place, _: told.append(place))
    assert [said(outcome) for outcome in found] == [said(outcome) for outcome in expected]
    assert sorted(told) == list(range(40))
    assert 0 < sum(isinstance(outcome, Failure) for outcome in found) < 40, "failures travel, too"
    assert there.counts.as_dict() == here.counts.as_dict() | {"seconds_waited": there.counts.seconds_waited}
    assert "_model" not in vars(model), "no weights in this process"
    again = there.ask_many(
        [request for request, outcome in zip(requests, found, strict=True) if not isinstance(outcome, Failure)], "a question/v1"
    )
    assert all(not isinstance(outcome, Failure) and outcome.cached for outcome in again)


def test_another_model_at_the_same_path(folder: Path, crew: Crew, tmp_path: Path) -> None:
    settings = ChatConfig(concurrency=4)
    model = open_chat(f"local:{folder}", settings, elsewhere="cpu")
    asker = Asker(model, open_store(str(tmp_path)), settings, crew=crew, place=str(tmp_path))
    model.fingerprint = "of other files"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ChatError, match=rf"^local:{folder}: holds other files than where the audit was started; copy them again"):
        asker.ask_many([ChatRequest((Message("user", "a"),))], "a question/v1")
