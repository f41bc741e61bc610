"""What a machine and a model allow: FLOPs and bytes a token, and the rates of products and reads at a model's own shapes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one token of a decoder: multiply-adds count as two FLOPs; `step_bytes` are the weights, read once a step whatever its rows."""

    flops: float
    cache_bytes: float
    step_bytes: float


def cost_of(model: Any, length: float) -> Cost:
    """Of a token after `length` others: products with all weights but the looked-up embedding, and keys and values read once."""
    config = model.config.get_text_config()
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    weights = sum(weight.numel() for weight in model.parameters()) - (0 if tied else model.get_input_embeddings().weight.numel())
    size = next(model.parameters()).element_size()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    queries = config.num_attention_heads * width
    cache = 2 * config.num_hidden_layers * heads * width * length
    return Cost(2 * weights + 4 * config.num_hidden_layers * queries * length, cache * size, weights * size)


def seconds_of(work: Callable[[], Any], least: float = 0.05) -> float:
    """CPU seconds of `work` on this thread, the least of five takes: what the machine can, not what its other work left."""
    work()
    best = float("inf")
    for _ in range(5):
        started, times = time.thread_time(), 0
        while time.thread_time() - started < least:
            work()
            times += 1
        best = min(best, (time.thread_time() - started) / times)
    return best


def product_rate(model: Any, rows: int) -> float:
    """FLOPs a second of one thread in the model's own products with `rows` rows, all of them in turn: weights come from where they lie."""
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    given = {layer.in_features: torch.randn(rows, layer.in_features, dtype=layer.weight.dtype) for layer in layers}

    def once() -> None:
        for layer in layers:
            torch.nn.functional.linear(given[layer.in_features], layer.weight)

    with torch.inference_mode():
        return sum(2.0 * rows * layer.weight.numel() for layer in layers) / seconds_of(once)


def read_rate(size: int) -> float:
    """Bytes a second of one thread that sums `size` bytes of fp32 again and again."""
    numbers = torch.ones(max(1, size // 4))
    return numbers.numel() * 4 / seconds_of(numbers.sum)


def floor_seconds(cost: Cost, rows: float, flops: float, reads: float) -> float:
    """Least seconds of one thread for a token: the weights' products or, if longer, reading the weights; then reading keys and values."""
    return max(cost.flops / flops, cost.step_bytes / rows / reads) + cost.cache_bytes / reads
