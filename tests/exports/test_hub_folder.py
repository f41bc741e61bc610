"""A dataset folder: `datasets` reads it, and its card is a card whatever the models are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from auto_interventions.exports import AuditRun
from tests.exports.conftest import FORMULA


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_datasets_reads_it(made: AuditRun, out: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset

    folder = str(made.export("hf", out))
    assert set(get_dataset_config_names(folder)) == {"findings", "findings_by_stratum", "pairs", "clusters"}
    findings = load_dataset(folder, split="tested").to_pandas()
    assert findings["id"].tolist() == made.findings["id"].tolist()
    assert findings["difference"].tolist() == made.findings["difference"].tolist()
    pairs = load_dataset(folder, "pairs")
    assert set(pairs) == {"explore", "confirm"}
    assert pairs["confirm"]["intervention"][:] == made.pairs().query("pool == 'confirm'")["intervention"].tolist()


def test_hostile_names_stay_in_their_places(evil: AuditRun, out: Path) -> None:
    from datasets import load_dataset

    folder = evil.export("hf", out)
    card = (folder / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert [one["config_name"] for one in head["configs"]] == ["findings", "findings_by_stratum", "pairs", "clusters"]
    assert head["license"] == "unknown"
    assert FORMULA in head["pretty_name"]
    assert "://" not in card.split("---\n", 2)[2]
    texts = evil.pairs().query("pool == 'confirm'")["intervention"].tolist()
    assert load_dataset(str(folder), "pairs", split="confirm")["intervention"][:] == texts


def test_an_earlier_folder_is_replaced(made: AuditRun, evil: AuditRun, out: Path) -> None:
    made.export("hf", out)
    (out / "data" / "old-tested.parquet").write_bytes(b"")
    evil.export("hf", out)
    assert not (out / "data" / "old-tested.parquet").exists()
