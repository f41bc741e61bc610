"""Runs as `load_run` gives them, of models whose rates are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.runs import Run

Rates = Mapping[str, tuple[float, float]]  # word: share of the base's and of the intervention's texts that say it


def made_run(
    name: str,
    rates: Rates,
    seed: int,
    prompts: Sequence[str],
    validated: Sequence[str] = (),
    asked: int | None = None,
    base_seed: int | None = None,
    explored: Sequence[str] = ("x",),
    samples: int = 1,
    intervention: str | None = None,
    strata: Mapping[str, str] | None = None,
    **sampling: Any,
) -> Run:
    """A concluded run: its base and intervention say each word with its rate, independently.

    Args:
        asked: prompts that its random sample reached; None: all.
        base_seed: of the base's texts; the same one gives the same texts. None: its own.
        intervention: what it is called; None: by the run's name.
        strata: of the prompts; None: this run knows of none.
    """
    own, shared = np.random.default_rng([seed, 1]), np.random.default_rng([seed if base_seed is None else base_seed, 2])
    rows: list[dict[str, object]] = []
    for role, random, place in (("base", shared, 0), ("intervention", own, 1)):
        for prompt in prompts:
            for sample in range(samples):
                said = [word for word, both in rates.items() if random.random() < both[place]]
                row = {"model": role, "prompt_id": prompt, "sample": sample, "pool": "confirm", "backbone": True}
                rows.append({**row, "text": f"{random.integers(1 << 40)} {' '.join(said)}"})
    kept = set(prompts[: asked or len(prompts)])
    rows = [row for row in rows if row["prompt_id"] in kept]
    chose = [{"model": "base", "prompt_id": p, "sample": 0, "pool": "explore", "backbone": False, "text": "seen"} for p in explored]
    findings = [
        {
            "id": f"{name}-{word}",
            "statement": f"mentions “{word}”",
            "status": "validated" if word in validated else "not validated",
            "check": {"kind": "phrase", "phrases": [word]},
            "judges": ["predicate"],
        }
        for word in rates
    ]
    run = Run(
        Path(name),
        {
            "name": name,
            "confirm_planned_prompts": len(prompts),
            "config": {"sampling": {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 48, **sampling}},
        },
        {"alpha": 0.05, "base": "plain", "intervention": intervention or f"{name} changed", "findings": findings},
        {},
    )
    texts = pd.DataFrame([*rows, *chose])
    run.__dict__["texts"] = texts if strata is None else texts.assign(stratum=[strata.get(prompt, "none") for prompt in texts["prompt_id"]])
    run.__dict__["verdicts"] = pd.DataFrame({"hypothesis": pd.Series(dtype=str)})
    return run
