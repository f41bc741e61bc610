"""The same audit again takes its files from the store; another one does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.fingerprint import generator
from auto_interventions.runs import Run, load_run
from auto_interventions.stages import reuse
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace

_WORDS = """
    dog cat tree house river small big red blue happy sad ran jumped looked found played park garden ball boat friend
"""
WORDS = _WORDS.split()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Texts of 80 prompts; every third of the intervention's ends differently."""
    rows: list[dict[str, str]] = []
    for prompt in range(80):
        for role in ("base", "intervention"):
            for sample in range(3):
                text = " ".join(generator(role, prompt, sample).choice(WORDS, 12).tolist())
                end = " And so they learned." if role == "intervention" and prompt % 3 else ""
                rows.append({"model": role, "prompt": f"prompt {prompt}", "text": text + end, "stratum": f"s{prompt % 4}"})
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def audit(texts: Path, folder: Path, **changes: Any) -> Run:
    data: dict[str, Any] = {
        "name": "again",
        "base": {"texts": str(texts)},
        "intervention": {"texts": str(texts)},
        "prompts": {"source": "recorded", "strata": "given"},
        "sampling": {"initial": 60, "per_round": 60, "rounds": 3, "max_texts": 360},
        "clustering": {"clusters": 5},
        "store": str(folder.parent / "store"),
    }
    with Workspace.create(AuditConfig.model_validate({**data, **changes}), folder) as workspace:
        order(stages, workspace)
    return load_run(folder)


def was_reused(run: Run) -> bool:
    return run.run["reused"]["run"] is not None


def test_the_same_audit_again_is_taken_whole(recorded: Path, tmp_path: Path) -> None:
    first, second = audit(recorded, tmp_path / "first"), audit(recorded, tmp_path / "second")
    assert not was_reused(first)
    assert was_reused(second)
    for name in ("findings.json", "texts.parquet", "strata.parquet", "clusters.parquet", "report.html"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    spent, before = second.ledger["all"], first.ledger["all"]
    assert spent["texts"] == spent["texts_reused"] == before["texts"]
    assert spent["embeddings_computed"] == 0
    assert spent["judge_calls"] == spent["judge_calls_cached"]
    assert second.run["status"] == "done"
    assert second.run["reused"]["run"]["seconds"] == first.run["seconds"] or second.run["reused"]["run"]["seconds"] > 0
    assert second.run["rounds"] == first.run["rounds"]


def test_the_run_says_what_it_reused(recorded: Path, tmp_path: Path) -> None:
    first = audit(recorded, tmp_path / "first")
    more = audit(recorded, tmp_path / "more", clustering={"clusters": 4})
    assert not was_reused(more)
    assert more.run["reused"]["embeddings"] == more.ledger["all"]["embeddings_cached"] > 0
    assert more.ledger["all"]["embeddings_computed"] == 0
    assert first.ledger["all"]["embeddings_computed"] > 0


def test_other_texts_under_the_same_name_are_another_audit(recorded: Path, tmp_path: Path) -> None:
    audit(recorded, tmp_path / "first")
    recorded.write_text(recorded.read_text(encoding="utf-8").replace("learned", "slept"), encoding="utf-8")
    assert not was_reused(audit(recorded, tmp_path / "second"))


def test_changed_code_is_another_audit(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit(recorded, tmp_path / "first")
    monkeypatch.setattr(reuse, "source_fingerprint", lambda: "of changed files")
    assert not was_reused(audit(recorded, tmp_path / "second"))


def test_the_source_fingerprint_is_of_every_file_of_the_package() -> None:
    import auto_interventions

    own = Path(auto_interventions.__file__).with_name("errors.py")
    before = reuse.source_fingerprint.__wrapped__()
    kept = own.read_bytes()
    copy = own.with_name("zz_probe.py")
    try:
        copy.write_bytes(kept)
        assert reuse.source_fingerprint.__wrapped__() != before
    finally:
        copy.unlink()
    assert reuse.source_fingerprint.__wrapped__() == before


def test_a_run_that_a_budget_stopped_is_not_kept(recorded: Path, tmp_path: Path) -> None:
    stopped = audit(recorded, tmp_path / "first", budget={"minutes": 1e-9})
    assert stopped.run["status"] == "stopped"
    again = audit(recorded, tmp_path / "second")
    assert not was_reused(again)
    assert again.run["status"] == "done"


def test_where_costs_are_measured_nothing_is_taken(recorded: Path, tmp_path: Path) -> None:
    first = audit(recorded, tmp_path / "first")
    config = AuditConfig.model_validate(first.run["config"])
    with Workspace.create(config, tmp_path / "second") as workspace:
        workspace.reuse_run = False
        order(stages, workspace)
    assert not was_reused(load_run(tmp_path / "second"))


def test_a_damaged_kept_run_is_computed_again(recorded: Path, tmp_path: Path) -> None:
    first = audit(recorded, tmp_path / "first")
    config = AuditConfig.model_validate(first.run["config"])
    with Workspace.create(config, tmp_path / "probe") as workspace:
        kept = reuse.find(config, workspace.store)
        assert kept is not None
        _, pieces = kept.files["texts.parquet"]
        workspace.store.put_many({pieces[0]: b"bent"})
    second = audit(recorded, tmp_path / "second")
    assert not was_reused(second)
    assert second.findings == first.findings
