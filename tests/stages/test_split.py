"""A whole audit in which a stratum turns out mixed: it is split, and every file and the report can say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.fingerprint import generator
from auto_interventions.planting.corpus import stories
from auto_interventions.runs import Run, load_run
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace

KINDS = ("Tell a story about the sea, a ship and fish number {}.", "Explain algebra: solve the equation x + {} = 90 for x.")


def mixed(path: Path, samples: int = 12) -> None:
    """Recorded texts of one stratum that holds two kinds of prompts; the models differ at the second kind only."""
    random = generator("test-split")
    texts = [story.continuation for story in stories(6000, 5)]
    with path.open("w", encoding="utf-8") as stream:
        for kind in KINDS:
            for number in range(40):
                for role in ("base", "intervention"):
                    for place in random.choice(len(texts), samples, replace=False).tolist():
                        text = texts[place]
                        if role == "intervention" and kind == KINDS[1] and random.random() < 0.7:
                            text += " The zeppelin flew over the zeppelin field."
                        row = {"model": role, "prompt": kind.format(number), "stratum": "all", "text": text}
                        stream.write(json.dumps(row) + "\n")


def audit(folder: Path) -> tuple[Run, int]:
    mixed(folder / "texts.jsonl")
    config = AuditConfig.model_validate(
        {
            "name": "split",
            "base": {"texts": str(folder / "texts.jsonl")},
            "intervention": {"texts": str(folder / "texts.jsonl")},
            "prompts": {"source": "recorded", "strata": "given"},
            "sampling": {"max_texts": 1600, "initial": 240, "per_round": 160, "rounds": 4},
            "clustering": {"clusters": 8},
            "store": str(folder / "store"),
        }
    )
    with Workspace.create(config, folder / "run") as workspace:
        order(stages, workspace)
        splits = workspace.explore_state().tree.splits
    return load_run(folder / "run"), splits


def test_a_mixed_stratum_is_split_and_told(tmp_path: Path) -> None:
    run, splits = audit(tmp_path)
    assert splits >= 1
    strata = run.strata
    parts = strata[strata["part_of"] == "all"]
    assert len(parts) == 2
    whole = strata[strata["stratum"] == "all"].iloc[0]
    assert whole["prompts"] == 80
    assert parts["prompts"].sum() == 40, "parts are made of prompts of the explore pool"
    assert parts["pairs"].sum() <= whole["pairs"]
    assert np.isfinite(parts["x"]).all()
    assert (parts["example_prompt"] != "").all()
    assert {prompt.split()[0] for prompt in parts["example_prompt"]} == {"Tell", "Explain"}
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "zeppelin" in report
    assert str(parts.iloc[0]["stratum"]) in report
