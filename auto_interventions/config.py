"""Every choice of an audit, once: `AuditConfig` and its parts (`audit_file` reads them from YAML).

Frozen, and no unknown keys. Each field's docstring is its documentation (`docs/audit-file.md` is generated from them).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from auto_interventions.config_parts import Part, Positive, Share
from auto_interventions.language_config import LEXICAL, PREDICATE, ChatConfig, ExamineConfig, HypothesesConfig, JudgeConfig, PriceConfig
from auto_interventions.locations import check_location
from auto_interventions.prompts_config import PromptsConfig, WrittenConfig
from auto_interventions.subject_config import ReasoningConfig, SteeringConfig, SubjectConfig

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
    "ReasoningConfig",
    "SamplingConfig",
    "Share",
    "SteeringConfig",
    "SubjectConfig",
    "WeightsConfig",
    "WrittenConfig",
]


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
    """Share of `max_texts` that is kept for confirming. `active` explores with up to 30% of it while nothing is worth confirming."""
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


class WeightsConfig(Part):
    """How far the weights themselves moved, beside the behaviour (docs/weights.md)."""

    difference: Literal["auto", "never"] = "auto"
    """auto: where both sides are local models of one architecture, each matrix of the change is measured, one at a time; never: not."""
    rank: Positive = 64
    """Singular values of each large matrix of the change that are computed at most (randomised SVD; of matrices up to 1,024 on their
    shorter side, and of LoRA adapters, all are)."""


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
    weights: WeightsConfig = WeightsConfig()
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
        if self.prompts.source == "free" and (self.base.model is None or self.intervention.model is None):
            raise ValueError(
                "prompts: source `free` needs models on this machine on both sides; an API answers prompts only: give a `path`"
            )
        return self

    @model_validator(mode="after")
    def _same_part(self) -> Self:
        base, intervention = self.base.reasoning, self.intervention.reasoning
        if base is not None and intervention is not None and base.audit != intervention.audit:
            raise ValueError(
                f"`base.reasoning.audit` is {base.audit} and `intervention.reasoning.audit` is {intervention.audit}: look at the same part "
                "of both"
            )
        return self

    @model_validator(mode="after")
    def _likelihoods(self) -> Self:
        """What only a model on this machine can say, and only where a text is all that it says."""
        for role, side in (("base", self.base), ("intervention", self.intervention)):
            if self.examine.generative_prompts and (side.api is not None or side.reasoning is not None):
                why = (
                    "is behind an API" if side.api is not None else "reasons first, and an answer's likelihood is a sum over all reasonings"
                )
                raise ValueError(f"`examine.generative_prompts` asks how likely a text is, but `{role}` {why}; leave it at 0")
        return self
