"""The choices of an audit that are about one side of it: which model, in which form, what is put around its prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from auto_interventions.config_parts import Part, Positive, Wrap
from auto_interventions.language_config import ChatConfig

Quantization = Literal["fp32", "fp16", "bf16", "int8", "nf4", "int8-dynamic"]
APIS = ("openai", "gemini", "anthropic")


class ReasoningConfig(Part):
    """How a model reasons before it answers (docs/reasoning.md)."""

    start: str = "<think>"
    """The marker that opens the reasoning; white space around it does not count."""
    end: str = "</think>"
    """The marker that closes it; what follows is the answer."""
    begin: Literal["forced", "free"] = "forced"
    """forced: every text begins with reasoning; where the chat template does not write `start`, it is written for the model. free: the
    model reasons where it writes `start` itself, as its first word."""
    budget: Positive = 512
    """Tokens of reasoning at most, on top of `sampling.max_new_tokens`, which is the answer's. An API knows one limit only: the sum."""
    close: str | None = None
    """What is written for a local model when the budget is used up; null: `end`, on a line of its own."""
    audit: Literal["answer", "reasoning", "both"] = "answer"
    """What the audit looks at. The reasoning is kept apart in any case (column `reasoning` of texts.parquet)."""

    @property
    def drawing(self) -> list[str | int | None]:
        """What decides a text; what is looked at of it does not."""
        return [self.start, self.end, self.begin, self.budget, self.close]

    @model_validator(mode="after")
    def _markers(self) -> Self:
        if not self.start.strip() or not self.end.strip() or self.start.strip() == self.end.strip():
            raise ValueError("`start` and `end` must be two different markers, such as <think> and </think>")
        if self.close is not None and self.end.strip() not in self.close:
            raise ValueError(f"`close` must hold the end marker {self.end!r}, so that the reasoning is over after it")
        return self


class SteeringConfig(Part):
    """A vector that is added to what a layer hands on, at every position (activation steering; docs/subjects.md)."""

    vector: str
    """A safetensors file that holds it."""
    tensor: str | None = None
    """Name of the tensor (hidden size) in the file; null: its only one."""
    layer: Annotated[int, Field(ge=0)]
    """Number of the decoder layer, from 0, to whose output it is added."""
    scale: float = 1.0
    """What it is multiplied by; negative ones steer away."""
    positions: Literal["all", "new"] = "all"
    """all: prompt and answer; new: only what is generated."""


class SubjectConfig(Part):
    """Where one side's texts come from: a live model, a model behind an API, or recorded texts."""

    model: str | None = None
    """A local directory or a hub id of a causal language model in Hugging Face format."""
    revision: str | None = None
    """Hub revision (branch, tag or commit) of the model; a training checkpoint."""
    adapter: str | None = None
    """A PEFT adapter (local directory or hub id) put on top of the model."""
    quantization: Quantization | None = None
    """Number format of the weights: fp32, fp16, bf16; quantized: nf4 (4 bit) and int8 (LLM.int8()) by bitsandbytes, int8-dynamic (weights
    and activations in 8 bit) on a CPU. null takes what suits the device: fp32 on a CPU, the checkpoint's own elsewhere."""
    system_prompt: str | None = None
    """A system prompt (persona) put before every prompt; needs a model with a chat template, or an API."""
    wrap: Wrap | None = None
    """A text around every prompt, `{prompt}` where it stands, such as "Question: {prompt}\\nAnswer:": a prompt-only intervention also for
    models without a chat template. What surrounds the prompt is never part of a text."""
    chat_template: Literal["auto", "raw", "chat"] = "auto"
    """raw: prompts reach the tokenizer byte for byte; chat: the model's chat template wraps them; auto: chat where there is one."""
    reasoning: ReasoningConfig | None = None
    """For models that reason before they answer; null: everything that the model says is its answer."""
    steering: tuple[SteeringConfig, ...] = ()
    """Vectors added to the model's activations."""
    trust_remote_code: bool = False
    """True: the model may bring code of its own, which then runs on this machine with all your rights. Look at it first."""
    trust_pickles: bool = False
    """True: weights that exist as PyTorch pickles only (`pytorch_model.bin`) may be read; else only safetensors."""
    api: str | None = None
    """A model behind an API instead: `openai:MODEL` (and whatever speaks its protocol), `gemini:MODEL`, `anthropic:MODEL`."""
    chat: ChatConfig = ChatConfig(thinking="default")
    """How the API is asked: address, limits, price, key (docs/apis.md)."""
    texts: str | None = None
    """Recorded texts (CSV, JSONL or Parquet with columns model, prompt, text, optional stratum) instead of a model."""
    name: str | None = None
    """What the report calls this side; null takes the model's, adapter's or file's name."""

    @field_validator("reasoning", mode="before")
    @classmethod
    def _markers_alone(cls, given: Any) -> Any:
        """`reasoning: true` takes the defaults."""
        return {} if given is True else None if given is False else given

    @field_validator("chat", mode="before")
    @classmethod
    def _as_it_is(cls, given: Any) -> Any:
        """A subject thinks as its vendor sets it, unless the file says otherwise; judges think as little as they can."""
        return {"thinking": "default", **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _served(self) -> Self:
        if self.api is None:
            return self
        provider, _, model = self.api.partition(":")
        if provider not in APIS or not model.strip():
            raise ValueError(
                f"`api: {self.api}` must be {', '.join(f'`{name}:MODEL`' for name in APIS)}; a model on this machine is a `model`, and any "
                "server that speaks OpenAI's protocol is `openai:MODEL` with its address in `chat.base_url`"
            )
        for key in ("begin", "close"):
            if self.reasoning is not None and key in self.reasoning.model_fields_set:
                raise ValueError(f"`reasoning.{key}` is about what is written for a local model, which an API does not allow; remove it")
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [key for key in ("model", "api", "texts") if getattr(self, key) is not None]
        if len(origins) != 1:
            raise ValueError("needs exactly one of `model` (a live model), `api` (a model behind an API) and `texts` (recorded texts)")
        local = ("revision", "adapter", "quantization", "steering", "trust_remote_code", "trust_pickles")
        cannot = {
            "model": ("chat",),
            "api": (*local, "chat_template"),
            "texts": (*local, "chat_template", "system_prompt", "wrap", "reasoning", "chat"),
        }[origins[0]]
        empty = type(self).model_fields
        given = [key for key in cannot if key in self.model_fields_set and getattr(self, key) != empty[key].default]
        if given:
            fix = "give a `model`" if origins[0] != "model" else "give an `api`"
            raise ValueError(f"has `{origins[0]}`, so {', '.join(f'`{key}`' for key in given)} cannot apply: remove it or {fix}")
        return self

    @property
    def live(self) -> bool:
        """Whether texts are drawn from a model, here or behind an API, not from recordings."""
        return self.texts is None

    @property
    def label(self) -> str:
        """What people call this side."""
        if self.name:
            return self.name
        if self.texts:
            return Path(self.texts).stem
        label = self.api or Path(str(self.model)).name
        if self.adapter:
            label += f" + {Path(self.adapter).name}"
        if self.revision:
            label += f" @ {self.revision}"
        if self.quantization in ("int8", "nf4", "int8-dynamic"):
            label += f" ({self.quantization})"
        label += "".join(f" + {Path(steering.vector).stem} × {steering.scale:g}" for steering in self.steering)
        return label
