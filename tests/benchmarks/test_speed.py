"""The benchmarks of speed at a tiny size: what they count and test is right, and they run to their end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from auto_interventions.config import PromptsConfig
from auto_interventions.prompts import load_prompts
from benchmarks import encoding, generation
from benchmarks.floor import cost_of, floor_seconds
from tests.subjects.tiny_models import make_model

DEMO = Path(__file__).resolve().parents[2] / "demo"


def test_cost_of_a_token_is_that_of_its_products() -> None:
    model = make_model()
    layer = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48 + 2 * 32
    weights = 2 * layer + 32 + 400 * 32  # the norms too; the looked-up embedding is not multiplied
    cost = cost_of(model, 10)
    assert cost.flops == 2 * weights + 4 * 2 * 32 * 10
    assert cost.cache_bytes == 4 * 2 * 2 * 16 * 10
    assert cost.step_bytes == 4 * weights
    assert floor_seconds(cost, 1, 1e30, 1.0) == cost.step_bytes + cost.cache_bytes
    assert floor_seconds(cost, 1e30, 1.0, 1e30) == pytest.approx(cost.flops)


def test_the_two_sample_test_keeps_the_null_and_sees_other_words_and_lengths() -> None:
    random = np.random.default_rng(0)

    def side(longer: int, shift: int) -> generation.Tokens:
        return {str(prompt): [(random.geometric(0.3, 10 + longer) % 20 + shift).tolist() for _ in range(4)] for prompt in range(30)}

    null = [generation.two_samples(side(0, 0), side(0, 0), 30, 199)[1] for _ in range(20)]
    assert np.mean([p <= 0.2 for p in null]) < 0.6
    assert generation.two_samples(side(0, 0), side(0, 3), 30, 199)[1] <= 0.01
    assert generation.two_samples(side(0, 0), side(2, 0), 30, 199)[0] <= 0.01


def test_generation_says_ratio_test_and_floor(capsys: pytest.CaptureFixture[str]) -> None:
    prompts = load_prompts(PromptsConfig(path=str(DEMO / "prompts.jsonl"), strata="given"))[:2]
    assert generation.compare(DEMO / "models" / "base", prompts, 1, sizes=(16,)) > 0
    said = capsys.readouterr().out
    assert "ours reaches" in said
    assert "ours at temperature 0.9 against generate at 1.0" in said


def test_encoding_says_ratio_cosine_and_floor(capsys: pytest.CaptureFixture[str]) -> None:
    assert encoding.compare(encoding.stories(8), 4, 1) > 0
    assert "cosine to the seeds' vectors: least 0.99" in capsys.readouterr().out


def test_without_a_gpu_the_benchmark_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("This machine has no CUDA GPU")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU that torch can use")
def test_a_gpu_says_what_the_processor_says() -> None:
    from auto_interventions.subjects.sampling import sample_batch

    model, numbers = make_model(), np.random.default_rng(0).random((8, 12), dtype=np.float32)
    here = sample_batch(model, [[5, 6, 7], [8, 9]], [0, 0, 0, 0, 1, 1, 1, 1], numbers, [2], 1.0, 1.0)
    there = sample_batch(model.to("cuda"), [[5, 6, 7], [8, 9]], [0, 0, 0, 0, 1, 1, 1, 1], numbers, [2], 1.0, 1.0)
    assert sum(one == other for one, other in zip(here, there, strict=True)) >= 7  # a number within a last bit of a boundary
