from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.records import Prompt
from auto_interventions.subjects import Request, loading, open_subject
from auto_interventions.subjects.live import LiveSubject

SAMPLING = SamplingConfig(max_new_tokens=12)
REQUESTS = [Request(Prompt(f"One day {number}"), 0, 2) for number in range(10)]
IDS = torch.tensor([[1, 5, 6, 7, 8]])
Folder = Callable[..., Path]


def load(folder: Path, adapter: Path) -> tuple[Any, Any]:
    base = loading.load_model(folder, "fp32", "base.model")
    return base, loading.load_adapted(base, folder, adapter, "fp32", "intervention.adapter")


@pytest.mark.parametrize("limit", [loading.MERGE_LIMIT, 0], ids=["merged into a copy", "beside shared weights"])
def test_an_adapter_changes_the_model_as_peft_does_and_leaves_the_base_alone(
    model_folder: Folder, adapter_folder: Folder, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(loading, "MERGE_LIMIT", limit)
    folder = model_folder()
    adapter = adapter_folder(folder)
    base, adapted = load(folder, adapter)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    with torch.inference_mode():
        reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapter)(IDS).logits
        plain = AutoModelForCausalLM.from_pretrained(folder)(IDS).logits
        assert torch.allclose(adapted(IDS).logits, reference, atol=1e-3)
        assert not torch.allclose(reference, plain, atol=0.1)
        assert torch.equal(base(IDS).logits, plain)
    assert {name for name, _ in base.named_modules() if "lora" in name} == set()
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.state_dict().items())
    shared = {tensor.data_ptr() for tensor in base.parameters()} & {tensor.data_ptr() for tensor in adapted.parameters()}
    assert bool(shared) == (limit == 0)


def test_both_ways_say_the_same(model_folder: Folder, adapter_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder()
    config = SubjectConfig(model=str(folder), adapter=str(adapter_folder(folder)))
    merged = open_subject(config, "intervention", SAMPLING, None).generate(REQUESTS)
    monkeypatch.setattr(loading, "MERGE_LIMIT", 0)
    assert open_subject(config, "intervention", SAMPLING, None).generate(REQUESTS) == merged


def test_base_texts_are_the_same_before_and_after_the_adapter(model_folder: Folder, adapter_folder: Folder) -> None:
    folder = model_folder()
    base = open_subject(SubjectConfig(model=str(folder)), "base", SAMPLING, None)
    before = base.generate(REQUESTS)
    adapted = open_subject(SubjectConfig(model=str(folder), adapter=str(adapter_folder(folder))), "base", SAMPLING, None)
    # Same role, seed and prompts: only the adapter can make a difference.
    assert [text.text for text in adapted.generate(REQUESTS)] != [text.text for text in before]
    assert base.generate(REQUESTS) == before


def test_both_sides_share_one_base(model_folder: Folder, adapter_folder: Folder) -> None:
    folder = model_folder()
    changed = LiveSubject(SubjectConfig(model=str(folder), adapter=str(adapter_folder(folder))), "intervention", SAMPLING)
    base = LiveSubject(SubjectConfig(model=str(folder)), "base", SAMPLING)
    changed.generate(REQUESTS[:1])
    base.generate(REQUESTS[:1])
    assert base._model is changed._base
    assert base._model is not changed._model


def test_half_precision_is_not_merged(model_folder: Folder, adapter_folder: Folder) -> None:
    folder = model_folder()
    base = loading.load_model(folder, "bf16", "base.model")
    assert not loading.merges(base)
    assert loading.merges(loading.load_model(folder, "fp32", "base.model"))
    adapted = loading.load_adapted(base, folder, adapter_folder(folder), "bf16", "intervention.adapter")
    with torch.inference_mode():
        assert not torch.equal(adapted(IDS).logits, base(IDS).logits)


def test_gpt2_keeps_its_matrices_the_other_way_round(model_folder: Folder, adapter_folder: Folder) -> None:
    folder = model_folder("gpt2", kind="GPT2")
    adapter = adapter_folder(folder, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    loading.check_adapter(loading.empty_model(folder, "base.model"), adapter, "intervention.adapter")
    base, adapted = load(folder, adapter)
    with torch.inference_mode():
        assert not torch.allclose(adapted(IDS).logits, base(IDS).logits, atol=0.1)


@pytest.mark.parametrize("limit", [loading.MERGE_LIMIT, 0], ids=["merged into a copy", "beside shared weights"])
def test_two_threads_may_use_base_and_intervention_at_once(
    model_folder: Folder, adapter_folder: Folder, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(loading, "MERGE_LIMIT", limit)
    folder = model_folder()
    plain, changed = SubjectConfig(model=str(folder)), SubjectConfig(model=str(folder), adapter=str(adapter_folder(folder)))

    def texts(config: SubjectConfig) -> list[str]:
        return [text.text for text in open_subject(config, "base", SAMPLING, None).generate(REQUESTS)]

    alone = [texts(plain), texts(changed)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(texts, [plain, changed] * 4))
    assert together == alone * 4
