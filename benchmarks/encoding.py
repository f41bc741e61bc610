"""Embedding cold: texts as they come, fp32, through `SentenceTransformer.encode`, beside our encoder; and how far from the machine's floor.

    .venv/bin/python -m benchmarks.encoding [--texts 1024] [--chunk 512] [--repeats 3]

The seeds' way: `encode` of one chunk after the other in the order in which the texts come, fp32, one torch thread (two threads on one small
batch collapse on a busy machine). `encode` sorts by length inside its chunk; `--chunk 32` sorts nothing. Ours: `SentenceEncoder`, as an
audit uses it. CPU seconds of the process, ways interleaved. Texts are stories of 1 to 12 sentences, of very different lengths.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any

import numpy as np

from auto_interventions.config import EmbeddingConfig
from auto_interventions.embedding import open_encoder
from auto_interventions.subjects.threads import one_thread

SENTENCES = (
    "One day a small fox found a red ball near the river.",
    "Her friend was sad, because the rain would not stop.",
    "They asked the old owl, who knew every tree of the forest.",
    "“You must be kind,” said the owl.",
    "So they shared the bread and went home before it was dark.",
)


def stories(number: int) -> list[str]:
    """Texts of 1 to 12 sentences, all different."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(SENTENCES, random.integers(1, 13))) + f" {place}" for place in range(number)]


def compare(texts: list[str], chunk: int, repeats: int) -> float:
    """Prints rates, ratios, the cosine between both ways and the floor; returns the median ratio."""
    import torch
    from sentence_transformers import SentenceTransformer

    from benchmarks.floor import product_rate

    encoder = open_encoder(EmbeddingConfig())
    stock: Any = SentenceTransformer(str(encoder.folder), device="cpu")
    seeds: list[float] = []
    ours: list[float] = []
    encoder.encode(texts[:16])
    theirs = vectors = np.empty(0)
    for _ in range(repeats):
        started = time.process_time()
        with one_thread(torch.device("cpu")):
            chunks = [texts[at : at + chunk] for at in range(0, len(texts), chunk)]
            parts = [stock.encode(own, normalize_embeddings=True, show_progress_bar=False) for own in chunks]
        seeds.append(time.process_time() - started)
        theirs = np.concatenate(parts)
        started = time.process_time()
        vectors = encoder.encode(texts)
        ours.append(time.process_time() - started)
    tokens = sum(len(ids) for ids in stock.tokenizer(texts, truncation=True, max_length=stock.max_seq_length)["input_ids"])
    weights = sum(layer.weight.numel() for layer in stock.modules() if isinstance(layer, torch.nn.Linear))
    plain: Any = stock.to(torch.bfloat16) if encoder.dtype == "bf16" else stock
    with one_thread(torch.device("cpu")):
        flops = product_rate(plain, 16 * 64)
    least = 2.0 * weights * tokens / flops
    ratios = [slow / fast for slow, fast in zip(seeds, ours, strict=True)]
    sys.stdout.write(
        f"{len(texts)} texts, {tokens / len(texts):.0f} tokens each; texts per CPU second: seeds' way (fp32, chunks of {chunk}) "
        f"{len(texts) / statistics.median(seeds):.1f}, ours ({encoder.dtype}) {len(texts) / statistics.median(ours):.1f}\n"
        f"ours is {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})\n"
        f"cosine to the seeds' vectors: least {float((theirs * vectors).sum(axis=1).min()):.5f}\n"
        f"floor of a thread: {2 * weights / 1e6:.1f} MFLOP a token at {flops / 1e9:.0f} GFLOP/s ({encoder.dtype}): "
        f"{len(texts) / least:.1f} texts/s; ours reaches {least / statistics.median(ours):.1%}\n"
    )
    return statistics.median(ratios)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_024)
    parser.add_argument("--chunk", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    compare(stories(options.texts), options.chunk, options.repeats)


if __name__ == "__main__":
    main()
