"""Folders of tiny models and adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .tiny_models import save_adapter, save_model


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[..., Path]:
    """Saves a tiny model with a tokenizer: model_folder("name", kind=…, chat=…, seed=…)."""

    def save(name: str = "tiny", kind: str = "Llama", chat: bool = False, seed: int = 0, **more: Any) -> Path:
        return save_model(tmp_path / name, kind, chat, seed, **more)

    return save


@pytest.fixture
def adapter_folder(tmp_path: Path) -> Callable[..., Path]:
    """Saves a LoRA adapter with random weights for the model in a folder."""

    def save(base: Path, name: str = "adapter", **settings: Any) -> Path:
        return save_adapter(base, tmp_path / name, **settings)

    return save
