"""Folders of tiny models and adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from .tiny_models import byte_tokenizer, make_model


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[..., Path]:
    """Saves a tiny model with a tokenizer: model_folder("name", kind=…, chat=…, seed=…)."""

    def save(name: str = "tiny", kind: str = "Llama", chat: bool = False, seed: int = 0, **more: Any) -> Path:
        folder = tmp_path / name
        make_model(kind, seed, **more).save_pretrained(folder)
        byte_tokenizer(chat).save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def adapter_folder(tmp_path: Path) -> Callable[..., Path]:
    """Saves a LoRA adapter with random weights for the model in a folder."""

    def save(base: Path, name: str = "adapter", **settings: Any) -> Path:
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(1)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(base)
        settings = {"r": 4, "target_modules": ["q_proj", "v_proj"], **settings}
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
        for parameter_name, parameter in adapted.named_parameters():
            if "lora_" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.5)
        adapted.save_pretrained(tmp_path / name)
        return tmp_path / name

    return save
