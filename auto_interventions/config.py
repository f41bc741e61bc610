"""Every choice of an audit, once: `AuditConfig` and its parts (`audit_file` reads them from YAML).

Frozen, and no unknown keys. Each field's docstring is its documentation (`docs/audit-file.md` is generated from them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from auto_interventions.config_parts import Part, Positive, Share
from auto_interventions.language_config import LEXICAL, PREDICATE, ChatConfig, ExamineConfig, HypothesesConfig, JudgeConfig, PriceConfig
from auto_interventions.locations import check_location

__all__ = [
    "AuditConfig",
    "BudgetConfig",
    "ChatConfig",
    "ClusteringConfig",
    "EmbeddingConfig",
    "ExamineConfig",
    "HypothesesConfig",
    "InferenceConfig",
    "JudgeConfig",
    "Part",
    "Positive",
    "PriceConfig",
    "PromptsConfig",
    "SamplingConfig",
    "Share",
    "SubjectConfig",
]


class SubjectConfig(Part):
    """Where one side's texts come from: a live model, or recorded texts."""

    model: str | None = None
    """A local directory or a hub id of a causal language model in Hugging Face format."""
    revision: str | None = None
    """Hub revision (branch, tag or commit) of the model."""
    adapter: str | None = None
    """A PEFT adapter (local directory or hub id) put on top of the model."""
    quantization: Literal["fp32", "fp16", "bf16"] | None = None
    """Number format of the weights; null takes what suits the device: fp32 on a CPU, the checkpoint's own elsewhere."""
    system_prompt: str | None = None
    """A system prompt (persona) put before every prompt; needs a model with a chat template."""
    chat_template: Literal["auto", "raw", "chat"] = "auto"
    """raw: prompts reach the tokenizer byte for byte; chat: the model's chat template wraps them; auto: chat where there is one."""
    reasoning: None = None
    """Reserved for reasoning models (start and end marker, budget)."""
    texts: str | None = None
    """Recorded texts (CSV, JSONL or Parquet with columns model, prompt, text, optional stratum) instead of a model."""
    name: str | None = None
    """What the report calls this side; null takes the model's, adapter's or file's name."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.model is None) == (self.texts is None):
            raise ValueError("needs exactly one of `model` (a live model) and `texts` (recorded texts)")
        live = {key for key in ("revision", "adapter", "quantization", "system_prompt") if getattr(self, key) is not None}
        if self.texts is not None and live:
            raise ValueError(f"has `texts`, so {', '.join(f'`{key}`' for key in sorted(live))} cannot apply: remove it or give a `model`")
        return self

    @property
    def label(self) -> str:
        """What people call this side."""
        if self.name:
            return self.name
        if self.texts:
            return Path(self.texts).stem
        label = Path(str(self.model)).name
        if self.adapter:
            label += f" + {Path(self.adapter).name}"
        if self.revision:
            label += f" @ {self.revision}"
        return label


class PromptsConfig(Part):
    """What the models are asked."""

    source: Literal["file", "recorded", "free"] = "file"
    """file: `path`; recorded: the prompts of the recorded texts; free: none are at hand, so two base models are asked to go on from the
    beginnings of texts that they wrote from nothing themselves (docs/prompts.md)."""
    path: str | None = None
    """Prompt file: one prompt a line, or CSV, JSONL, Parquet with columns `prompt` and optional `stratum`."""
    strata: Literal["auto", "given"] = "auto"
    """auto: prompts are clustered by their embeddings; given: the column `stratum`."""
    strata_count: Positive = 8
    """How many strata `auto` makes (fewer where the bank is small)."""
    explore_share: Share = 0.5
    """Share of the prompts of each stratum that may choose hypotheses; the rest only tests them."""
    max_prompts: Positive | None = None
    """Cap on the bank: a seeded random choice of this many prompts; null keeps all."""
    free_texts: Annotated[int, Field(gt=1)] = 400
    """source `free`: texts that are drawn from nothing to make the bank, half of each model. They come on top of `sampling.max_texts`."""
    prefix_words: Positive = 6
    """Words of a beginning: of the free texts' (source `free`) and of those that are mined where the bank runs dry
    (`sampling.prefixes_after`)."""

    @model_validator(mode="after")
    def _path(self) -> Self:
        if self.source == "file" and self.path is None:
            raise ValueError("has source `file` but no `path`: name the prompt file, or use `source: recorded`, or `source: free`")
        if self.source == "free" and self.path is not None:
            raise ValueError("has source `free`, so `path` cannot apply: remove it, or use `source: file`")
        if self.source == "free" and self.strata == "given":
            raise ValueError("has source `free`, whose prompts have no strata of their own: use `strata: auto`")
        return self


class SamplingConfig(Part):
    """How many texts are drawn, and how."""

    max_texts: Positive = 200_000
    """Hard cap on the texts of both models together, exploring and confirming."""
    initial: Positive = 5_000
    """Texts of the first exploring round, both models together."""
    per_round: Positive = 2_000
    """Texts of each further round, exploring or confirming, both models together."""
    rounds: Positive = 20
    """Exploring rounds at most."""
    strategy: Literal["active", "divergence", "boundary", "uniform", "exhaustive"] = "active"
    """Which prompts are asked. divergence: where evidence grows fastest; boundary: prompts whose texts lie between two clusters; active: a
    mixture of both; uniform: everywhere alike; exhaustive: all of `max_texts` at once, uniformly, with fixed-size tests (what `compare`
    compares with). All but exhaustive stop as soon as the evidence decides."""
    confirm_share: Share = 0.5
    """Share of `max_texts` that is kept for confirming."""
    prefixes_after: Positive | None = 8
    """Once every exploring prompt of a stratum was asked this often and more are wanted, beginnings of its most telling texts become new
    prompts (live models only, and not where sampling is uniform or exhaustive; docs/prompts.md); null: never."""
    samples_per_prompt: Positive = 1
    """Texts of each model for a prompt drawn in a round; recorded texts may hold fewer."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Softmax temperature. Below 1 rare behaviours shrink."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling; 1 samples from the whole distribution."""
    max_new_tokens: Positive = 48
    """Token limit of a text."""
    batch_tokens: Positive = 8_192
    """Size of a generation batch: rows × (prompt + new tokens)."""
    seed: int = 0
    """Seed of everything random in the audit."""

    @property
    def drawing(self) -> list[float]:
        """What decides a text besides model, side, prompt and sample number; part of every key of texts."""
        return [self.seed, self.temperature, self.top_p, self.max_new_tokens]


class EmbeddingConfig(Part):
    """How texts become vectors."""

    model: str = "all-MiniLM-L6-v2"
    """A sentence-transformers model: local directory or hub id. The default is installed with the package and needs no network."""
    revision: str | None = None
    """Hub revision of the encoder."""
    instruction: str | None = None
    """A prompt that the encoder puts before every text."""
    batch_size: Positive = 64
    """Texts a batch, sorted by length."""
    max_tokens: Positive | None = None
    """Texts are cut after this many tokens; null takes the encoder's own limit."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where the processor has it in hardware, else fp32."""


class ClusteringConfig(Part):
    """The partition of the texts, the same for both models."""

    algorithm: Literal["kmeans", "hdbscan"] = "kmeans"
    """kmeans: every text lies in a cluster; hdbscan: clusters are where texts lie densely, and texts between them lie in none
    (docs/clustering.md)."""
    backend: Literal["auto", "sklearn", "cuml"] = "auto"
    """Who computes it: auto takes cuml where a GPU and cuML are there (`auto-interventions[gpu]`), else sklearn. The two find clusters of
    the same quality, not the same clusters: an audit that is resumed on another machine names one."""
    clusters: Positive = 100
    """How many clusters (at most one for every five texts); hdbscan finds their number itself and keeps at most this many, the largest."""
    map: Literal["pca", "umap"] = "pca"
    """Where texts lie on the report's map. pca: two principal components, the same on every machine; umap: neighbours lie together
    (`auto-interventions[umap]`, or cuML on a GPU)."""


class InferenceConfig(Part):
    """The error guarantees."""

    alpha: Share = 0.05
    """False discovery rate over the hypotheses, and the chance that an audit of two identical models says anything."""
    smallest_effect: Share = 0.05
    """Differences of rates below this are of no interest."""


class BudgetConfig(Part):
    """Hard caps; the run stops gracefully with partial results (exit 3)."""

    dollars: Annotated[float, Field(ge=0)] | None = None
    """Cap on API money, all language models together; null: none. What is answered by then counts, and starting again with more goes on."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Cap on wall-clock time; null: none."""


class AuditConfig(Part):
    """A whole audit: the content of an audit file."""

    name: str = Field(min_length=1)
    """Names the run and its default output folder."""
    base: SubjectConfig
    """The model before the change."""
    intervention: SubjectConfig
    """The changed model."""
    prompts: PromptsConfig
    sampling: SamplingConfig = SamplingConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    store: str = "embedded"
    """Where whatever was computed is kept, so that it is computed once (docs/store.md): `embedded` (a folder in the user cache), the path
    of a folder, or a Redis: `redis://host:6379/0`, `rediss://…` (TLS), `unix:///path/redis.sock?db=0`, with `?namespace=…&ttl=30d` as
    you like. The password comes from the environment (`REDIS_PASSWORD`), never from here."""
    clustering: ClusteringConfig = ClusteringConfig()
    hypotheses: HypothesesConfig = HypothesesConfig()
    judge: JudgeConfig = JudgeConfig()
    examine: ExamineConfig = ExamineConfig()
    intent: str | None = None
    """What the change was meant to do, in a sentence: a language model then says which findings are intended and which are side effects."""
    inference: InferenceConfig = InferenceConfig()
    budget: BudgetConfig = BudgetConfig()

    @field_validator("store")
    @classmethod
    def _store(cls, store: str) -> str:
        check_location(store)
        return store

    @model_validator(mode="after")
    def _language_models(self) -> Self:
        """Whatever only a language model can do needs one."""
        labels, judges = self.hypotheses.labeller != LEXICAL, self.judge.cheap != PREDICATE
        if not self.hypotheses.discover and not self.hypotheses.own:
            raise ValueError("hypotheses: `discover` is false and `own` is empty, so nothing would be tested; give sentences in `own`")
        if not judges:
            for wants, field in (
                (labels, f"hypotheses: labeller `{self.hypotheses.labeller}` writes sentences"),
                (any(isinstance(own, str) for own in self.hypotheses.own), "hypotheses: `own` holds plain sentences"),
                (self.judge.strong is not None, "judge: `strong` judges sentences"),
                (bool(self.judge.panel), "judge: `panel` judges sentences"),
            ):
                if wants:
                    raise ValueError(f"{field}, which only a language model can judge; give one as `judge.cheap`, such as `gemini:MODEL`")
        if not labels:
            for wants, field in (
                (self.intent is not None, "intent"),
                (self.examine.generative_prompts > 0, "examine.generative_prompts"),
                (self.examine.identification_trials > 0, "examine.identification_trials"),
            ):
                if wants:
                    raise ValueError(f"`{field}` needs a language model as `hypotheses.labeller`, such as `gemini:MODEL`; name one")
        return self

    @model_validator(mode="after")
    def _recorded_prompts(self) -> Self:
        if self.prompts.source == "recorded" and not (self.base.texts and self.intervention.texts):
            raise ValueError("prompts: source `recorded` needs recorded `texts` on both sides; give `source: file` and a `path`")
        if self.prompts.source == "free" and (self.base.texts or self.intervention.texts):
            raise ValueError("prompts: source `free` needs live models on both sides; with recorded `texts` use `source: recorded`")
        return self
