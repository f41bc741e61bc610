"""Every choice of an audit, once: `AuditConfig` and its parts (`audit_file` reads them from YAML).

Frozen, and no unknown keys. Each field's docstring is its documentation (`docs/audit-file.md` is generated from them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from auto_interventions.locations import check_location

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


class HypothesesConfig(Part):
    """Who proposes the sentences to be tested."""

    labeller: str = "lexical"
    """lexical: words, phrases and format features, which need no key and no network. `gemini:MODEL`, `openai:MODEL`, `anthropic:MODEL`,
    `local:PATH`: a language model reads pairs of texts and names differences, beside the lexical ones (docs/judges.md)."""
    limit: Positive = 60
    """Hypotheses proposed at most by each, the lexical detectors and the language model. Each one tested raises the bar for all: the
    false discovery rate is shared."""
    own: tuple[str | dict[str, Any], ...] = ()
    """Your own hypotheses, tested beside the proposed ones: predicates (docs/predicates.md), or plain sentences about one text, such as
    "ends with a moral", where a language model judges. Write them before you see this audit's texts: a sentence read off an earlier run
    has no guarantee on the same texts (take another `sampling.seed`, or new recordings)."""
    discover: bool = True
    """False: nothing is proposed, and only `own` is tested."""
    calls: Positive = 8
    """Labelling calls at most; each shows pairs from another place where the models differ."""
    pairs_shown: Positive = 12
    """Pairs of texts that a labelling call shows side by side."""
    sentences: Positive = 5
    """Sentences that a labelling call asks for."""
    instruction: str | None = None
    """What the labeller should look for, in your words; null: anything."""
    chat: ChatConfig = ChatConfig()
    """How the labeller is asked."""

    @field_validator("own")
    @classmethod
    def _own(cls, own: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        for sentence in own:
            if isinstance(sentence, str) and not 0 < len(sentence.strip()) <= 200:
                raise ValueError("holds a sentence that is empty or longer than 200 characters; say one checkable thing about one text")
        return own

    @property
    def own_checks(self) -> tuple[dict[str, Any], ...]:
        """The predicates among `own`."""
        return tuple(own for own in self.own if not isinstance(own, str))

    @property
    def own_sentences(self) -> tuple[str, ...]:
        """The plain sentences among `own`, each once."""
        return tuple(dict.fromkeys(" ".join(own.split()) for own in self.own if isinstance(own, str)))


class JudgeConfig(Part):
    """Who says whether a sentence fits a text."""

    cheap: str = "predicate"
    """predicate: each sentence's own check, run by the machine. `gemini:MODEL`, `openai:MODEL`, `anthropic:MODEL`, `local:PATH`: a language
    model judges the sentences that have no check; those that have one are still checked by the machine, which is exact and free."""
    strong: str | None = None
    """A better language model that judges promising sentences again: what the cheap one is undecided about and a random slice of the rest,
    and everything once a sentence will probably be reported; null: none."""
    borderline: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = (0.4, 0.6)
    """Scores between these are undecided."""
    slice: Share = 0.2
    """Share of a promising sentence's other pairs that the strong judge sees too, at random: they correct its errors in sizes."""
    panel: tuple[str, ...] = ()
    """Further language models that judge some of the same pairs of each validated finding, to see how far judges agree."""
    mode: Literal["pairwise", "graded"] = "pairwise"
    """pairwise: both texts of a pair are seen at once, in random order; graded: one text at a time, with a score."""
    pairs_per_call: Positive = 5
    """Pairs (texts, where graded) of one sentence in a call; one at a time once the judge proves unreliable at more."""
    max_pairs: Positive = 400
    """Pairs judged at most for a sentence; it stops as soon as its evidence decides, or nothing can come of it."""
    screen_pairs: Annotated[int, Field(ge=0)] = 12
    """Explored pairs on which the cheap judge tries a language model's sentence first, to choose its stake and its share."""
    known_pairs: Annotated[int, Field(ge=0)] = 40
    """Pairs on which language models judge sentences whose truth the machine knows (words, form): their sensitivity and specificity are
    in the report; 0: not done."""
    max_characters: Positive = 2_000
    """Characters of a text that a judge sees: of longer ones the beginning and the end."""
    chat: ChatConfig = ChatConfig()
    """How the judges are asked."""
    strong_chat: ChatConfig | None = None
    """How the strong judge is asked; null: as `chat`."""

    @field_validator("borderline")
    @classmethod
    def _borderline(cls, borderline: tuple[float, float]) -> tuple[float, float]:
        if borderline[0] > borderline[1]:
            raise ValueError("must give the lower score first, such as [0.4, 0.6]")
        return borderline


class ExamineConfig(Part):
    """What is looked at beside the verdict; each needs a language model as labeller and, for the second and third, live models."""

    panel_pairs: Positive = 40
    """Pairs of each validated finding that the judges of `judge.panel` see."""
    generative_prompts: Annotated[int, Field(ge=0)] = 0
    """Generative validation: at so many prompts the labeller writes a text that fits the finding and one that does not, and both models
    say how likely they find them; 0: not done."""
    identification_trials: Annotated[int, Field(ge=0)] = 0
    """Interactive identification: the labeller designs prompts, a hidden one of the two models answers, so many times, and the finding
    must tell which it was; 0: not done."""


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
        labels, judges = self.hypotheses.labeller != "lexical", self.judge.cheap != "predicate"
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
