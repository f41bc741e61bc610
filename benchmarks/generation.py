"""Tokens a second: the seeds' way of generating beside ours, whether both say the same, and how far either is from the machine's floor.

    .venv/bin/python -m benchmarks.generation [--model FOLDER] [--prompts 100] [--repeats 5] [--large 124]

The seeds' way: transformers' `generate`, prompts round-robin over samples, batches of mixed lengths padded on the left, each prompt
repeated for each sample; at several batch sizes, the fastest is what ours is compared with. Ours: `LiveSubject`. Both on one torch thread
(two on one small batch collapse on a busy machine), and ours also side by side on all cores. CPU seconds of the process, ways interleaved;
the ratio is the median of the repetitions. `--large N`: a Llama of about N million random weights in fp32 and bf16 (0: none).
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from auto_interventions.config import PromptsConfig, SamplingConfig, SubjectConfig
from auto_interventions.prompts import load_prompts
from auto_interventions.records import Prompt
from auto_interventions.subjects.base import Request, jobs_of
from auto_interventions.subjects.live import LiveSubject
from auto_interventions.subjects.sampling import sample_batch
from auto_interventions.subjects.threads import cores, one_thread
from benchmarks.floor import cost_of, floor_seconds, product_rate, read_rate

DEMO = Path(__file__).resolve().parent.parent / "demo"
CPU = torch.device("cpu")
SAMPLES, NEW_TOKENS = 8, 64
SIZES = (16, 32, 64)

Tokens = dict[str, list[list[int]]]  # of each prompt: the tokens of its samples


def seeds_way(model: Any, prompts: Sequence[tuple[str, list[int]]], size: int, stop: Sequence[int], temperature: float = 1.0) -> Tokens:
    """`generate` on batches of `size` rows in round-robin order."""
    rows = [prompt for _ in range(SAMPLES) for prompt in prompts]
    found: Tokens = {name: [] for name, _ in prompts}
    for begin in range(0, len(rows), size):
        batch = rows[begin : begin + size]
        longest = max(len(ids) for _, ids in batch)
        ids = torch.tensor([[0] * (longest - len(own)) + own for _, own in batch])
        mask = torch.tensor([[0] * (longest - len(own)) + [1] * len(own) for _, own in batch])
        said = model.generate(
            ids, attention_mask=mask, do_sample=True, temperature=temperature, top_k=0, top_p=1.0, max_new_tokens=NEW_TOKENS,
            pad_token_id=0, eos_token_id=list(stop) or None,
        )  # fmt: skip
        for (name, _), row in zip(batch, said[:, longest:].tolist(), strict=True):
            end = next((place + 1 for place, token in enumerate(row) if token in stop), len(row))
            found[name].append(row[:end])
    return found


def our_tokens(subject: LiveSubject, prompts: Sequence[Prompt]) -> int:
    """Tokens of all texts, batch after batch on one thread."""
    return sum(text.tokens for batch in subject.plan(jobs_of(requests(prompts))) for text in subject.run(batch))


def requests(prompts: Sequence[Prompt]) -> list[Request]:
    """Each prompt's samples."""
    return [Request(prompt, 0, SAMPLES) for prompt in prompts]


def drawn(model: Any, prompts: Sequence[tuple[str, list[int]]], stop: Sequence[int], temperature: float, seed: int) -> Tokens:
    """Our tokens of each prompt, with fresh random numbers."""
    numbers = np.random.default_rng(seed)
    found: Tokens = {}
    for name, ids in prompts:
        rows = sample_batch(model, [ids], [0] * SAMPLES, numbers.random((SAMPLES, NEW_TOKENS), dtype=np.float32), stop, temperature, 1.0)
        found[name] = [[*row.ids, *([stop[0]] if row.finished else [])] for row in rows]
    return found


def two_samples(one: Tokens, other: Tokens, vocabulary: int, swaps: int = 999) -> tuple[float, float]:
    """Permutation p-values (mean length; how often each token is said) with the prompt as unit: a prompt's two sides are swapped or not."""
    names = list(one)
    lengths = np.array([np.mean([len(row) for row in one[name]]) - np.mean([len(row) for row in other[name]]) for name in names])

    def counts(side: Tokens) -> np.ndarray:
        return np.array([np.bincount(np.concatenate(side[name]), minlength=vocabulary) for name in names], dtype=np.float64)

    left, right = counts(one), counts(other)
    scale = np.sqrt(np.maximum((left + right).sum(axis=0), 1.0))
    differences = (left - right) / scale
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(swaps, len(names)))

    def p_value(seen: float, swapped: np.ndarray) -> float:
        return float((1 + (swapped >= seen).sum()) / (1 + swaps))

    far = ((signs @ differences) ** 2).sum(axis=1)
    return p_value(abs(lengths.sum()), np.abs(signs @ lengths)), p_value(float((differences.sum(axis=0) ** 2).sum()), far)


def clocked(work: Callable[[], int]) -> tuple[float, float, int]:
    """CPU seconds, seconds by the clock, tokens."""
    cpu, clock = time.process_time(), time.perf_counter()
    tokens = work()
    return time.process_time() - cpu, time.perf_counter() - clock, tokens


def say(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def compare(folder: Path, prompts: Sequence[Prompt], repeats: int, sizes: Sequence[int] = SIZES) -> float:
    """Prints ratios, two-sample tests and floor for the model in `folder`; returns the median ratio to the fastest `generate`."""
    subject = LiveSubject(SubjectConfig(model=str(folder)), "base", SamplingConfig(max_new_tokens=NEW_TOKENS))
    model, codec = subject._model, subject._codec
    stop = list(codec.stop_ids)
    encoded = [(prompt.id, codec.encode(prompt.text, prompt.prefix)) for prompt in prompts]
    ways: dict[str, Callable[[], int]] = {
        f"generate, batch {size}": lambda size=size: sum(
            len(row) for rows in seeds_way(model, encoded, size, stop).values() for row in rows
        )
        for size in sizes
    }
    ways["ours"] = lambda: our_tokens(subject, prompts)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    clock: list[float] = []
    with one_thread(CPU):
        our_tokens(subject, prompts[:4])
        for _ in range(repeats):
            for name, work in ways.items():
                cpu, wall, tokens = clocked(work)
                rates[name].append(tokens / cpu)
            clock.append(wall)  # ours is the last of the ways
        cost = cost_of(model, statistics.mean(len(ids) for _, ids in encoded) + 0.5 * NEW_TOKENS)
        rows = SamplingConfig().batch_tokens / (NEW_TOKENS + statistics.mean(len(ids) for _, ids in encoded))
        flops, reads = product_rate(model, int(rows)), read_rate(int(cost.step_bytes + cost.cache_bytes * rows))
    wall = clocked(lambda: sum(text.tokens for text in subject.generate(requests(prompts))))[1]
    say(f"\n{folder.name}: {sum(weight.numel() for weight in model.parameters()):,} weights, {len(prompts)} prompts x {SAMPLES} samples")
    for name, own in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["ours"], own, strict=True)]
        say(f"  {name:20} {statistics.median(own):9,.0f} tokens per CPU second; ours is {_spread(ratios)}")
    say(f"  ours on {cores()} cores, batches side by side: {statistics.median(clock) / wall:.2f}x the clock rate of one thread")
    least = floor_seconds(cost, rows, flops, reads)
    say(
        f"  floor: {cost.flops / 1e6:.2f} MFLOP and {cost.cache_bytes / 1e3:.0f} kB of cache a token, {cost.step_bytes / 1e6:.1f} MB "
        f"of weights a step of {rows:.0f} rows; {flops / 1e9:.0f} GFLOP/s, {reads / 1e9:.1f} GB/s: {1 / least:,.0f} tokens/s; "
        f"ours reaches {statistics.median(rates['ours']) * least:.1%}"
    )
    with one_thread(CPU):
        theirs = seeds_way(model, encoded, 64, stop)
        for temperature in (1.0, 0.9):
            p_length, p_tokens = two_samples(drawn(model, encoded, stop, temperature, 1), theirs, model.config.vocab_size)
            say(f"  ours at temperature {temperature} against generate at 1.0: p = {p_length:.3f} (length), {p_tokens:.3f} (tokens)")
    fastest = max((name for name in ways if name != "ours"), key=lambda name: statistics.median(rates[name]))
    return statistics.median(ours / theirs for ours, theirs in zip(rates["ours"], rates[fastest], strict=True))


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def large(millions: int, repeats: int, rows: int = 32, new: int = 12) -> None:
    """Ours beside `generate` on random weights: reading the weights is what costs there."""
    layers = max(1, round((millions * 1e6 - 2 * 32_000 * 768) / 7.1e6))
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32_000,
        hidden_size=768,
        intermediate_size=2_048,
        num_hidden_layers=layers,
        num_attention_heads=12,
        num_key_value_heads=12,
    )
    whole: Any = transformers.LlamaForCausalLM(config).eval()
    ids = torch.randint(10, 32_000, (rows // SAMPLES, 16))
    repeated = ids.repeat_interleave(SAMPLES, dim=0)
    numbers = np.random.default_rng(0).random((rows, new), dtype=np.float32)
    places = [row // SAMPLES for row in range(rows)]
    for dtype in (torch.float32, torch.bfloat16):
        model = whole.to(dtype)

        def ours(model: Any = model) -> int:
            sample_batch(model, ids.tolist(), places, numbers, [], 1.0, 1.0)
            return rows * new

        def theirs(model: Any = model) -> int:
            model.generate(
                repeated,
                attention_mask=torch.ones_like(repeated),
                do_sample=True,
                top_k=0,
                max_new_tokens=new,
                min_new_tokens=new,
                pad_token_id=0,
            )
            return rows * new

        with one_thread(CPU):
            taken = [(clocked(ours)[0], clocked(theirs)[0]) for _ in range(repeats)]
            cost = cost_of(model, 16 + new / 2)
            flops, reads = product_rate(model, rows), read_rate(int(cost.step_bytes))
        rate = rows * new / statistics.median(own for own, _ in taken)
        least = floor_seconds(cost, rows, flops, reads)
        say(
            f"\n{sum(w.numel() for w in model.parameters()):,} random weights, {str(dtype)[6:]}, {rows} rows: ours {rate:,.1f} tokens "
            f"per CPU second, {_spread([other / own for own, other in taken])} generate\n  floor: {cost.flops / 1e6:.0f} MFLOP a token, "
            f"{cost.step_bytes / 1e6:.0f} MB a step; {flops / 1e9:.0f} GFLOP/s, {reads / 1e9:.1f} GB/s: {1 / least:,.1f} tokens/s; "
            f"ours reaches {rate * least:.1%}"
        )
        gc.collect()


def main() -> None:
    """Prints figures for one model, or the demo's, and for a large one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEMO / "models" / "base")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--prompt-file", type=Path, default=DEMO / "prompts.jsonl")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", type=int, default=124)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    prompts = load_prompts(PromptsConfig(path=str(options.prompt_file), strata="given"))[: options.prompts]
    if prompts:
        compare(options.model, prompts, options.repeats)
    if options.large:
        large(options.large, min(3, options.repeats))


if __name__ == "__main__":
    main()
