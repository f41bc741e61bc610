"""Pairs and findings for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from auto_interventions.fingerprint import generator
from auto_interventions.records import Direction, Finding, Generation, Pair, Pool, Prompt

WORDS = [
    *("river", "otter", "boat", "lamp", "bread", "stone", "garden", "winter", "song", "letter"),
    *("window", "road", "cloud", "apple", "table", "friend", "horse", "bell", "ship", "market"),
]


def pair(number: int, base: str, intervention: str, stratum: str = "", pool: Pool = "confirm", sample: int = 0) -> Pair:
    """The pair of sample `sample` of prompt number `number` of its pool."""
    prompt = Prompt(f"{pool} prompt {number}", stratum, pool)
    return Pair(
        prompt,
        Generation("base", prompt, sample, base, len(base.split()), True),
        Generation("intervention", prompt, sample, intervention, len(intervention.split()), True),
        1,
    )


def pairs_of(
    count: int,
    write: Callable[[np.random.Generator, bool], str],
    pool: Pool = "confirm",
    strata: Sequence[str] = ("",),
    samples: int = 1,
    seed: int = 0,
) -> list[Pair]:
    """`count` prompts with `samples` pairs each; `write` makes a text, given whether it is the intervention's."""
    random = generator("test-examining", pool, count, seed)
    return [
        pair(number, write(random, False), write(random, True), strata[number % len(strata)], pool, sample)
        for number in range(count)
        for sample in range(samples)
    ]


def sentence(random: np.random.Generator, length: int = 8) -> str:
    """Words in any order."""
    return " ".join(random.choice(WORDS, length))


def finding(statement: str, more_in: Direction = "intervention", number: int = 0, **given: object) -> Finding:
    """A validated finding with plausible figures."""
    known: dict[str, object] = {
        "id": f"{number:012x}",
        "statement": statement,
        "status": "validated",
        "more_in": more_in,
        "e_value": 1e4,
        "base_rate": 0.05,
        "intervention_rate": 0.4,
        "difference": 0.35,
        "interval": (0.2, 0.5),
        "auc": 0.67,
        "strata": (),
        "pairs": 100,
        "judges": ("cheap",),
        "evidence": (),
        "source": "labeller",
        "log_e": 9.2,
    }
    return Finding(**{**known, **given})  # pyright: ignore[reportArgumentType]
