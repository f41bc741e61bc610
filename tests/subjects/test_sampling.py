from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from scipy.stats import chi2_contingency

from auto_interventions.subjects.sampling import CHECK_EVERY, NotANumber, can_pad, draw, sample_batch

from .tiny_models import make_model

PROMPTS = [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14, 15, 16], [3, 4, 5, 6, 7, 8]]


def numbers(rows: int, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, steps), dtype=np.float32)


def by_hand(
    model: Any, prompts: Sequence[list[int]], rows: Sequence[int], uniforms: np.ndarray, temperature: float = 1.0
) -> list[list[int]]:
    """The same law without cache, batch or padding, in double precision: the whole text is read again for each token."""
    texts: list[list[int]] = []
    for row, stream in zip(rows, uniforms, strict=True):
        ids = list(prompts[row])
        for number in stream:
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double()
            cumulated = torch.softmax(logits / temperature, -1).cumsum(0)
            ids.append(int(torch.searchsorted(cumulated, float(number) * cumulated[-1], right=True)))
        texts.append(ids[len(prompts[row]) :])
    return texts


@pytest.mark.parametrize(("kind", "more"), [("Llama", {}), ("GPT2", {}), ("Mistral", {"sliding_window": 6}), ("Qwen3", {"head_dim": 8})])
def test_padded_cached_batches_say_what_the_model_says_alone(kind: str, more: dict[str, int]) -> None:
    model = make_model(kind, **more)
    rows, uniforms = [0, 0, 1, 2, 2, 2], numbers(6, 14)
    assert can_pad(type(model), model.config)
    drawn = sample_batch(model, PROMPTS, rows, uniforms, [], 0.8, 1.0)
    assert [row.ids for row in drawn] == by_hand(model, PROMPTS, rows, uniforms, 0.8)
    assert all(row.tokens == 14 and not row.finished for row in drawn)


def test_layers_with_a_recurrent_state_are_sampled_but_not_padded() -> None:
    config = transformers.Lfm2Config(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        layer_types=["conv", "full_attention", "conv", "full_attention"],
    )
    torch.manual_seed(0)
    model: Any = transformers.Lfm2ForCausalLM(config).eval()
    assert not can_pad(type(model), config)
    prompts, rows, uniforms = [PROMPTS[0], [9, 8, 7, 6, 5]], [0, 1, 1], numbers(3, 10)
    stop = list(range(20))  # rows leave at different times
    whole = by_hand(model, prompts, rows, uniforms)
    cut = [row[: next((place for place, token in enumerate(row) if token < 20), 10)] for row in whole]
    assert [row.ids for row in sample_batch(model, prompts, rows, uniforms, stop, 1.0, 1.0)] == cut


def test_a_row_is_the_same_whatever_is_beside_it() -> None:
    model, uniforms = make_model(), numbers(40, 16)
    together = sample_batch(model, PROMPTS, [row % 3 for row in range(40)], uniforms, [2], 1.0, 1.0)
    for row in (0, 1, 2, 17, 39):
        alone = sample_batch(model, [PROMPTS[row % 3]], [0], uniforms[row : row + 1], [2], 1.0, 1.0)
        assert alone == [together[row]]


def test_a_prompt_is_prefilled_once_and_finished_rows_leave() -> None:
    model, shapes = make_model(), []
    hook = model.register_forward_pre_hook(lambda _module, _args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True)
    stop = list(range(40))  # about a tenth of the vocabulary
    drawn = sample_batch(model, [PROMPTS[0]], [0] * 64, numbers(64, 24), stop, 1.0, 1.0)
    hook.remove()
    assert shapes[0] == (1, 5)
    assert all(shape[1] == 1 for shape in shapes[1:])
    rows = [shape[0] for shape in shapes[1:]]
    assert rows[0] == 64
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < 32
    # Nobody is carried on for long after its end: the work done is near the work needed.
    assert sum(rows) <= sum(min(row.tokens + CHECK_EVERY, 24) for row in drawn) * 1.25


def test_ends_at_every_stop_id_and_counts_tokens() -> None:
    model, uniforms = make_model(), numbers(50, 30)
    endless = [row.ids for row in sample_batch(model, [PROMPTS[0]], [0] * 50, uniforms, [], 1.0, 1.0)]
    stop = [7, 350]
    drawn = sample_batch(model, [PROMPTS[0]], [0] * 50, uniforms, stop, 1.0, 1.0)
    assert any(row.finished for row in drawn)
    for row, ids in zip(drawn, endless, strict=True):
        end = next((place for place, token in enumerate(ids) if token in stop), None)
        assert row.ids == (ids if end is None else ids[:end])
        assert row.finished == (end is not None)
        assert row.tokens == (30 if end is None else end + 1)


def test_first_tokens_follow_the_law_of_generate() -> None:
    model, size = make_model(seed=3), 4000
    ours = [row.ids[0] for row in sample_batch(model, [PROMPTS[0]], [0] * size, numbers(size, 1), [], 0.7, 1.0)]
    torch.manual_seed(0)
    prompt = torch.tensor([PROMPTS[0]] * size)
    stock = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=True,
        temperature=0.7,
        top_k=0,
        max_new_tokens=1,
        min_new_tokens=1,
        eos_token_id=[],
    )[:, -1].tolist()
    counts = np.array([np.bincount(ours, minlength=400), np.bincount(stock, minlength=400)])
    frequent = counts.sum(axis=0) >= 20
    table = np.column_stack([counts[:, frequent], counts[:, ~frequent].sum(axis=1)])
    assert frequent.sum() > 20
    assert chi2_contingency(table).pvalue > 0.01
    # The same test sees a temperature of 0.8 at once.
    warmer = [row.ids[0] for row in sample_batch(model, [PROMPTS[0]], [0] * size, numbers(size, 1), [], 0.9, 1.0)]
    counts[0] = np.bincount(warmer, minlength=400)
    assert chi2_contingency(np.column_stack([counts[:, frequent], counts[:, ~frequent].sum(axis=1)])).pvalue < 1e-4


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5, 1e-6])
def test_draw_inverts_the_distribution_function(top_p: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(1, 30)) * 2
    masses = np.exp(logits[0] / 1.3) / np.exp(logits[0] / 1.3).sum()
    order = np.argsort(-masses)
    kept = order[: int(np.searchsorted(np.cumsum(masses[order]), top_p)) + 1] if top_p < 1 else order
    expected = np.zeros(30)
    expected[kept] = masses[kept] / masses[kept].sum()
    grid = (np.arange(20_000, dtype=np.float32) + 0.5) / 20_000
    drawn = draw(torch.tensor(logits, dtype=torch.float32).expand(20_000, -1), torch.from_numpy(grid.astype(np.float32)), 1.3, top_p)
    assert np.allclose(np.bincount(drawn.numpy(), minlength=30) / 20_000, expected, atol=2e-4)


def test_a_token_without_mass_is_never_drawn() -> None:
    logits = torch.full((2, 50_000), -torch.inf)
    logits[:, 100:40_000] = torch.randn(39_900, generator=torch.Generator().manual_seed(0))
    ends = torch.tensor([0.0, float(np.float32(1 - 2**-22))])
    assert draw(logits, ends, 1.0, 1.0).tolist() == [100, 39_999]


def test_the_largest_uniform_number_is_a_token_too() -> None:
    model = make_model()
    model.lm_head.weight.data[200:] = 0.0
    uniforms = np.full((3, 4), np.nextafter(np.float32(1), np.float32(0)), dtype=np.float32)
    for row in sample_batch(model, [PROMPTS[0]], [0, 0, 0], uniforms, [], 1.0, 1.0):
        assert row.ids == [399] * 4


def test_nan_logits_are_an_error() -> None:
    model = make_model()
    model.lm_head.weight.data[3] = torch.nan
    with pytest.raises(NotANumber):
        sample_batch(model, [PROMPTS[0]], [0], numbers(1, 4), [], 1.0, 1.0)
