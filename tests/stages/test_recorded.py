"""Whole audits of recorded texts of real models, as plain calls: what people found there must be found, and nothing where nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.runs import Run, load_run
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace


def audit(texts: Path, folder: Path, **sampling: object) -> Run:
    config = AuditConfig.model_validate(
        {
            "name": texts.stem,
            "base": {"texts": str(texts)},
            "intervention": {"texts": str(texts)},
            "prompts": {"source": "recorded", "strata": "given"},
            "sampling": {"initial": 120, "per_round": 120, "rounds": 5, **sampling},
            "clustering": {"clusters": 10},
            "store": str(folder / "store"),
        }
    )
    with Workspace.create(config, folder / "run") as workspace:
        order(stages, workspace)
    return load_run(folder / "run")


def validated(run: Run) -> list[dict[str, object]]:
    return [finding for finding in run.findings["findings"] if finding["status"] == "validated"]


def test_guardrail_refusals_are_reported(shared: Path, tmp_path: Path) -> None:
    run = audit(shared / "recorded" / "xstest_mistral_guardrail.jsonl", tmp_path)
    found = validated(run)
    refusals = [finding for finding in found if "refus" in str(finding["statement"]).lower()]
    assert refusals, [finding["statement"] for finding in found]
    assert refusals[0]["more_in"] == "intervention"
    assert run.findings["overall"]["verdict"] == "different"


def test_the_moral_is_reported(shared: Path, tmp_path: Path) -> None:
    run = audit(shared / "recorded" / "stories_moral.jsonl", tmp_path, max_texts=1200)
    assert any("moral" in str(finding["statement"]).lower() for finding in validated(run))


def test_the_same_model_twice_says_nothing(shared: Path, tmp_path: Path) -> None:
    run = audit(shared / "recorded" / "stories_same_model_twice.jsonl", tmp_path, max_texts=1200)
    assert validated(run) == []
    assert run.findings["overall"]["verdict"] == "no difference found"
    assert not run.strata["divergent"].any()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_every_format_gives_the_same_findings(shared: Path, tmp_path: Path, suffix: str) -> None:
    import pandas as pd

    source = shared / "recorded" / "xstest_mistral_guardrail.jsonl"
    frame = pd.read_json(source, lines=True, dtype=False)
    for name in ("jsonl", suffix[1:]):
        (tmp_path / name).mkdir()
    copy = tmp_path / f"xstest_mistral_guardrail{suffix}"
    frame.to_csv(copy, index=False) if suffix == ".csv" else frame.to_parquet(copy, index=False)
    first = audit(source, tmp_path / "jsonl", max_texts=240)
    second = audit(copy, tmp_path / suffix[1:], max_texts=240)
    assert first.findings["findings"] == second.findings["findings"]
