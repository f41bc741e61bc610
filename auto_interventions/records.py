"""The records of an audit, in the order of the pipeline.

Prompt → Generation → Pair → RoundState → Hypothesis → Verdict → Finding. All are frozen. Bulk data (texts, vectors) travel as
numpy arrays and parquet tables between the stages of one process; between Prefect tasks travel only names and counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auto_interventions.fingerprint import fingerprint

Role = Literal["base", "intervention"]
ROLES: tuple[Role, Role] = ("base", "intervention")
Pool = Literal["explore", "confirm"]
Direction = Literal["base", "intervention"]
FloatArray = NDArray[np.float64]
FloatMatrix = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def numbers_of(names: Iterable[str]) -> IntArray:
    """The number of each of `names`, in the order in which they first come.

    >>> numbers_of(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(name, len(seen)) for name in names], dtype=np.int64)


@lru_cache(maxsize=1 << 18)
def _prompt_id(*asked: str) -> str:
    return fingerprint("prompt", *asked)[:16]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of the bank: the unit of inference.

    `text` is kept byte for byte. `stratum` is the name of its cluster of prompts, "" before stratification. `prefix` is how the answer
    begins, the same words for both models, mined from an explored text; the texts that come back are what follows it.
    """

    text: str
    stratum: str = ""
    pool: Pool = "explore"
    prefix: str = ""

    @property
    def id(self) -> str:
        """16 hex digits that depend on text and prefix alone."""
        return _prompt_id(*self.asked)

    @property
    def asked(self) -> tuple[str, ...]:
        """Text and prefix, the prefix only where there is one: what seeds, store keys and batches go by."""
        return (self.text, self.prefix) if self.prefix else (self.text,)

    @property
    def whole(self) -> str:
        """Text and prefix as one text, for readers."""
        return self.text + self.prefix


@dataclass(frozen=True, slots=True)
class Generation:
    """One text of one subject: the answer to `prompt`, sample number `sample` (0, 1, …).

    `finished` is False where the token limit cut the text. `tokens` counts the generated tokens (0 for recorded texts of unknown length).
    Where a side reasons, `text` is what the audit looks at (answer, reasoning or both), `reasoning` and `answer` are what was said, and
    `reasoning_cut` is True where the reasoning used up its budget and was closed for the model. `answer` None: `text` is it.
    """

    role: Role
    prompt: Prompt
    sample: int
    text: str
    tokens: int
    finished: bool
    reasoning: str = ""
    answer: str | None = None
    reasoning_cut: bool = False

    @property
    def id(self) -> str:
        """16 hex digits: role, prompt and sample number name a text within an audit."""
        return fingerprint("text", self.role, *self.prompt.asked, self.sample)[:16]


@dataclass(frozen=True, slots=True)
class Pair:
    """The two models' texts for one prompt and sample number, as drawn in `round`."""

    prompt: Prompt
    base: Generation
    intervention: Generation
    round: int


@dataclass(frozen=True, slots=True)
class RoundEvidence:
    """What one round of exploring showed; the report draws it over rounds.

    `log_e_*` are natural logarithms of e-values (float64; the values themselves can overflow). `stage` is scan (the first round,
    everywhere) or focus. `unassigned` is the share of texts in no cluster; `clusters_born`, `clusters_died` since the last round.
    """

    round: int
    texts: int
    log_e_overall: float
    log_e_strata: tuple[float, ...]
    divergent: tuple[int, ...]
    pair_auc: float
    cluster_stability: float
    stage: str = "scan"
    silhouette: float = math.nan
    unassigned: float = 0.0
    clusters: int = 0
    clusters_born: int = 0
    clusters_died: int = 0


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A sentence that can be checked on one text.

    `statement` describes a single text ("mentions “lighthouse”"); `check` is the JSON of a `hypotheses.predicates.Predicate`
    (None when only a language model can judge it); `more_in` is the direction seen in the explore pool (the test is two-sided);
    `born_round` is the exploring round after which it was proposed; `source` names the detector; `evidence` is what exploring showed, in
    nats (selected for being large: no e-value).
    """

    statement: str
    check: dict[str, object] | None
    more_in: Direction
    source: str
    born_round: int
    explore_rates: tuple[float, float] = (0.0, 0.0)
    also: tuple[str, ...] = ()
    evidence: float = 0.0

    @property
    def id(self) -> str:
        """12 hex digits that depend on the statement and its check."""
        return fingerprint("hypothesis", self.statement, self.check)[:12]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's blind answer on one pair: the score each text got on the sentence, in [0, 1]; None where it abstained."""

    hypothesis_id: str
    prompt_id: str
    sample: int
    judge: str
    base: float | None
    intervention: float | None


@dataclass(frozen=True, slots=True)
class StratumEffect:
    """Where a finding happens: difference of rates (intervention − base) in one stratum, with its interval."""

    stratum: str
    difference: float
    interval: tuple[float, float]
    prompts: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A hypothesis that was tested: what findings.json holds of it (design.md section 5).

    `p_value` is the fixed-n test's (`inference.fixed`), where the audit was exhaustive and used it; None where it sampled actively.
    `strata_judged`: how many strata it was judged in; of very many, `strata` holds those that stand out most.
    `share` is the finding's part of the error budget: it is validated where share × e-value reaches e-BH's bar. `beside`: what else was
    looked at, by name (bag-of-words baseline, generalisation, tests of published runs, agreement, intent …); none of it decides.
    """

    id: str
    statement: str
    status: Literal["validated", "not validated"]
    more_in: Direction
    e_value: float
    base_rate: float
    intervention_rate: float
    difference: float
    interval: tuple[float, float]
    auc: float
    strata: tuple[StratumEffect, ...]
    pairs: int
    judges: tuple[str, ...]
    evidence: tuple[str, ...]
    source: str = ""
    check: dict[str, object] | None = None
    also: tuple[str, ...] = field(default=())
    log_e: float = 0.0
    p_value: float | None = None
    share: float | None = None
    strata_judged: int = 0
    beside: dict[str, object] = field(default_factory=dict[str, object])
