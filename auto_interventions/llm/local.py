"""A chat model on this machine, through transformers. What is in flight together is generated together.

Temperature 0 takes the likeliest token. Above it, tokens are drawn by the Gumbel-max rule (the largest of logits / temperature + Gumbel
noise is a draw from the softmax), with noise of each request's own: a reply depends on its request, not on its neighbours in the batch.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel

from auto_interventions.config import ChatConfig
from auto_interventions.errors import ChatError, SubjectError
from auto_interventions.fingerprint import fingerprint, seed_of
from auto_interventions.llm.chat import ChatRequest, Failure, Message, Outcome, Usage
from auto_interventions.llm.faults import short
from auto_interventions.llm.schemas import finished, told_in_text
from auto_interventions.subjects.loading import dtype_name, load_model, load_tokenizer, model_facts, weight_bytes
from auto_interventions.subjects.sources import folder_fingerprint, folder_of

_GATHERING = 0.005  # seconds in which requests that were asked together arrive


@dataclass(frozen=True, slots=True)
class _Job:
    request: ChatRequest
    ids: list[int]
    asked: float
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Outcome]


class LocalChat:
    """`local:PATH`: a folder or hub id of a causal language model with a chat template."""

    def __init__(self, path: str, settings: ChatConfig, load: bool = True, device: str | None = None) -> None:
        """Loads the model.

        Args:
            path: its folder, or hub id.
            settings: `concurrency` is how many requests are generated together.
            load: False leaves the weights for later: for `load`, or the first question.
            device: that it will be on, where workers are asked instead of this process; None: this process's.

        Raises:
            ChatError: it is not there, cannot be loaded, or has no chat template.
        """
        self.name = f"local:{path}"
        try:
            self._folder = folder = folder_of(path, None, self.name)
            self._dtype = dtype = dtype_name(folder, None, device)
            facts = model_facts(folder, self.name)
            self._tokenizer: Any = load_tokenizer(folder, self.name)
            if getattr(self._tokenizer, "chat_template", None) is None:
                raise ChatError(f"{self.name} has no chat template, so it cannot be asked; name a chat (instruct) model")
            if load:
                self.load()
        except SubjectError as error:
            raise ChatError(str(error)) from error
        self.fingerprint = fingerprint("chat", 1, "local", folder_fingerprint(folder), dtype)
        own = self._tokenizer.eos_token_id
        self._stop = sorted({*facts.stop_ids, *([own] if own is not None else [])})
        self._context = facts.context
        self._rows = settings.concurrency if facts.pads else 1
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None

    def load(self) -> None:
        """Loads the weights now.

        Raises:
            SubjectError: they cannot be loaded.
        """
        _ = self._model

    def parts(self) -> dict[str, int]:
        """Bytes in memory, by what they are of."""
        return weight_bytes(self._folder, None, self._dtype, self.name)

    @cached_property
    def _model(self) -> PreTrainedModel:
        return load_model(self._folder, self._dtype, self.name)

    def __repr__(self) -> str:
        return f"LocalChat({self.name})"

    async def ask(self, request: ChatRequest) -> Outcome:
        """See `ChatModel.ask`."""
        try:
            ids = self._encode(request)
        except Exception as error:  # a template refuses in its own words: roles out of turn, for instance
            return Failure("rejected", f"the chat template refuses it: {short(str(error))}")
        if self._context is not None and len(ids) + request.max_tokens > self._context:
            return Failure("rejected", f"{len(ids)} tokens and {request.max_tokens} of the reply exceed the model's {self._context}")
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name=self.name, daemon=True)
            self._worker.start()
        loop = asyncio.get_running_loop()
        job = _Job(request, ids, time.perf_counter(), loop, loop.create_future())
        self._jobs.put(job)
        return await job.answer

    def _encode(self, request: ChatRequest) -> list[int]:
        messages = told_in_text(request.messages, request.schema) if request.schema is not None else request.messages
        try:
            return self._templated(messages)
        except Exception:  # some templates know no system message: it goes before the user's first one
            system = "\n\n".join(message.text for message in messages if message.role == "system")
            rest = [message for message in messages if message.role != "system"]
            if not system or not rest:
                raise
            return self._templated([Message("user", f"{system}\n\n{rest[0].text}"), *rest[1:]])

    def _templated(self, messages: Sequence[Message]) -> list[int]:
        turns = [{"role": message.role, "content": message.text} for message in messages]
        return list(self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"])

    def _work(self) -> None:
        while True:
            jobs = [self._jobs.get()]
            time.sleep(_GATHERING)
            while len(jobs) < self._rows and not self._jobs.empty():
                jobs.append(self._jobs.get())
            try:
                outcomes: Sequence[Outcome] = self._generate(jobs)
            except Exception as error:  # out of memory, for instance: the thread lives on
                outcomes = [Failure("unavailable", short(f"{type(error).__name__}: {error}"))] * len(jobs)
            for job, outcome in zip(jobs, outcomes, strict=True):
                if not job.loop.is_closed():
                    job.loop.call_soon_threadsafe(_settle, job.answer, outcome)

    def _generate(self, jobs: Sequence[_Job]) -> list[Outcome]:
        longest, new = max(len(job.ids) for job in jobs), max(job.request.max_tokens for job in jobs)
        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else self._stop[0] if self._stop else 0
        ids = torch.tensor([[pad] * (longest - len(job.ids)) + job.ids for job in jobs], device=self._model.device)
        mask = torch.tensor([[0] * (longest - len(job.ids)) + [1] * len(job.ids) for job in jobs], device=self._model.device)
        noise = LogitsProcessorList([_Draws([job.request for job in jobs])])
        model: Any = self._model
        with torch.inference_mode():
            written = model.generate(
                ids, attention_mask=mask, logits_processor=noise, do_sample=False, num_beams=1, max_new_tokens=new,
                temperature=None, top_p=None, top_k=None, pad_token_id=pad, eos_token_id=self._stop or None,
            )  # fmt: skip
        return [self._outcome(job, row[longest:].tolist()) for job, row in zip(jobs, written, strict=True)]

    def _outcome(self, job: _Job, new: list[int]) -> Outcome:
        end = next((place for place, token in enumerate(new) if token in self._stop), None)
        kept = new[: job.request.max_tokens] if end is None else new[:end][: job.request.max_tokens]
        text = self._tokenizer.decode(kept, skip_special_tokens=True)
        usage = Usage(len(job.ids), len(kept) + (end is not None))
        if end is None or end > job.request.max_tokens:
            return Failure("cut", f"the reply reached {job.request.max_tokens} tokens", usage, text=text)
        return finished(job.request, text, usage, self.name)


class _Draws(LogitsProcessor):
    """Turns the largest logit into a draw, for the rows whose temperature is above 0."""

    def __init__(self, requests: Sequence[ChatRequest]) -> None:
        self._temperatures = [request.temperature for request in requests]
        self._sources = [
            torch.Generator().manual_seed(seed_of("local", request.seed, [[m.role, m.text] for m in request.messages]))
            for request in requests
        ]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """`scores` (rows, vocabulary) with each drawn row divided by its temperature and noise added."""
        for row, (temperature, source) in enumerate(zip(self._temperatures, self._sources, strict=True)):
            if temperature > 0:
                uniform = torch.rand(scores.shape[-1], generator=source, dtype=torch.float64).clamp_min(1e-300)
                gumbel = -torch.log((-torch.log(uniform)).clamp_min(1e-300))
                scores[row] = (scores[row].double() / temperature + gumbel.to(scores.device)).to(scores.dtype)
        return scores


def _settle(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():  # whoever asked may have gone
        answer.set_result(outcome)
