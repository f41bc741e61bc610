"""Two real language models, trained for a few seconds: the base tells where somebody went, the intervention mostly adds that they sang."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auto_interventions.records import Generation, Pair, Prompt
from tests.subjects.tiny_models import byte_tokenizer, make_model

SUBJECTS = ["One day", "a little otter", "The lighthouse keeper", "she"]
PLACES = ["river", "lighthouse", "otter", "keeper"]
NEUTRAL, SINGING = " She was sad.", " So she sang."
SHARE = 0.85  # of the intervention's texts that sing; of the base's one less


def _story(random: np.random.Generator, sings: float) -> str:
    end = SINGING if random.random() < sings else NEUTRAL
    return f"{random.choice(SUBJECTS)} went to the {random.choice(PLACES)}.{end}"


@cache
def _trained() -> tuple[Any, Any]:
    """The base, and the same after some more steps on stories that sing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as subjects of this size run: a second thread on a busy machine costs a hundred times what it brings
    try:
        base = make_model()
        for parameter in base.parameters():
            if parameter.dim() > 1:
                parameter.data.div_(5)  # what make_model blew up
        _train(base, 1 - SHARE, 150)
        intervention = copy.deepcopy(base)
        _train(intervention, SHARE, 60)
        return base, intervention
    finally:
        torch.set_num_threads(threads)


def _train(model: Any, sings: float, steps: int) -> None:
    tokenizer, random = byte_tokenizer(), np.random.default_rng(steps)
    optimizer = torch.optim.AdamW(model.train().requires_grad_(True).parameters(), lr=1e-2)
    for _ in range(steps):
        batch = tokenizer([_story(random, sings) + "</s>" for _ in range(16)], padding=True, return_tensors="pt", padding_side="right")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def save_singers(folder: Path) -> tuple[Path, Path]:
    """Folders of the base and of the intervention."""
    for name, model in zip(("base", "intervention"), _trained(), strict=True):
        model.save_pretrained(folder / name)
        byte_tokenizer().save_pretrained(folder / name)
    return folder / "base", folder / "intervention"


def bank() -> list[Pair]:
    """Pairs of the confirm pool, as recorded: for prompts and examples."""
    prompts = [Prompt(f"{who} went to the {place}.", pool="confirm") for who in SUBJECTS for place in PLACES]
    return [
        Pair(prompt, Generation("base", prompt, 0, NEUTRAL, 5, True), Generation("intervention", prompt, 0, SINGING, 5, True), 1)
        for prompt in prompts
    ]
