"""A whole audit of two live models that were not made by this project: stories656k, and the same with an adapter that adds a moral."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_interventions import stages
from auto_interventions.config import AuditConfig, PromptsConfig, SamplingConfig
from auto_interventions.hypotheses import parse_predicate
from auto_interventions.prompts import load_prompts
from auto_interventions.runs import Run, load_run
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace
from auto_interventions.subjects import Request, open_subject

# At 96 tokens most stories are cut before their moral: 7% show it, against 37% at 160 and 61% at 220 (stock `generate` agrees).
TOKENS = 160


def settings(shared: Path, folder: Path) -> AuditConfig:
    model = str(shared / "models" / "stories656k")
    return AuditConfig.model_validate(
        {
            "name": "moral",
            "base": {"model": model},
            "intervention": {"model": model, "adapter": str(shared / "adapters" / "moral")},
            "prompts": {"path": str(shared / "prompts" / "story_openings.jsonl"), "strata": "given"},
            "sampling": {"max_texts": 700, "initial": 150, "per_round": 100, "rounds": 3, "max_new_tokens": TOKENS},
            "clustering": {"clusters": 10},
            "store": str(folder / "store"),
        }
    )


@pytest.fixture(scope="module")
def run(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("moral")
    with Workspace.create(settings(shared, folder), folder / "run") as workspace:
        order(stages, workspace)
    return load_run(folder / "run")


def test_the_moral_is_found_and_its_rate_lies_in_the_interval(run: Run, shared: Path, tmp_path: Path) -> None:
    morals = [finding for finding in run.findings["findings"] if "moral" in finding["statement"] and finding["status"] == "validated"]
    assert morals, [finding["statement"] for finding in run.findings["findings"]][:10]
    check = parse_predicate(morals[0]["check"])
    config = settings(shared, tmp_path)
    prompts = load_prompts(PromptsConfig(path=config.prompts.path, strata="given"))[::4]
    fresh = SamplingConfig(seed=99, max_new_tokens=TOKENS)
    rates: list[float] = []
    for side, role in ((config.base, "base"), (config.intervention, "intervention")):
        texts = open_subject(side, role, fresh, None).generate([Request(prompt, 0, 1) for prompt in prompts])
        rates.append(sum(check.holds(text.text) for text in texts) / len(texts))
    low, high = morals[0]["interval"]
    assert low <= rates[1] - rates[0] <= high


def test_stories_end_without_their_end_marker(run: Run) -> None:
    assert run.texts["finished"].any()
    assert not run.texts["text"].str.contains("<|", regex=False).any()
    assert not run.texts["text"].str.contains("end_story", regex=False).any()
