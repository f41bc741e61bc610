"""The choices of an audit that are about what the models are asked."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from auto_interventions.config_parts import Part, Positive, Share, Wrap
from auto_interventions.language_config import ChatConfig

Source = Literal["file", "recorded", "free", "mwe", "truthfulqa", "bold", "mpi", "jailbreak", "xstest", "hub", "generated"]
# Published banks: read from `path` where it is given, else fetched from the hub.
PUBLISHED: tuple[Source, ...] = ("mwe", "truthfulqa", "bold", "mpi", "jailbreak", "xstest")


class WrittenConfig(Part):
    """A bank written by a language model (`prompts.source: generated`)."""

    by: str
    """Who writes: `gemini:MODEL`, `openai:MODEL`, `anthropic:MODEL`, `local:PATH`. Better none of the two models that are audited."""
    categories: tuple[str, ...] = Field(min_length=1)
    """What the prompts are about, one sentence or word each; they become the strata."""
    each: Positive = 20
    """Prompts of each category; after a few calls without enough new ones the category stays short, and the run says so."""
    instruction: str | None = None
    """What the prompts should be like, in your words; null: varied questions and requests as people send them."""
    seed: int = 0
    """Another number, another bank. `sampling.seed` does not change it: an audit repeated with another seed asks the same prompts."""
    chat: ChatConfig = ChatConfig()
    """How the writer is asked."""

    @field_validator("categories")
    @classmethod
    def _categories(cls, categories: tuple[str, ...]) -> tuple[str, ...]:
        if any(not category.strip() for category in categories):
            raise ValueError("holds an empty category; say what the prompts are about")
        return categories


class PromptsConfig(Part):
    """What the models are asked."""

    source: Source = "file"
    """file: `path`; recorded: the prompts of the recorded texts; free: none are at hand, so two base models are asked to go on from the
    beginnings of texts that they wrote from nothing themselves. Published banks: mwe (Anthropic's model-written persona evaluations),
    truthfulqa, bold, mpi, jailbreak (jailbreak_llms), xstest: from `path` (the published file or folder), else from the hub. hub: any data
    set of the hub with a column of prompts. generated: a language model writes them (docs/banks.md)."""
    path: str | None = None
    """Prompt file: one prompt a line, or CSV, JSONL, JSON, Parquet with columns `prompt` and optional `stratum`; or a published bank's
    file or folder."""
    dataset: str | None = None
    """source `hub`: id of the data set, such as `allenai/real-toxicity-prompts`."""
    dataset_revision: str | None = None
    """Branch, tag or commit of a data set of the hub, or of a published bank's there; null: the newest of a data set, a known commit of
    a bank. Name a commit for a claim that others can repeat."""
    dataset_file: str | None = None
    """source `hub`: which of its files (CSV, JSONL, JSON or Parquet) is read; null: the only one, else the training split."""
    column: str | None = None
    """Column that holds the prompts; null: `prompt`. `a.b`: field b of a column a that holds mappings."""
    stratum_column: str | None = None
    """Column that holds the categories; null: `stratum`."""
    categories: tuple[str, ...] = ()
    """Only these categories of the bank; empty: all. `gender` means all of BOLD's `gender: …`, too."""
    wrap: Wrap | None = None
    """A text around every prompt for both models, `{prompt}` where it stands; null: as a published bank's authors do, else nothing."""
    written: WrittenConfig | None = None
    """source `generated`: who writes what."""
    strata: Literal["auto", "given"] = "auto"
    """auto: prompts are clustered by their embeddings; given: the column `stratum`, or the bank's categories."""
    strata_count: Positive = 8
    """How many strata `auto` makes (fewer where the bank is small)."""
    explore_share: Share = 0.5
    """Share of the prompts of each stratum that may choose hypotheses; the rest only tests them."""
    max_prompts: Positive | None = None
    """Cap on the bank: a seeded random choice of this many prompts; null keeps all."""
    max_per_stratum: Positive | None = None
    """Cap on each of the bank's own categories, before `max_prompts`: a seeded random choice; null keeps all."""
    balance: bool = False
    """True: every category of the bank is cut down to as many prompts as the smallest one has, and to its part of `max_prompts`."""
    near_duplicates: Annotated[float, Field(gt=0, le=1)] | None = None
    """Prompts that share this much of their three-word sequences (Jaccard similarity) count as one, and the first is kept, so that no
    near-copy lies in both pools; null: only those that differ in case, white space and punctuation."""
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
        if (self.source == "hub") != (self.dataset is not None):
            raise ValueError("`source: hub` and `dataset` belong together: give both, or neither")
        if (self.source == "generated") != (self.written is not None):
            raise ValueError("`source: generated` and `written` belong together: give both, or neither")
        if self.path is not None and self.dataset_revision is not None:
            raise ValueError("has a `path`, so `dataset_revision` cannot apply: remove one of the two")
        return self

    @model_validator(mode="after")
    def _misplaced(self) -> Self:
        """No field is silently without effect."""
        banks: tuple[Source, ...] = ("file", "hub", *PUBLISHED, "generated")
        only: dict[str, tuple[Source, ...]] = {
            "path": ("file", *PUBLISHED),
            "dataset_file": ("hub",),
            "dataset_revision": ("hub", *PUBLISHED),
            "column": ("hub", "file"),
            "stratum_column": ("hub", "file"),
            "wrap": banks,
            **dict.fromkeys(("categories", "max_per_stratum", "balance"), (*banks, "recorded")),
        }
        for field, sources in only.items():
            if getattr(self, field) != type(self).model_fields[field].default and self.source not in sources:
                raise ValueError(f"has source `{self.source}`, so `{field}` cannot apply: remove it")
        return self
