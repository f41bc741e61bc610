"""LLM Comparator's JSON (github.com/PAIR-code/llm-comparator, Kahng et al. 2024): pairs side by side, with what the findings say of them.

That tool asks which of two answers is better. An audit knows no better: here A is the intervention, B the base, and a pair's score says how
far it goes the way of the findings (+1.5: in every finding on which its texts differ; negative: against them). The tool's "rationales"
are the findings, so its summary counts for each how many pairs show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.exports.frames import claim, streamed
from auto_interventions.exports.shown import shown, sized_pairs
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatArray
from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.runs import PAIR, Run

MOST_PAIRS = 2_000
"""The tool holds every pair in the browser's memory; of more, a seeded sample is taken."""
_REACH = 1.5  # its scores go from −1.5 to 1.5
_TITLE = 120


def comparator_pieces(run: Run) -> Iterator[bytes]:
    """The file's consecutive pieces."""
    held = wording.validated(run.findings)
    pairs = sample(sized_pairs(run))
    scores = shown(run, pairs, held)
    head = {
        "metadata": {
            "source_path": f"auto-interventions: {one_line(run.run.get('name', ''), _TITLE)}",
            "custom_fields_schema": [
                {"name": "stratum", "type": "category"},
                {"name": "tokens", "type": "per_model_number"},
                *({"name": name, "type": "per_model_boolean"} for name in _names(held)),
            ],
        },
        "models": [{"name": one_line(run.run.get(role, role), _TITLE)} for role in ("intervention", "base")],
        "rationale_clusters": [{"title": name} for name in _names(held)],
    }
    yield from streamed(head, "examples", _examples(run, pairs, held, scores))


def sample(pairs: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_PAIRS` of them, in their order, the same ones each time."""
    if len(pairs) <= MOST_PAIRS:
        return pairs
    rows = generator("export", "llm-comparator", len(pairs)).choice(len(pairs), MOST_PAIRS, replace=False)
    return pairs.iloc[np.sort(rows)].reset_index(drop=True)


def _names(held: Sequence[Mapping[str, Any]]) -> list[str]:
    """A short name of each finding that no other has."""
    names: list[str] = []
    for finding in held:
        name = one_line(claim(finding), _TITLE)
        names.append(f"{name} [{finding['id']}]" if name in names else name)
    return names


def _examples(run: Run, pairs: pd.DataFrame, held: Sequence[Mapping[str, Any]], scores: FloatArray) -> Iterator[dict[str, Any]]:
    names = _names(held)
    directions = np.array([1.0 if finding["more_in"] == "intervention" else -1.0 for finding in held])
    payoffs = (scores[:, :, 1] - scores[:, :, 0]) * directions[:, None]
    tokens = run.texts.set_index([*PAIR, "model"])["tokens"].to_dict()
    for place, row in enumerate(pairs.to_dict("records")):
        own = payoffs[:, place]
        differing = np.flatnonzero(np.nan_to_num(own))
        key = (row["prompt_id"], row["sample"])
        yield {
            "input_text": row["prompt"],
            "tags": [row["stratum"]] if row["stratum"] else [],
            "output_text_a": row["intervention"],
            "output_text_b": row["base"],
            "score": round(_REACH * float(own[differing].mean()), 4) if len(differing) else 0.0,
            "individual_rater_scores": [_rating(names[one], float(own[one])) for one in differing.tolist()],
            "rationale_list": [
                {"rationale": names[one], "similarities": np.eye(len(held))[one].tolist()} for one in differing.tolist() if own[one] > 0
            ],
            "custom_fields": {
                "stratum": row["stratum"],
                "tokens": [tokens[(*key, "intervention")], tokens[(*key, "base")]],
                **{name: [_shows(scores[number, place, side]) for side in (1, 0)] for number, name in enumerate(names)},
            },
        }


def _rating(name: str, payoff: float) -> dict[str, Any]:
    return {
        "score": round(_REACH * payoff, 4),
        "rating_label": "as the finding says" if payoff > 0 else "the other way",
        "is_flipped": False,
        "rationale": f"The intervention {name}: this pair {'shows it' if payoff > 0 else 'is the other way round'}.",
    }


def _shows(score: float) -> bool | None:
    return None if np.isnan(score) else bool(score >= 0.5)
