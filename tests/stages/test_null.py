"""A few of the hundred null audits of benchmarks/null.py: one model twice, other seeds, peeking after every round."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "null.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("null_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_null_audit_says_nothing_at_any_peek(benchmark: ModuleType, demo: Path, tmp_path: Path, seed: int) -> None:
    prompts = [json.loads(line) for line in (demo / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[:400]]
    said = benchmark.audit(benchmark.record(tmp_path, seed, prompts), tmp_path, seed)
    assert not any(said.values()), said
