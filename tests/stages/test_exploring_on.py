"""Exploring goes on into confirming's share while nothing is worth confirming, and only then."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace

MOST = 480
_STORY = "the boat sailed over a calm lake while two children told stories about winter and an old dog slept near warm stones"
WORDS = _STORY.split()


def write_texts(path: Path, marked: float, seed: int) -> Path:
    """Four texts of random words of each model at 120 prompts of four strata; a word of its own in a share of the intervention's."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(120):
            for model in ("base", "intervention"):
                for _ in range(4):
                    words = chance.choices(WORDS, k=14)
                    if model == "intervention" and chance.random() < marked:
                        words[chance.randrange(14)] = "lighthouse"
                    row = {"prompt": f"prompt {number}", "stratum": f"s{number % 4}", "model": model, "text": " ".join(words)}
                    file.write(json.dumps(row) + "\n")
    return path


def explored(texts: Path, folder: Path, **changes: object) -> int:
    config = AuditConfig.model_validate(
        {
            "name": "exploring on",
            "base": {"texts": str(texts)},
            "intervention": {"texts": str(texts)},
            "prompts": {"source": "recorded", "strata": "given"},
            "sampling": {"initial": 40, "per_round": 40, "rounds": 40, "max_texts": MOST, **changes},
            "clustering": {"clusters": 4},
            "store": str(folder / "store"),
        }
    )
    with Workspace.create(config, folder / "run") as workspace:
        order(stages, workspace)
    texts_by_stage = json.loads((folder / "run" / "ledger.json").read_text(encoding="utf-8"))["stages"]
    return sum(texts_by_stage[stage]["texts"] for stage in ("scan: generate", "focus: generate"))


@pytest.mark.parametrize(
    ("marked", "strategy", "on"),
    [(0.0, "active", True), (0.0, "divergence", False), (0.5, "active", False)],
    ids=["nothing", "another rule", "a word"],
)
def test_exploring_goes_on_while_nothing_is_promising(tmp_path: Path, marked: float, strategy: str, on: bool) -> None:
    texts = explored(write_texts(tmp_path / "texts.jsonl", marked, 5), tmp_path, strategy=strategy)
    assert texts <= 0.75 * MOST
    assert (texts > 0.5 * MOST) is on
