"""The choices of an audit that are about language models: how they are asked, and what they name, judge and look at."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from auto_interventions.config_parts import Part, Positive, Share

LEXICAL, PREDICATE = "lexical", "predicate"
"""What `hypotheses.labeller` and `judge.cheap` say where no language model is asked."""


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

    labeller: str = LEXICAL
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

    cheap: str = PREDICATE
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
    max_pairs: Positive = 500
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
