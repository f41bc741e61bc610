"""What a GPU brings: tokens a second against its memory's floor, engines of generation side by side, embeddings, cuML, the audit.

    .venv/bin/python -m benchmarks.gpu [--model FOLDER] [--rows 256] [--new 128]

On a machine without a CUDA GPU it says so and exits 0. Engines: our static batches; transformers' `generate_batch` (continuous batching);
vLLM where it is installed. The floor: weights once a step and each row's keys and values, at the rate of a copy kernel.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auto_interventions.config import EmbeddingConfig
from benchmarks.floor import cost_of

DEMO = Path(__file__).resolve().parent.parent / "demo"


def say(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def seconds(work: Callable[[], Any], times: int = 3) -> float:
    """The least of some takes, after one that warms up."""
    work()
    best = float("inf")
    for _ in range(times):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best


def copy_rate() -> float:
    """Bytes a second that a copy kernel reads and writes."""
    source = torch.empty(2**28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / seconds(lambda: target.copy_(source), 10)


def generation(folder: Path, rows: int, new: int) -> None:
    """Tokens a second of each engine, in bf16, 16-token prompts with 8 samples each; nothing ends before `new` tokens."""
    from transformers import AutoModelForCausalLM

    from auto_interventions.subjects.sampling import sample_batch

    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.bfloat16).to("cuda").eval()
    prompts = np.random.default_rng(0).integers(3, model.config.vocab_size, (max(1, rows // 8), 16)).tolist()
    places = [row // 8 for row in range(8 * len(prompts))]
    numbers = np.random.default_rng(1).random((len(places), new), dtype=np.float32)
    cost, reads = cost_of(model, 16 + new / 2), copy_rate()
    floor = len(places) * reads / (cost.step_bytes + len(places) * cost.cache_bytes)
    say(f"copy kernel {reads / 1e9:,.0f} GB/s; floor of {len(places)} rows: {floor:,.0f} tokens/s")

    def tell(name: str, work: Callable[[], Any]) -> None:
        rate = len(places) * new / seconds(work)
        say(f"{name}: {rate:,.0f} tokens/s, {rate / floor:.1%} of the floor")

    tell("our static batches", lambda: sample_batch(model, prompts, places, numbers, [], 1.0, 1.0))
    repeated = [prompts[place] for place in places]
    continuous(model, repeated, new, tell)
    if importlib.util.find_spec("vllm") is None:
        say("vLLM is not installed: not measured")
        return
    from vllm import LLM, SamplingParams  # pyright: ignore[reportMissingImports]

    engine = LLM(str(folder), dtype="bfloat16", gpu_memory_utilization=0.4)
    settings = SamplingParams(temperature=1.0, max_tokens=new, min_tokens=new, n=8)
    tell("vLLM", lambda: engine.generate([{"prompt_token_ids": ids} for ids in prompts], settings, use_tqdm=False))


def continuous(model: Any, prompts: list[list[int]], new: int, tell: Callable[[str, Callable[[], Any]], None]) -> None:
    """Transformers' own continuous batching."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    settings = GenerationConfig(do_sample=True, top_k=0, max_new_tokens=new, min_new_tokens=new, eos_token_id=-1, pad_token_id=0)
    tell(
        "transformers' generate_batch",
        lambda: model.generate_batch(
            inputs=prompts, generation_config=settings, continuous_batching_config=ContinuousBatchingConfig(), progress_bar=False
        ),
    )


def embedding() -> None:
    """Texts a second."""
    from auto_interventions.embedding import open_encoder
    from benchmarks.encoding import stories

    encoder, texts = open_encoder(EmbeddingConfig()), stories(8_192)
    say(f"embedding: {len(texts) / seconds(lambda: encoder.encode(texts), 2):,.0f} texts/s ({encoder.dtype})")


def clustering() -> None:
    """cuML's k-means beside scikit-learn's: 100,000 vectors, 100 clusters, 20 iterations."""
    if importlib.util.find_spec("cuml") is None:
        say("cuML is not installed: not measured")
        return
    from cuml.cluster import KMeans as OnGpu  # pyright: ignore[reportMissingImports]
    from sklearn.cluster import KMeans

    vectors = np.random.default_rng(0).normal(size=(100_000, 384)).astype(np.float32)
    settings = {"n_clusters": 100, "max_iter": 20, "n_init": 1, "random_state": 0, "tol": 0.0}
    started = time.perf_counter()
    KMeans(init="random", **settings).fit(vectors)
    alone = time.perf_counter() - started
    ours = seconds(lambda: OnGpu(init="random", **settings).fit(vectors))
    say(f"k-means: cuML {ours:.2f} s, scikit-learn {alone:.2f} s: {alone / ours:.1f}x")


def audit() -> None:
    """The demo's audit with a fresh store, by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        command = [str(Path(sys.executable).parent / "auto-interventions"), "audit", str(DEMO / "audit.yaml"), "--out", f"{folder}/run"]
        done = subprocess.run([*command, "--set", f"store={folder}/store"], capture_output=True, check=False)
        say(f"the demo's audit: {time.perf_counter() - started:.1f} s, exit code {done.returncode}")


def main() -> None:
    """Prints the figures, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEMO / "models" / "base")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--new", type=int, default=128)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        say("This machine has no CUDA GPU that torch can use, so there is nothing to measure here.")
        return
    say(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    generation(options.model, options.rows, options.new)
    embedding()
    clustering()
    audit()


if __name__ == "__main__":
    main()
