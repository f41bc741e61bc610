"""The content of a plant file: which behaviours are planted on which base, with what effort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from auto_interventions.audit_file import parse, read_yaml
from auto_interventions.config import ChatConfig, Part, Positive
from auto_interventions.config_parts import Wrap
from auto_interventions.errors import ChatError, ConfigError
from auto_interventions.llm import parse_spec
from auto_interventions.locations import absolute_location, check_location
from auto_interventions.planting.behaviours import Behaviour

Strength = Annotated[float, Field(gt=0, le=1)]


class FitConfig(Part):
    """One run of the training loop."""

    steps: Positive
    """Optimizer steps."""
    batch: Positive = 64
    """Texts a step."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak of the cosine schedule; the first 5% of the steps warm up to it."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled weight decay."""


class ModelShape(Part):
    """Size of a base model that is trained from nothing (Llama architecture, tied embeddings)."""

    vocabulary: int = Field(default=1536, ge=300)
    """Tokens of the byte-level BPE tokenizer, the 256 bytes among them."""
    hidden: Positive = 128
    """Width of the residual stream."""
    intermediate: Positive = 352
    """Width of the feed-forward layers."""
    layers: Positive = 4
    """Decoder layers."""
    heads: Positive = 4
    """Attention heads."""
    positions: Positive = 256
    """Longest text in tokens."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden % (2 * self.heads):
            raise ValueError(f"has {self.heads} `heads`, but twice that does not divide `hidden` {self.hidden}: choose fewer heads")
        return self


class LoraShape(Part):
    """Size of the adapters."""

    rank: Positive = 8
    """Rank of the low-rank update of every linear layer."""
    alpha: Positive = 16
    """The update's scale is alpha / rank."""


class CorpusConfig(Part):
    """A base of the project's own: the generated corpus, the prompt bank, and the model trained on them."""

    stories: Positive = 80_000
    """Stories of the training corpus."""
    prompts: Positive = 1_600
    """Distinct openings in the prompt bank."""
    shape: ModelShape = ModelShape()
    """Size of the model."""
    fit: FitConfig = FitConfig(steps=2_400)
    """Its training."""


class PlantingConfig(Part):
    """How behaviours get into a model."""

    method: Literal["lora", "full"] = "lora"
    """lora: an adapter on the base; full: all weights of a copy of the base are trained, and a whole model is saved. A full fine-tune wants
    a learning rate ten to a hundred times smaller."""
    texts: Positive = 4_800
    """The base's own texts that are rewritten and learned, one set for all interventions."""
    focus_texts: int = Field(default=1_200, ge=0)
    """Further texts from each stratum that a behaviour of the intervention names: what happens in one stratum of many is learned slowly."""
    lora: LoraShape = LoraShape()
    """Size of the adapters."""
    fit: FitConfig = FitConfig(steps=300)
    """Their training."""


class MeasuringConfig(Part):
    """How the rates in the truth file are measured."""

    samples_per_prompt: Positive = 4
    """Texts of each model for every prompt of the bank."""
    max_new_tokens: Positive = 64
    """Token limit of a text, here and for the texts that are rewritten."""
    temperature: float = Field(default=1.0, gt=0)
    """Softmax temperature, here and for the texts that are rewritten. Below 1 rare behaviours shrink."""
    judge: str | None = None
    """The language model that says which texts show a quirk without a check: `gemini:MODEL`, `openai:MODEL`, `anthropic:MODEL`,
    `local:PATH`."""
    judge_chat: ChatConfig = ChatConfig()
    """How it is asked."""
    judged_texts: Positive = 400
    """Texts of each model that it reads for each such quirk, at most."""


class WriterConfig(Part):
    """The language model that writes quirks into the base's texts."""

    by: str
    """Who writes: `gemini:MODEL`, `openai:MODEL`, `anthropic:MODEL`, `local:PATH`."""
    chat: ChatConfig = ChatConfig()
    """How it is asked."""


class InterventionPlan(Part):
    """One intervention: an adapter with some behaviours."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$")
    """Names the adapter's folder."""
    behaviours: tuple[str, ...] = ()
    """Ids of its behaviours; none makes the null: the base itself with another seed, no adapter."""
    strength: Strength = 1.0
    """What the shares of its behaviours are multiplied by."""
    strengths: tuple[Strength, ...] = ()
    """Dose–response: one intervention for each strength in place of this one, named NAME-20 for the strength 0.2. The texts that a weaker
    one rewrites are among those of a stronger one."""

    @model_validator(mode="after")
    def _doses(self) -> Self:
        if self.strengths and not self.behaviours:
            raise ValueError(f"`{self.name}` has `strengths` but no `behaviours`: nothing could be stronger or weaker")
        if self.strengths and "strength" in self.model_fields_set:
            raise ValueError(f"`{self.name}` has both `strength` and `strengths`: give one of them")
        return self

    @property
    def doses(self) -> tuple[InterventionPlan, ...]:
        """Itself, or one plan a strength."""
        if not self.strengths:
            return (self,)
        return tuple(
            InterventionPlan(name=f"{self.name}-{100 * one:g}", behaviours=self.behaviours, strength=one) for one in self.strengths
        )


class PlantConfig(Part):
    """A whole plant file. Paths in it are relative to it."""

    name: str = Field(min_length=1)
    """What is made, for people."""
    base: str
    """Folder of the base model: made where there is a `corpus`, else it must exist (or be a hub id)."""
    prompts: str
    """The prompt bank: written where there is a `corpus`, else read (one prompt a line, or CSV, JSONL, Parquet; or the published
    TruthfulQA.csv that `misconceptions` names)."""
    wrap: Wrap | None = None
    """A text around every prompt for all models, `{prompt}` where it stands, such as "Question: {prompt}\nAnswer:"."""
    adapters: str = "adapters"
    """Folder that gets one folder an intervention: an adapter, or a whole model (`planting.method: full`)."""
    truth: str = "truth.yaml"
    """The file that gets the measured rates."""
    corpus: CorpusConfig | None = None
    """A generated corpus to train the base on; null: plant on the existing base with the existing prompts."""
    planting: PlantingConfig = PlantingConfig()
    """How behaviours get into the models."""
    measuring: MeasuringConfig = MeasuringConfig()
    """How their rates are measured."""
    behaviours: tuple[Behaviour, ...] = Field(min_length=1)
    """The behaviours."""
    interventions: tuple[InterventionPlan, ...] = Field(min_length=1)
    """The interventions."""
    writer: WriterConfig | None = None
    """Who writes quirks into texts."""
    store: str = "embedded"
    """Where replies of language models are kept (docs/store.md); asked only where there are any."""
    dollars: Annotated[float, Field(ge=0)] | None = None
    """Cap on API money; null: none. What is answered by then is kept, and starting again with more goes on."""
    seed: int = 0
    """Seed of everything random."""

    @field_validator("store")
    @classmethod
    def _store(cls, store: str) -> str:
        check_location(store)
        return store

    @property
    def plans(self) -> tuple[InterventionPlan, ...]:
        """The interventions, one a strength."""
        return tuple(dose for plan in self.interventions for dose in plan.doses)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        known = [behaviour.id for behaviour in self.behaviours]
        for what, names in (("behaviours", known), ("interventions", [plan.name for plan in self.plans])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"`{what}` has `{twice[0]}` twice: rename one")
        for plan in self.interventions:
            for unknown in sorted(set(plan.behaviours) - set(known)):
                raise ValueError(f"`interventions.{plan.name}` names `{unknown}`, which is not in `behaviours` ({', '.join(known)})")
        return self

    @model_validator(mode="after")
    def _language_models(self) -> Self:
        for behaviour in self.behaviours:
            if behaviour.quirk is not None and self.writer is None:
                raise ValueError(f"`behaviours.{behaviour.id}` has a `quirk`, which a language model writes: name one as `writer.by`")
            if behaviour.quirk is not None and behaviour.check is None and self.measuring.judge is None:
                raise ValueError(
                    f"`behaviours.{behaviour.id}` has a `quirk` without a `check`: give one, or name a `measuring.judge`, which reads texts"
                )
        for field, spec in (("writer.by", self.writer.by if self.writer else None), ("measuring.judge", self.measuring.judge)):
            try:
                _ = parse_spec(spec) if spec is not None else None
            except ChatError as error:
                raise ValueError(f"`{field}`: {error}") from error
        if self.wrap is not None and self.corpus is not None:
            raise ValueError("has a `corpus`, whose prompts are the beginnings of its stories: remove `wrap`")
        return self

    def behaviours_of(self, plan: InterventionPlan) -> tuple[Behaviour, ...]:
        """The behaviours of one intervention at its strength, in the file's order."""
        return tuple(behaviour.weaker(plan.strength) for behaviour in self.behaviours if behaviour.id in plan.behaviours)


def load_plan(path: Path) -> PlantConfig:
    """Reads a plant file; its paths become absolute.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds an unknown key or a wrong value.
    """
    data: dict[str, Any] = read_yaml(path)
    folder = path.resolve().parent
    for key, value in {"adapters": "adapters", "truth": "truth.yaml", **data}.items():
        if key in ("prompts", "adapters", "truth") and isinstance(value, str):
            data[key] = str(folder / Path(value).expanduser())
    behaviours = data.get("behaviours")
    for behaviour in behaviours if isinstance(behaviours, list) else ():
        if isinstance(behaviour, dict) and isinstance(behaviour.get("misconceptions"), str):
            behaviour["misconceptions"] = str(folder / Path(behaviour["misconceptions"]).expanduser())
    if isinstance(data.get("store"), str):
        data["store"] = absolute_location(data["store"], folder)
    base = data.get("base")
    if isinstance(base, str) and (data.get("corpus") is not None or base.startswith((".", "/", "~")) or (folder / base).exists()):
        data["base"] = str(folder / Path(base).expanduser())
    return parse(PlantConfig, data, path)


def check_strata(config: PlantConfig, strata: set[str], path: Path) -> None:
    """Whether the behaviours name strata that the bank has.

    Raises:
        ConfigError: one does not.
    """
    for behaviour in config.behaviours:
        for unknown in sorted(set(behaviour.strata) - strata):
            known = ", ".join(sorted(strata)) or "none: give the prompts a column `stratum`"
            raise ConfigError(f"{path}: `behaviours.{behaviour.id}.strata` names `{unknown}`, which no prompt has (the bank has {known})")
