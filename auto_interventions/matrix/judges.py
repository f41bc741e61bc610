"""How far judges agree: within each run as it noted it, and between runs wherever two judged the same sentence on the same two texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.runs import PAIR, Run, side_by_side

_ITEM = ["statement", "prompt_id", "sample", "text_base", "text_intervention"]


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """Of two judges: `told` is {pairs, agreement, kappa, interval}, as in run.json.

    Attributes:
        runs: numbers of the run that both judged in, or of the two runs, the first judge's first.
        judges: their names.
    """

    runs: tuple[int, ...]
    judges: tuple[str, str]
    told: Mapping[str, Any]

    def as_dict(self) -> dict[str, object]:
        """For matrix.json."""
        return {**asdict(self), "told": dict(self.told)}


def agreements(runs: Sequence[Run]) -> tuple[JudgeAgreement, ...]:
    """All that can be said, those within runs first."""
    within = [one for number, run in enumerate(runs) if (one := _within(number, run)) is not None]
    judged = {number: items for number, run in enumerate(runs) if not (items := _items(run)).empty}
    between = [_between(pair, judged[pair[0]], judged[pair[1]], [runs[number] for number in pair]) for pair in combinations(judged, 2)]
    return (*within, *(one for one in between if one is not None))


def _within(number: int, run: Run) -> JudgeAgreement | None:
    told: Mapping[str, Any] = run.run.get("judging") or {}
    names = [str(judge["judge"]) for judge in told.get("judges") or ()]
    if not told.get("agreement") or not told["agreement"].get("pairs") or len(names) < 2:
        return None
    return JudgeAgreement((number,), (names[0], names[1]), told["agreement"])


def _items(run: Run) -> pd.DataFrame:
    """A run's verdicts of its cheap judge, with the sentence and the texts that they are about."""
    verdicts = run.verdicts
    if verdicts.empty:
        return pd.DataFrame(columns=[*_ITEM, "cheap_base", "cheap_intervention"])
    statements = {str(finding["id"]): str(finding["statement"]) for finding in run.findings["findings"]}
    items = verdicts.assign(statement=verdicts["hypothesis"].map(statements)).dropna(subset=["statement"])
    texts = side_by_side(run.texts).add_prefix("text_")
    return items.join(texts, on=PAIR, how="inner").drop_duplicates(_ITEM)


def _between(pair: tuple[int, int], one: pd.DataFrame, other: pd.DataFrame, runs: Sequence[Run]) -> JudgeAgreement | None:
    """Of the two runs' judges; None where they have nothing in common, or are one judge (its replies may come from the same store)."""
    names = _judge(runs[0]), _judge(runs[1])
    both = one.merge(other, on=_ITEM, suffixes=("_one", "_other"))
    if both.empty or names[0] == names[1]:
        return None
    from auto_interventions.judging.agreement import agreement, preferences  # only where language models judged

    said = [
        preferences(
            both[f"cheap_base_{side}"].to_numpy(dtype=np.float32)[None], both[f"cheap_intervention_{side}"].to_numpy(dtype=np.float32)[None]
        )[0]
        for side in ("one", "other")
    ]
    return JudgeAgreement(pair, names, agreement(said[0], said[1]).as_dict())


def _judge(run: Run) -> str:
    """The cheap judge that a run's verdicts are of."""
    judges = (run.run.get("judging") or {}).get("judges") or ()
    if judges:
        return str(judges[0]["judge"])
    return next((str(one["judges"][0]) for one in run.findings["findings"] if not one.get("check") and one["judges"]), "")
