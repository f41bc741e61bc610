"""A live model as a subject: prompts in, texts out, in batches of prompts of about the same length."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.fingerprint import fingerprint, generator
from auto_interventions.records import FloatArray, Generation, IntArray, Prompt, Role
from auto_interventions.subjects.base import Job, Progress, Request, SilenceGuard, jobs_of
from auto_interventions.subjects.chat import Codec
from auto_interventions.subjects.sources import (
    GIVEN,
    Trust,
    folder_fingerprint,
    folder_of,
    steering_content,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from auto_interventions.subjects.loading import ModelFacts

# Prompts share a batch when the longest is at most this much longer than the shortest: tokens, or a share of the shortest.
PADDING_TOKENS = 3
PADDING_SHARE = 0.125


class LiveSubject:
    """A causal language model that is loaded when its first text is wanted.

    Two subjects of the same model share one loaded base. Thread-safe: two subjects may generate at once.
    """

    def __init__(self, config: SubjectConfig, role: Role, sampling: SamplingConfig) -> None:
        if config.model is None:
            raise SubjectError(f"{role}: has recorded `texts`, not a live model; give a `model`")
        self._config = config
        self._role: Role = role
        self._sampling = sampling
        self._guard = SilenceGuard(role, config.label)

    @property
    def label(self) -> str:
        """What people call this side."""
        return self._config.label

    @property
    def fingerprint(self) -> str:
        """sha256 of weights, tokenizer, adapter, number format, steering vectors and the way prompts are wrapped.

        The device is left out: its kernels differ in the last bits only. Two copies of one model are the same subject.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        model = folder_fingerprint(self._folder, self._trust)
        adapter = folder_fingerprint(self._adapter, self._trust) if self._adapter is not None else None
        codec, config = self._codec, self._config
        parts = ["live", model, adapter, self._dtype, codec.chats, config.system_prompt]
        # Only what is set is told, so that what was stored before these settings existed stays valid.
        reasoning = config.reasoning.drawing if config.reasoning is not None else None
        extra = {"wrap": config.wrap, "steering": steering_content(config, self._role), "reasoning": reasoning, **codec.peculiarities}
        told = {name: value for name, value in extra.items() if value}
        return fingerprint(*parts, *([told] if told else []))

    @property
    def config(self) -> SubjectConfig:
        """Which model, as another process finds it, with the number format that was chosen here."""
        named = {"model": self._config.model, "adapter": self._config.adapter}
        paths = {field: Path(name).expanduser() for field, name in named.items() if name is not None}
        local = {field: str(path.resolve()) for field, path in paths.items() if path.is_dir()}
        steering = tuple(
            vector.model_copy(update={"vector": str(Path(vector.vector).expanduser().resolve())}) for vector in self._config.steering
        )
        given = self._dtype if self._dtype != GIVEN else None
        return self._config.model_copy(update={"quantization": given, "steering": steering, **local})

    def load(self) -> None:
        """Loads the model now.

        Raises:
            SubjectError: it cannot be loaded.
        """
        _ = self._model

    def parts(self) -> dict[str, int]:
        """Bytes in memory by what they are of, from the files' headers: the base, which others may share, and what the adapter adds."""
        from auto_interventions.subjects.loading import weight_bytes

        return weight_bytes(self._folder, self._adapter, self._dtype, f"{self._role}.model", self._trust)

    def again(self, role: Role, sampling: SamplingConfig) -> LiveSubject:
        """The same model, in memory once, as a side of perhaps another audit."""
        other = copy.copy(self)
        other._role, other._sampling = role, sampling
        return other

    def looked_at(self, text: Generation) -> Generation:
        """`text` as this side's audit looks at it: of a model that reasons, its answer, its reasoning or both."""
        return text

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of `prompt` as the model is sent it."""
        return len(self._encode(prompt))

    def available(self, prompt: Prompt) -> int | None:
        """None: a live model gives as many samples as are asked for; 0 where a mined prefix leaves no room in the model's context."""
        return 0 if prompt.prefix and not self._has_room(prompt) else None

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Generation]:
        """The texts in the order of requests × samples.

        Raises:
            SubjectError: a prompt that leaves no room in the model's context, NaN logits, or nothing but empty texts.
        """
        jobs = jobs_of(requests)
        answers: dict[int, Generation] = {}
        for batch, texts in self.side_by_side(self.run, self.plan(jobs)):
            answers.update((job.position, text) for job, text in zip(batch, texts, strict=True))
            self._guard.listen(texts)
            if progress is not None:
                progress(len(texts))
        return [answers[job.position] for job in jobs]

    def plan(self, jobs: Sequence[Job]) -> list[list[Job]]:
        """Batches of jobs: sorted by length, the samples of a prompt together, each batch within `batch_tokens`.

        Depends on the jobs alone, so the same round makes the same batches again after a kill.

        Raises:
            SubjectError: a prompt that leaves no room in the model's context.
        """
        groups: dict[tuple[str, ...], list[Job]] = {}
        for job in jobs:
            groups.setdefault(job.prompt.asked, []).append(job)
        lengths = {asked: self._checked_length(own[0].prompt) for asked, own in groups.items()}
        batches: list[list[Job]] = []
        batch: list[Job] = []
        shortest = 0
        for asked in sorted(groups, key=lambda asked: (lengths[asked], asked)):
            length = lengths[asked]
            rows = max(1, self._sampling.batch_tokens // (length + self.room(groups[asked][0].prompt)))
            spread = max(PADDING_TOKENS, int(PADDING_SHARE * shortest)) if self._facts.pads else 0
            if batch and (length - shortest > spread or len(batch) + len(groups[asked]) > rows):
                batches.append(batch)
                batch = []
            shortest = shortest if batch else length
            batch = [*batch, *groups[asked]]
            while len(batch) > rows:
                batches.append(batch[:rows])
                batch = batch[rows:]
        return [*batches, batch] if batch else batches

    def side_by_side(
        self, work: Callable[[list[Job]], list[Generation]], batches: Sequence[list[Job]]
    ) -> Iterator[tuple[list[Job], list[Generation]]]:
        """Each batch with what `work` makes of it, as they end; on a CPU as many at a time as there are cores, each on one thread."""
        from auto_interventions.subjects.threads import side_by_side

        return side_by_side(self._model.device, work, batches) if batches else iter(())  # nothing to do loads no model

    def run(self, batch: Sequence[Job]) -> list[Generation]:
        """The texts of one batch, in its order.

        Raises:
            SubjectError: the model's logits are NaN.
        """
        from auto_interventions.subjects.sampling import NotANumber
        from auto_interventions.subjects.threads import one_thread

        asked = {job.prompt.asked: job.prompt for job in batch}
        places = {own: place for place, own in enumerate(asked)}
        prompts = [self._encode(prompt) for prompt in asked.values()]
        try:
            with one_thread(self._model.device):
                return self._drawn(batch, prompts, [places[job.prompt.asked] for job in batch])
        except NotANumber:
            raise self._not_a_number() from None

    def _drawn(self, batch: Sequence[Job], prompts: Sequence[list[int]], places: Sequence[int]) -> list[Generation]:
        """The texts of `batch`, whose prompts are those at `places`.

        Raises:
            NotANumber: the model's logits are NaN.
        """
        from auto_interventions.subjects.sampling import sample_batch

        sampling, stop_ids = self._sampling, self._codec.stop_ids
        drawn = sample_batch(self._model, prompts, places, self._uniforms(batch), stop_ids, sampling.temperature, sampling.top_p)
        return [
            Generation(self._role, job.prompt, job.sample, self._codec.decode(prompts[place], row.ids), row.tokens, row.finished)
            for job, place, row in zip(batch, places, drawn, strict=True)
        ]

    def log_likelihood(self, prompt: Prompt, texts: Sequence[str]) -> FloatArray:
        """See `subjects.Scorer`; in batches of texts of about the same length."""
        from auto_interventions.subjects.likelihood import continuation_log_likelihoods
        from auto_interventions.subjects.sampling import NotANumber

        before = self._encode(prompt)
        after = [self._codec.continuation(prompt.text, prompt.prefix, text) for text in texts]
        self._check_fits(prompt, len(before) + max((len(ids) for ids in after), default=0))
        try:
            return continuation_log_likelihoods(self._model, before, after, self._sampling.batch_tokens)
        except NotANumber:
            raise self._not_a_number() from None

    def token_counts(self, prompt: Prompt, texts: Sequence[str]) -> IntArray:
        """See `subjects.Scorer`; loads no weights."""
        return np.array([len(self._codec.continuation(prompt.text, prompt.prefix, text)) for text in texts], dtype=np.int64)

    def _check_fits(self, prompt: Prompt, length: int) -> None:
        if self._facts.context is not None and length > self._facts.context:
            raise SubjectError(
                f"{self._role}: {self.label} has room for {self._facts.context} tokens, but the prompt {prompt.whole[:60]!r} and a text to "
                f"be scored after it take {length}; shorten one of them"
            )

    def _not_a_number(self) -> SubjectError:
        return SubjectError(
            f"{self._role}: {self.label} answers NaN in {self._dtype}; set `{self._role}.quantization: "
            f"{'fp32' if self._dtype == 'bf16' else 'bf16'}`, or check its weights"
        )

    def _uniforms(self, batch: Sequence[Job]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """(jobs, new tokens): every text's own stream, seeded by what it is."""
        numbers = np.empty((len(batch), max(self.room(job.prompt) for job in batch)), dtype=np.float32)
        for row, job in enumerate(batch):
            random = generator("sample", self._sampling.seed, self._role, *job.prompt.asked, job.sample)
            random.random(dtype=np.float32, out=numbers[row])
        return numbers

    def _encode(self, prompt: Prompt) -> list[int]:
        return self._codec.encode(prompt.text, prompt.prefix)

    def room(self, prompt: Prompt) -> int:
        """Tokens that a text can take after what the model is sent for `prompt`."""
        del prompt
        return self._sampling.max_new_tokens

    @property
    def _room_told(self) -> str:
        return f"`sampling.max_new_tokens` {self._sampling.max_new_tokens}"

    def _has_room(self, prompt: Prompt) -> bool:
        return self._facts.context is None or len(self._encode(prompt)) + self.room(prompt) <= self._facts.context

    def _checked_length(self, prompt: Prompt) -> int:
        length = len(self._encode(prompt))
        if not self._has_room(prompt):
            raise SubjectError(
                f"{self._role}: {self.label} has room for {self._facts.context} tokens, but the prompt {prompt.whole[:60]!r} takes "
                f"{length} and {self._room_told}; shorten one of them"
            )
        return length

    @cached_property
    def _folder(self) -> Path:
        return folder_of(str(self._config.model), self._config.revision, f"{self._role}.model", self._trust)

    @cached_property
    def _adapter(self) -> Path | None:
        return None if self._config.adapter is None else folder_of(self._config.adapter, None, f"{self._role}.adapter", self._trust)

    @property
    def _trust(self) -> Trust:
        return Trust.of(self._config)

    @cached_property
    def _dtype(self) -> str:
        from auto_interventions.subjects.loading import dtype_name

        return dtype_name(self._folder, self._config.quantization, trust=self._trust)

    @cached_property
    def _codec(self) -> Codec:
        from auto_interventions.subjects.loading import load_tokenizer

        field = f"{self._role}.model"
        return Codec(load_tokenizer(self._folder, field, self._trust), self._config, self._role, self._facts.stop_ids)

    @cached_property
    def _facts(self) -> ModelFacts:
        from auto_interventions.subjects.loading import model_facts

        return model_facts(self._folder, f"{self._role}.model", self._trust)

    @cached_property
    def _model(self) -> PreTrainedModel:
        from auto_interventions.subjects.loading import load_adapted, load_model

        base = load_model(self._folder, self._dtype, f"{self._role}.model", self._trust)
        model = base
        if self._adapter is not None:
            model = load_adapted(base, self._folder, self._adapter, self._dtype, f"{self._role}.adapter", self._trust)
        if self._config.steering:
            from auto_interventions.subjects.steering import steered

            model = steered(model, self._config.steering, f"{self._role}.model")
        self._base = base  # held, so that the other side's base is this very model
        return model
