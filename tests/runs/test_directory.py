"""Run directories: whose they are, and that nobody ever reads half a file."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.config import AuditConfig
from auto_interventions.errors import Interrupted, RunDirectoryError
from auto_interventions.runs import Ledger, RunDirectory, load_run
from auto_interventions.runs.directory import RUN_SCHEMA, identity


def config(**more: object) -> AuditConfig:
    return AuditConfig.model_validate(
        {"name": "x", "base": {"model": "a"}, "intervention": {"model": "b"}, "prompts": {"path": "p"}, **more}
    )


def claim(path: Path, audit: AuditConfig) -> RunDirectory:
    directory = RunDirectory.claim(path, audit)
    directory.write_json("run.json", {"schema": RUN_SCHEMA, "name": audit.name, "fingerprints": {"config": identity(audit)}})
    return directory


def test_the_same_audit_may_come_back(tmp_path: Path) -> None:
    claim(tmp_path / "run", config())
    assert RunDirectory.check(tmp_path / "run", config())
    assert RunDirectory.check(tmp_path / "run", config(store="elsewhere", budget={"minutes": 3}))


def test_another_audit_may_not(tmp_path: Path) -> None:
    claim(tmp_path / "run", config())
    with pytest.raises(RunDirectoryError, match="holds another audit"):
        RunDirectory.claim(tmp_path / "run", config(sampling={"seed": 1}))


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunDirectoryError, match="not an audit's"):
        RunDirectory.claim(tmp_path, config())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunDirectoryError, match="is a file"):
        RunDirectory.claim(tmp_path / "run", config())


def test_checking_writes_nothing(tmp_path: Path) -> None:
    assert not RunDirectory.check(tmp_path / "new" / "run", config())
    assert not (tmp_path / "new").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    directory = claim(tmp_path / "run", config())
    directory.write_json("findings.json", {"findings": []})
    with pytest.raises(ValueError, match="not JSON compliant"):
        directory.write_json("findings.json", {"findings": [float("nan")]})
    assert json.loads((tmp_path / "run" / "findings.json").read_text()) == {"findings": []}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["findings.json", "run.json"]


def test_a_full_disk_is_one_sentence() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    directory = RunDirectory(Path("/proc/auto-interventions"))
    with pytest.raises(Interrupted, match="then start again"):
        directory.write_text("run.json", "{}")


def test_texts_with_lone_surrogates_are_written(tmp_path: Path) -> None:
    directory = claim(tmp_path / "run", config())
    directory.write_table("texts.parquet", {"text": ["fine", "broken \ud83d", "é"], "n": np.arange(3)})
    run = load_run(tmp_path / "run")
    assert list(run.texts["text"]) == ["fine", "broken \\ud83d", "é"]


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"run\.json: no such file"):
        load_run(tmp_path)
    claim(tmp_path / "run", config())
    with pytest.raises(RunDirectoryError, match="has not got that far"):
        _ = load_run(tmp_path / "run").texts


def test_reading_damaged_files(tmp_path: Path) -> None:
    claim(tmp_path / "run", config())
    (tmp_path / "run" / "ledger.json").write_text('{"all": ')
    with pytest.raises(RunDirectoryError, match=r"ledger\.json: is damaged"):
        load_run(tmp_path / "run")


def test_ledger_sums_over_stages() -> None:
    ledger = Ledger()
    for _ in range(2):
        with ledger.stage("generate") as counts:
            counts.texts += 10
            counts.tokens += 300
    with suppress(RuntimeError), ledger.stage("embed") as counts:
        counts.embeddings_computed += 4
        raise RuntimeError
    assert ledger.all.texts == 20
    assert ledger.all.tokens == 600
    assert ledger.all.embeddings_computed == 4, "work of a stage that failed was done all the same"
    assert ledger.all.seconds > 0


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    directory = claim(tmp_path / "run", config())
    assert load_run(tmp_path / "run").centroids is None
    centroids = np.arange(12, dtype=np.float32).reshape(3, 4)
    directory.write_arrays("partition.npz", {"centroids": centroids})
    first = (tmp_path / "run" / "partition.npz").read_bytes()
    np.testing.assert_array_equal(load_run(tmp_path / "run").centroids, centroids)
    directory.write_arrays("partition.npz", {"centroids": centroids})
    assert (tmp_path / "run" / "partition.npz").read_bytes() == first
    with pytest.raises(ValueError, match="pickle"):
        directory.write_arrays("partition.npz", {"centroids": np.array([object()])})


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", b"not a zip"])
def test_damaged_arrays_are_one_sentence(tmp_path: Path, damage: bytes) -> None:
    claim(tmp_path / "run", config())
    (tmp_path / "run" / "partition.npz").write_bytes(damage)
    with pytest.raises(RunDirectoryError, match=r"partition\.npz: is damaged"):
        _ = load_run(tmp_path / "run").centroids
