"""Audits of base models without prompts: the bank is what the models write from nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.errors import PromptError
from auto_interventions.prompts import beginning
from auto_interventions.records import ROLES, Prompt
from auto_interventions.runs import load_run
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace
from auto_interventions.subjects import Request


def config(demo: Path, folder: Path, prompts: dict[str, object], **sampling: object) -> AuditConfig:
    model = str(demo / "models" / "base")
    return AuditConfig.model_validate(
        {
            "name": "free",
            "base": {"model": model},
            "intervention": {"model": model, "adapter": str(demo / "adapters" / "broad")},
            "prompts": {"source": "free", **prompts},
            "sampling": {"max_texts": 500, "initial": 140, "per_round": 100, "rounds": 2, "max_new_tokens": 48, **sampling},
            "clustering": {"clusters": 8},
            "store": str(folder / "store"),
        }
    )


def test_two_models_without_prompts_differ(demo: Path, tmp_path: Path) -> None:
    with Workspace.create(config(demo, tmp_path, {"free_texts": 120}), tmp_path / "run") as where:
        order(stages, where)
    run = load_run(tmp_path / "run")
    assert run.findings["overall"]["verdict"] == "different"
    validated = [finding["statement"] for finding in run.findings["findings"] if finding["status"] == "validated"]
    assert any("moral" in statement for statement in validated), validated
    assert run.ledger["stages"]["prepare"]["texts"] == 120
    assert run.ledger["stages"]["prepare"]["tokens"] > 120
    assert len(run.texts) <= 500, "the bank's texts are no pairs"
    assert not (run.texts["prompt"] == "").any()


def test_the_bank_is_what_both_models_write(demo: Path, tmp_path: Path) -> None:
    settings = config(demo, tmp_path, {"free_texts": 61, "prefix_words": 3}, max_new_tokens=12)
    with Workspace.create(settings, tmp_path / "run") as where:
        counts = stages.prepare(where)
        texts = {role: where.subjects[role].generate([Request(Prompt(""), 0, 40)]) for role in ROLES}
        prompts = where.prompts
    starts = {
        role: {beginning(text.text, 3).lower() for text in texts[role][:number]} for role, number in (("base", 31), ("intervention", 30))
    }
    for prompt in prompts:
        assert len(prompt.text.split()) == 3
        assert prompt.text.lower() in starts["base"] | starts["intervention"]
    for own in starts.values():
        assert own & {prompt.text.lower() for prompt in prompts}
    assert counts["prompts"] == len(prompts) == len({prompt.text.lower() for prompt in prompts})
    pools = Counter(prompt.pool for prompt in prompts)
    assert abs(pools["explore"] - pools["confirm"]) <= 2
    again = tmp_path / "again"
    with Workspace.create(settings, again) as where:
        stages.prepare(where)
        assert where.prompts == prompts
        assert where.ledger.stages["prepare"].texts_reused == 61, "they are in the store"


def test_the_cap_holds(demo: Path, tmp_path: Path) -> None:
    with Workspace.create(config(demo, tmp_path, {"free_texts": 80, "max_prompts": 20}, max_new_tokens=12), tmp_path / "run") as where:
        assert stages.prepare(where)["prompts"] == 20


def test_models_that_always_begin_alike(demo: Path, tmp_path: Path) -> None:
    cold = config(demo, tmp_path, {"free_texts": 40, "prefix_words": 2}, temperature=1e-4, max_new_tokens=12)
    with (
        Workspace.create(cold, tmp_path / "run") as where,
        pytest.raises(
            PromptError, match=r"40 texts .* have [12] distinct beginnings of 2 words, and an audit needs 4; raise `prompts.prefix_words`"
        ),
    ):
        stages.prepare(where)
