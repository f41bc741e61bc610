"""Exploring real models' texts, without embeddings (words and format alone): finds what is there and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.exploring import RoundBatch, RoundState, run_round
from auto_interventions.fingerprint import generator
from auto_interventions.inference import gate_is_open
from auto_interventions.records import Pair, Prompt

from .audits import config, pair

CONFIG = config()


def recorded(path: Path, limit: int) -> list[Pair]:
    sides: dict[tuple[str, str], dict[str, list[str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        sides.setdefault((row["prompt"], row.get("stratum", "all")), {}).setdefault(row["model"], []).append(row["text"])
    pairs = [
        pair(Prompt(prompt, stratum), sample, base, intervention)
        for (prompt, stratum), texts in sides.items()
        for sample, (base, intervention) in enumerate(zip(texts["base"], texts["intervention"], strict=False))
    ]
    return [pairs[row] for row in generator("recorded", path.name).permutation(len(pairs))[:limit]]


@pytest.mark.parametrize(
    ("name", "different", "limit"),
    [("stories_moral", True, 300), ("stories_same_model_twice", False, 900), ("xstest_mistral_guardrail", True, 450)],
)
def test_real_texts(shared: Path, name: str, different: bool, limit: int) -> None:
    pairs = recorded(shared / "recorded" / f"{name}.jsonl", limit)
    state = RoundState.start(sorted({one.prompt.stratum for one in pairs}))
    looks = []
    for rows in np.array_split(np.arange(len(pairs)), 3):
        nothing = np.zeros((len(rows), 4), dtype=np.float32)
        state = run_round(state, RoundBatch.of([pairs[row] for row in rows], nothing, nothing), CONFIG)
        looks.append(gate_is_open(state.log_e_overall, CONFIG.inference.alpha) or bool(state.divergent(CONFIG.inference.alpha)))
    assert any(looks) == different
    assert (state.auc > 0.7) == different
