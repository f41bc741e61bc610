"""Sampling from a causal language model with a key-value cache: token ids in, token ids out.

Knows nothing of prompts as text, roles, seeds or stores. Every row brings its own uniform numbers and draws each token as the inverse
distribution function of softmax(logits / temperature) at its next number, so what a row says does not depend on the rows beside
it, up to floating point: the kernels of a matrix product differ with its shape in the last bits, which changes a token when
a number falls within about 1e-7 of a boundary (one text in some ten thousand in fp32).

Each distinct prompt is run through the model once; its cache is then copied to its rows. Finished rows leave the batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from auto_interventions.subjects.positions import prompt_of

# Steps between two looks at which rows are finished, and whether the logits are numbers: a look makes a GPU wait.
CHECK_EVERY = 4
# Rows are moved together when this share of them or more is finished.
COMPACT_AT = 0.125
# Uniform numbers stay this far below 1, so that `u * total` is below `total` in fp32 and always falls on a token that has mass.
BELOW_ONE = np.float32(1 - 2**-22)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one row said: token ids up to and without the stop token, how many tokens were drawn, whether it stopped by itself."""

    ids: list[int]
    tokens: int
    finished: bool


class NotANumber(ArithmeticError):
    """The model's logits are NaN."""


class RoomyLayer(DynamicLayer):
    """A cache layer in a buffer with room for all tokens to come.

    The stock layer copies everything it holds at every step, which took 57% of the time of a small model on a CPU.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.length = 0
        self.buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends (rows, heads, new, dimension) keys and values; returns all so far, as views."""
        if self.buffers is None:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            self.buffers = (self._roomy(key_states), self._roomy(value_states))
        end = self.length + key_states.shape[-2]
        self.buffers[0][:, :, self.length : end] = key_states
        self.buffers[1][:, :, self.length : end] = value_states
        return self._view(end)

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Keeps the rows `beam_idx`, which may repeat."""
        if self.buffers is None:
            return
        old = self.buffers
        self.buffers = (self._roomy(old[0], len(beam_idx)), self._roomy(old[1], len(beam_idx)))
        for new, source in zip(self.buffers, old, strict=True):
            new[:, :, : self.length] = source[beam_idx, :, : self.length]
        self._view(self.length)

    def _roomy(self, like: torch.Tensor, rows: int | None = None) -> torch.Tensor:
        return like.new_empty(rows if rows is not None else like.shape[0], like.shape[1], self.room, like.shape[3])

    def _view(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.buffers is not None
        self.length = length
        self.keys, self.values = self.buffers[0][:, :, :length], self.buffers[1][:, :, :length]
        return self.keys, self.values


def can_pad(kind: type[PreTrainedModel], config: PreTrainedConfig) -> bool:
    """Whether prompts of different lengths can share a batch.

    They can where positions can be given and no layer carries a recurrent state over the padding.
    """
    layers = DynamicCache(config=config).layers
    return "position_ids" in inspect.signature(kind.forward).parameters and all(isinstance(layer, DynamicLayer) for layer in layers)


class _Run:
    """A batch on its way through the model: the cache, the attention mask where rows are padded, the rows still alive."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], room: int) -> None:
        self.model = model
        longest = max(len(prompt) for prompt in prompts)
        self.length = longest
        self.ids = torch.zeros((len(prompts), longest), dtype=torch.long)
        self.mask: torch.Tensor | None = None
        padding = torch.tensor([longest - len(prompt) for prompt in prompts])
        for row, prompt in enumerate(prompts):
            self.ids[row, longest - len(prompt) :] = torch.tensor(list(prompt))
        self.padding = sent(padding, model.device)
        self.ids = sent(self.ids, model.device)
        if bool(padding.any()):
            columns = torch.arange(longest + room, device=model.device)
            self.mask = (columns[None] >= self.padding[:, None]).long()
        self.cache = DynamicCache(config=model.config)
        self.cache.layers = [RoomyLayer(longest + room) if type(layer) is DynamicLayer else layer for layer in self.cache.layers]
        self.keep_one = "logits_to_keep" in inspect.signature(model.forward).parameters

    def prefill(self) -> torch.Tensor:
        """Logits (prompts, vocabulary) after the prompts."""
        positions = torch.arange(self.length, device=self.ids.device)[None] - self.padding[:, None]
        with prompt_of(self.length):
            return self._forward(self.ids, positions.clamp_(min=0))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (rows, vocabulary) after one more token (rows,) each."""
        positions = (self.length - self.padding)[:, None]
        self.length += 1
        return self._forward(tokens[:, None], positions)

    def select(self, rows: torch.Tensor) -> None:
        """Goes on with these rows of the batch; they may repeat."""
        self.cache.reorder_cache(rows)  # pyright: ignore[reportArgumentType]
        self.padding = self.padding[rows]
        if self.mask is not None:
            self.mask = self.mask[rows]

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        more: dict[str, Any] = {"logits_to_keep": 1} if self.keep_one else {}
        if self.mask is not None:
            more |= {"attention_mask": self.mask[:, : self.length], "position_ids": positions}
        output: Any = self.model(input_ids=ids, past_key_values=self.cache, use_cache=True, **more)
        logits: torch.Tensor = output.logits
        return logits[:, -1]


@torch.inference_mode()
def sample_batch(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    row_prompts: Sequence[int],
    uniforms: NDArray[np.float32],
    stop_ids: Sequence[int],
    temperature: float,
    top_p: float,
) -> list[Drawn]:
    """Draws one continuation for each row.

    Args:
        model: in eval mode; used on the device it is on.
        prompts: token ids of the distinct prompts, of about the same length (shorter ones are padded on the left).
        row_prompts: (rows,) which prompt each row continues.
        uniforms: (rows, new tokens at most) in [0, 1): each row's own random numbers.
        stop_ids: the token ids that end a text.
        temperature: divides the logits.
        top_p: keeps the smallest set of tokens with at least this mass (Holtzman et al. 2020); 1 keeps all.

    Raises:
        NotANumber: the model's logits are NaN.
    """
    device = model.device
    rows, steps = uniforms.shape
    run, logits, numbers = _begun(model, prompts, row_prompts, uniforms)
    drawn = torch.zeros((steps, rows), dtype=torch.long, device=device)
    alive = torch.arange(rows, device=device)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    stop = _stop_table(stop_ids, logits.shape[-1])
    stops = sent(torch.from_numpy(stop), device)
    for step in range(steps):
        tokens = draw(logits, numbers[step], temperature, top_p)
        drawn[step, alive] = tokens
        done |= stops[tokens]
        last = step + 1 == steps
        if last or step % CHECK_EVERY == CHECK_EVERY - 1:
            finished = _finished(done, logits)
            if last or finished == len(done):
                break
            if finished >= COMPACT_AT * len(done):
                left = torch.nonzero(~done)[:, 0]
                run.select(left)
                alive, numbers, tokens, done = alive[left], numbers[:, left], tokens[left], done[left]
        logits = run.step(tokens)
    return _cut(drawn.T.cpu().numpy(), stop)


class Guide(Protocol):
    """Follows the rows of a batch token by token, and writes tokens for the model where it wants to (`reasoning.Guide`)."""

    def take(self, rows: Sequence[int], drawn: Sequence[int], stops: frozenset[int]) -> list[int]:
        """What stands there in truth, for each of `rows`, whose next tokens were `drawn`."""
        ...

    def over(self, row: int) -> bool:
        """Whether row number `row` has ended."""
        ...


@torch.inference_mode()
def sample_guided(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    row_prompts: Sequence[int],
    uniforms: NDArray[np.float32],
    stop_ids: Sequence[int],
    temperature: float,
    top_p: float,
    guide: Guide,
) -> None:
    """As `sample_batch`, but `guide` is told every token, and knows in the end what each row said.

    Where it writes a token for a row, the row's number for that step is passed over; so a row's tokens depend on its own numbers and on
    what was written for it, never on its neighbours. The device is waited for at every step.

    Raises:
        NotANumber: the model's logits are NaN.
    """
    device = model.device
    rows, steps = uniforms.shape
    run, logits, numbers = _begun(model, prompts, row_prompts, uniforms)
    alive = list(range(rows))
    stops = frozenset(stop_ids)
    for step in range(steps):
        drawn = draw(logits, numbers[step], temperature, top_p)
        if bool(torch.isnan(logits).any()):
            raise NotANumber
        tokens = guide.take(alive, drawn.tolist(), stops)
        left = [place for place, row in enumerate(alive) if not guide.over(row)]
        if not left or step + 1 == steps:
            break
        if len(alive) - len(left) >= COMPACT_AT * len(alive):
            where = sent(torch.tensor(left), device)
            run.select(where)
            alive, numbers, tokens = [alive[place] for place in left], numbers[:, where], [tokens[place] for place in left]
        logits = run.step(sent(torch.tensor(tokens), device))


def _begun(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], row_prompts: Sequence[int], uniforms: NDArray[np.float32]
) -> tuple[_Run, torch.Tensor, torch.Tensor]:
    """A batch whose prompts were read: the run with its rows, their logits (rows, vocabulary), their random numbers (steps, rows)."""
    run = _Run(model, prompts, uniforms.shape[1])
    numbers = sent(torch.from_numpy(np.ascontiguousarray(np.minimum(uniforms, BELOW_ONE).T)), model.device)
    logits = run.prefill()
    if list(row_prompts) != list(range(len(prompts))):
        where = sent(torch.tensor(list(row_prompts)), model.device)
        run.select(where)
        logits = logits[where]
    return run, logits, numbers


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`tensor` on `device`; to a CUDA device from pinned memory, so that the processor goes on while it is copied."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _finished(done: torch.Tensor, logits: torch.Tensor) -> int:
    """How many rows are done; the one place where a batch waits for its device.

    Raises:
        NotANumber: the logits are NaN.
    """
    finished, broken = torch.stack([done.sum(), torch.isnan(logits).any()]).tolist()
    if broken:
        raise NotANumber
    return int(finished)


def draw(logits: torch.Tensor, numbers: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Tokens (rows,): the inverse distribution function of softmax(logits / temperature) at `numbers` (rows,)."""
    logits = logits.float()
    if temperature != 1.0:
        logits = logits / temperature
    masses = torch.softmax(logits, dim=-1)
    if top_p < 1.0:
        masses = _nucleus(masses, top_p)
    cumulated = masses.cumsum_(dim=-1)
    tokens = torch.searchsorted(cumulated, numbers[:, None] * cumulated[:, -1:], right=True)
    return tokens[:, 0].clamp_(max=logits.shape[-1] - 1)


def _nucleus(masses: torch.Tensor, top_p: float) -> torch.Tensor:
    ordered, order = masses.sort(dim=-1, descending=True)
    outside = ordered.cumsum(dim=-1) - ordered >= top_p
    return masses.masked_fill(outside.scatter(-1, order, outside), 0.0)


def _stop_table(stop_ids: Sequence[int], vocabulary: int) -> NDArray[np.bool_]:
    table = np.zeros(vocabulary, dtype=np.bool_)
    table[[token for token in stop_ids if token < vocabulary]] = True
    return table


def _cut(drawn: NDArray[np.int64], stop: NDArray[np.bool_]) -> list[Drawn]:
    """Rows (rows, steps) up to their first stop token. A row without one used every step."""
    stopping = stop[drawn]
    finished: NDArray[np.bool_] = np.asarray(stopping.any(axis=1))
    ends: NDArray[np.int64] = np.where(finished, stopping.argmax(axis=1), drawn.shape[1])
    return [
        Drawn(row[:end].tolist(), int(end) + int(by_itself), bool(by_itself))
        for row, end, by_itself in zip(drawn, ends, finished, strict=True)
    ]
