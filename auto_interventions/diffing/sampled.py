"""What one run says of any sentence: the differences between its two models at the prompts of its random sample, in the order of asking.

Only confirmed pairs of the backbone count: prompts in an order that was fixed before anything was seen. Pairs that confirming chose because
they paid, explored pairs (they chose the sentences) and prompts that the *other* run explored are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.errors import RunDirectoryError
from auto_interventions.fingerprint import canonical_json
from auto_interventions.hypotheses import ask_checks
from auto_interventions.records import FloatArray, IntArray
from auto_interventions.runs import PAIR, Run, side_by_side


@dataclass(frozen=True)
class Sampled:
    """One run's backbone: `pairs` (N rows: prompt_id, sample, base, intervention) in order; `prompts` its prompts in order."""

    run: Run
    pairs: pd.DataFrame

    @staticmethod
    def of(run: Run, without: Collection[str] = ()) -> Sampled:
        """The backbone of `run`, which has concluded, less the prompt ids `without`.

        Raises:
            RunDirectoryError: it was made by an earlier version.
        """
        texts = run.texts
        if "backbone" not in texts.columns:
            raise RunDirectoryError(
                f"{run.path}: was made by an earlier version, which did not note its random sample; start the same audit again with a "
                f"fresh --out"
            )
        own = texts[texts["backbone"] & ~texts["prompt_id"].isin(list(without))]
        return Sampled(run, side_by_side(own).reset_index())

    @cached_property
    def prompts(self) -> list[str]:
        """Ids of its prompts, in the order of asking."""
        return list(dict.fromkeys(self.pairs["prompt_id"].tolist()))

    @property
    def planned(self) -> int | None:
        """How many prompts were planned before the first was asked."""
        told = self.run.run.get("confirm_planned_prompts")
        return int(told) if told else None

    def payoffs(self, findings: Sequence[Mapping[str, Any]]) -> FloatArray:
        """(H, N) difference intervention − base of each sentence on each pair, in [−1, 1]; NaN where it was not judged there."""
        base, intervention = self.scores(findings)
        return intervention - base

    def scores(self, findings: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, FloatArray]:
        """(H, N) how far the base's and the intervention's text of each pair fits each sentence, in [0, 1]; NaN where it was not judged.

        Sentences with a check are asked of the texts; others are looked up among the cheap judge's verdicts, if this run judged them.
        """
        found = np.full((2, len(findings), len(self.pairs)), np.nan)
        checked = ask_checks(findings, self.pairs["base"], self.pairs["intervention"])
        for row, finding in enumerate(findings):
            found[:, row] = checked[row] if row in checked else self._judged(str(finding["statement"]))
        return found[0], found[1]

    def by_prompt(self, payoffs: FloatArray) -> FloatArray:
        """(H, prompts) means over each prompt's judged pairs, from (H, N); NaN where there is none."""
        number = {prompt: place for place, prompt in enumerate(self.prompts)}
        where = np.array([number[prompt] for prompt in self.pairs["prompt_id"]], dtype=np.int64)
        known = ~np.isnan(payoffs)
        sums, counts = (
            np.array([np.bincount(where, weights=row, minlength=len(number)) for row in rows]).reshape(len(payoffs), len(number))
            for rows in (np.nan_to_num(payoffs), known.astype(np.float64))
        )
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def judge_of(self, statement: str) -> str:
        """Who judged a sentence here first; "" where nobody did."""
        return next((str(one["judges"][0]) for one in self.run.findings["findings"] if one["statement"] == statement and one["judges"]), "")

    def _judged(self, statement: str) -> FloatArray:
        """(2, N) from verdicts.parquet: base, intervention."""
        ids = {str(one["id"]) for one in self.run.findings["findings"] if one["statement"] == statement}
        verdicts = self.run.verdicts
        own = verdicts[verdicts["hypothesis"].isin(list(ids))]
        if own.empty:
            return np.full((2, len(self.pairs)), np.nan)
        scores = own.set_index(PAIR)[["cheap_base", "cheap_intervention"]].groupby(level=PAIR).first()
        return scores.reindex(pd.MultiIndex.from_frame(self.pairs[PAIR])).to_numpy(dtype=np.float64).T


def same_sentence(finding: Mapping[str, Any]) -> str:
    """What two runs' sentences have in common that are the same: the check, or the words where there is none."""
    return canonical_json(finding["check"]) if finding.get("check") else str(finding["statement"])


def explored_prompts(run: Run) -> set[str]:
    """Ids of the prompts that chose a run's sentences."""
    texts = run.texts
    return set(texts.loc[texts["pool"] == "explore", "prompt_id"])


def share_texts(one: Sampled, other: Sampled) -> bool:
    """Whether any model gave the same text to the same prompt in both: then the two are not independent (a base in common, a store)."""
    for role in ("base", "intervention"):
        sides = [set(zip(run.pairs["prompt_id"], run.pairs[role], strict=True)) for run in (one, other)]
        if sides[0] & sides[1]:
            return True
    return False


def same_order(one: Sampled, other: Sampled) -> int:
    """How many prompts both asked first, the same ones in the same order."""
    count = 0
    for mine, theirs in zip(one.prompts, other.prompts, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def common_pairs(one: Sampled, other: Sampled, prompts: int) -> tuple[IntArray, IntArray]:
    """Rows in both runs of the pairs (prompt, sample) that both hold, of their first `prompts` prompts."""
    within = set(one.prompts[:prompts])
    rows = {key: row for row, key in enumerate(zip(other.pairs["prompt_id"], other.pairs["sample"], strict=True))}
    found = [
        (row, rows[key])
        for row, key in enumerate(zip(one.pairs["prompt_id"], one.pairs["sample"], strict=True))
        if key[0] in within and key in rows
    ]
    mine, theirs = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return mine, theirs
