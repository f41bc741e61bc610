"""Every choice of an audit, once: `AuditConfig` and its parts, read from YAML.

Frozen; an unknown key is an error that names the nearest known one. Each field's docstring is its documentation
(`docs/audit-file.md` is generated from them). Paths in a file are relative to that file and absolute once loaded.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from auto_interventions.errors import ConfigError
from auto_interventions.locations import absolute_location, check_location

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Part(BaseModel):
    """Base of every part of a configuration file: frozen, no unknown keys, documented fields."""

    # hide_input_in_errors: pydantic's own error, which a traceback shows behind ours, must not repeat a password that `store` was given.
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(), hide_input_in_errors=True
    )


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
    backend: Literal["auto", "sklearn"] = "auto"
    """Who computes it."""
    clusters: Positive = 100
    """How many clusters (at most one for every five texts); hdbscan finds their number itself and keeps at most this many, the largest."""


class HypothesesConfig(Part):
    """Who proposes the sentences to be tested."""

    labeller: Literal["lexical"] = "lexical"
    """lexical: words, phrases and format features; needs no key and no network."""
    limit: Positive = 60
    """Hypotheses proposed at most. Each one tested raises the bar for all: the false discovery rate is shared."""
    own: tuple[dict[str, Any], ...] = ()
    """Your own checkable hypotheses, as predicates (docs/predicates.md), tested beside the proposed ones. Write them before you see
    this audit's texts: a sentence read off an earlier run has no guarantee on the same texts (take another `sampling.seed`, or new
    recordings)."""


class JudgeConfig(Part):
    """Who says whether a sentence fits a text."""

    cheap: Literal["predicate"] = "predicate"
    """predicate: the sentence's own check, run by the machine."""
    strong: None = None
    """Reserved for a second judge on the borderline."""
    borderline: tuple[float, float] = (0.4, 0.6)
    """Mean scores between these go to the strong judge."""


class PriceConfig(Part):
    """What a chat model costs, in dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    """Dollars per million input tokens."""
    output: Annotated[float, Field(ge=0)]
    """Dollars per million output tokens."""
    cached_input: Annotated[float, Field(ge=0)] | None = None
    """Dollars per million input tokens that the provider's own prompt cache held; null: as `input`."""


class ChatConfig(Part):
    """How a chat model is asked (docs/llm.md)."""

    base_url: str | None = None
    """Address of the service, such as https://openrouter.ai/api/v1 or http://127.0.0.1:8000/v1; null: the vendor's own (for `openai:`
    also OPENAI_BASE_URL)."""
    concurrency: Positive = 16
    """Calls in flight at most."""
    requests_per_minute: Positive | None = None
    """Calls a minute at most, of all workers together where the store is a Redis; null: no limit of ours."""
    tokens_per_minute: Positive | None = None
    """Tokens a minute at most, input and output; null: no limit of ours."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for one attempt."""
    retries: Annotated[int, Field(ge=0)] = 5
    """Further attempts after a busy or broken service (429, 5xx, cut connection, timeout); nothing else is asked again."""
    price: PriceConfig | None = None
    """What the model costs; null: the price table of genai-prices."""
    key_block: str | None = None
    """A Prefect Secret block that holds the key; null: the environment (GEMINI_API_KEY, OPENAI_API_KEY, ANTHROPIC_API_KEY)."""
    thinking: Literal["least", "default"] = "least"
    """least: models that think before they answer do so as little as they can (a judge that thinks costs ten times more); default: as
    the vendor sets them."""

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, address: str | None) -> str | None:
        if address is None:
            return None
        if not address.startswith(("http://", "https://")):
            raise ValueError("is no address; write http://host:port/v1 or https://host/v1")
        if "@" in address or "?" in address:
            raise ValueError("holds more than an address; a key comes from the environment, never from here")
        return address.rstrip("/")


class InferenceConfig(Part):
    """The error guarantees."""

    alpha: Share = 0.05
    """False discovery rate over the hypotheses, and the chance that an audit of two identical models says anything."""
    smallest_effect: Share = 0.05
    """Differences of rates below this are of no interest."""


class BudgetConfig(Part):
    """Hard caps; the run stops gracefully with partial results (exit 3)."""

    dollars: Annotated[float, Field(ge=0)] | None = None
    """Cap on API money; null: none. Nothing in this version costs money."""
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
    inference: InferenceConfig = InferenceConfig()
    budget: BudgetConfig = BudgetConfig()

    @field_validator("store")
    @classmethod
    def _store(cls, store: str) -> str:
        check_location(store)
        return store

    @model_validator(mode="after")
    def _recorded_prompts(self) -> Self:
        if self.prompts.source == "recorded" and not (self.base.texts and self.intervention.texts):
            raise ValueError("prompts: source `recorded` needs recorded `texts` on both sides; give `source: file` and a `path`")
        if self.prompts.source == "free" and (self.base.texts or self.intervention.texts):
            raise ValueError("prompts: source `free` needs live models on both sides; with recorded `texts` use `source: recorded`")
        return self


PartT = TypeVar("PartT", bound=Part)


def load_audit(path: Path, overrides: list[str] | None = None) -> AuditConfig:
    """Reads an audit file; `overrides` are `a.b=c` strings, their values YAML.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds an unknown key or a wrong value.
    """
    data = read_yaml(path)
    for override in overrides or []:
        _override(data, override)
    _absolute_paths(data, path.resolve().parent)
    return parse(AuditConfig, data, path)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: missing, unreadable, not YAML, or not a mapping.
    """
    try:
        data: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give the path of a YAML file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where is not None else ""
        raise ConfigError(f"{path}{line}: is not valid YAML ({getattr(error, 'problem', error)}); mend the line") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no settings; start it with `name: …` (docs/audit-file.md)")
    return {str(key): value for key, value in data.items()}


def parse(kind: type[PartT], data: dict[str, Any], path: Path) -> PartT:
    """`data` as a `kind`.

    Raises:
        ConfigError: one sentence for the first mistake: file, field, fix.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(error, kind)}") from error


def _sentence(error: ValidationError, kind: type[Part]) -> str:
    problems = error.errors()
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    where = ".".join(str(step) for step in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(kind, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.0)
        nearest = f"; did you mean `{near[0]}`?" if near else ""
        return f"`{where}` is not a known field{nearest}{more}"
    if first["type"] == "missing":
        return f"`{where}` is missing; add it{more}"
    message = first["msg"].removeprefix("Value error, ")
    # Our own validators say what they need to; what they were given may be a password.
    given = "" if isinstance(first["input"], dict | Part) or first["type"] == "value_error" else f", not {first['input']!r}"
    return f"`{where}` {_lower(message)}{given}{more}" if where else f"{message}{more}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _known_keys(kind: type[Part], location: tuple[int | str, ...]) -> list[str]:
    for step in location:
        field = kind.model_fields.get(str(step))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Part)):
            return []
        kind = field.annotation
    return list(kind.model_fields)


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: is not of the form a.b=c; write for example --set sampling.seed=1")
    *parents, last = key.split(".")
    target: dict[str, Any] = data
    for parent in parents:
        child = target.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: `{parent}` holds no fields; name a field that exists (docs/audit-file.md)")
        target = child
    try:
        target[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML; put it in quotes") from error


def _absolute_paths(data: dict[str, Any], folder: Path) -> None:
    """Makes the paths of a raw audit file absolute. A model that exists as a folder beside the file is a path, else a hub id."""
    for side in ("base", "intervention"):
        subject = data.get(side)
        if not isinstance(subject, dict):
            continue
        if isinstance(subject.get("texts"), str):
            subject["texts"] = str(folder / subject["texts"])
        for key in ("model", "adapter"):
            if isinstance(subject.get(key), str):
                subject[key] = _local_or_hub(subject[key], folder)
    prompts = data.get("prompts")
    if isinstance(prompts, dict) and isinstance(prompts.get("path"), str):
        prompts["path"] = str(folder / prompts["path"])
    embedding = data.get("embedding")
    if isinstance(embedding, dict) and isinstance(embedding.get("model"), str):
        embedding["model"] = _local_or_hub(embedding["model"], folder)
    store = data.get("store")
    if isinstance(store, str):
        data["store"] = absolute_location(store, folder)


def _local_or_hub(name: str, folder: Path) -> str:
    """An absolute path where `name` is one or must be one (starts with . / ~, or exists); else the hub id unchanged."""
    path = folder / Path(name).expanduser()
    if name.startswith((".", "/", "~")) or path.exists():
        return str(path.resolve())
    return name
