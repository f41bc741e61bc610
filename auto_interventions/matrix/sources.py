"""Where the variation of the measured differences comes from: the table behind `inference.variance_shares`, and why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from auto_interventions.diffing.sampled import Sampled
from auto_interventions.inference.variance_shares import VarianceShares, variance_shares
from auto_interventions.matrix.rows import Measured
from auto_interventions.records import BoolArray, FloatArray

_FEWEST = 5  # prompts of a stratum in a run: fewer say little of it
_SAME_STRATUM = 0.95  # of the prompts that two runs have in common


@dataclass(frozen=True, slots=True)
class Sources:
    """Shares of the variance of one set of runs.

    Attributes:
        label: which runs.
        runs: their numbers in the matrix.
        shares: None where there are none, and `why`.
        strata: names of the common strata that the table is over; fewer than two: it is over runs and sentences alone.
        sentences: statements of its rows: those that stand under no other, judged in every run and stratum.
        chance: of the variance, what few prompts in a cell make by themselves (part of the residual for the most part).
    """

    label: str
    runs: tuple[int, ...]
    shares: VarianceShares | None
    strata: tuple[str, ...]
    sentences: tuple[str, ...]
    chance: float | None
    why: str = ""

    def as_dict(self) -> dict[str, object]:
        """For matrix.json."""
        return asdict(self)


def sources(label: str, runs: Sequence[int], measured: Measured, samples: Sequence[Sampled]) -> Sources:
    """The shares of runs `runs` of the matrix."""
    strata_of = [_strata(samples[number]) for number in runs]
    common = _common(strata_of, [samples[number].prompts for number in runs])
    leaders = [row for row, one in enumerate(measured.rows) if one.under is None and _one_judge(one.judges)]
    means, noise = _table(
        [measured.by_prompt[number][leaders] for number in runs],
        [[own.get(prompt, "") for prompt in samples[number].prompts] for number, own in zip(runs, strata_of, strict=True)],
        common if len(common) > 1 else [],
    )
    complete: BoolArray = np.asarray(~np.isnan(means).any(axis=(0, 1)))
    sentences = tuple(measured.rows[row].statement for row, whole in zip(leaders, complete, strict=True) if whole)
    strata = tuple(common) if len(common) > 1 else ()
    if len(sentences) < 2:
        said = "no sentence was" if not sentences else "one sentence alone was"
        return Sources(label, tuple(runs), None, strata, sentences, None, f"{said} measured in every run")
    cells = means[:, :, complete]
    factors = ("run", "stratum", "sentence") if strata else ("run", "sentence")
    shares = variance_shares(cells if strata else cells[:, 0], factors)
    chance = float(np.nanmean(noise[:, :, complete])) / shares.variance if shares.variance > 0 else None
    return Sources(label, tuple(runs), shares, strata, sentences, None if chance is None else min(1.0, chance))


def _one_judge(judges: Sequence[str]) -> bool:
    return len(judges) == 1


def _strata(sample: Sampled) -> dict[str, str]:
    """The stratum of each of a run's prompts."""
    texts = sample.run.texts
    if "stratum" not in texts.columns:
        return {}
    own = texts.drop_duplicates("prompt_id")
    return dict(zip(own["prompt_id"], own["stratum"].astype(str), strict=True))


def _common(strata: Sequence[Mapping[str, str]], prompts: Sequence[Sequence[str]]) -> list[str]:
    """Names of the strata that all runs have, with prompts enough and for the same prompts: clusters of prompts may only share a name."""
    for own in strata[1:]:
        both = [prompt for prompt in own if prompt in strata[0]]
        if not both or sum(own[prompt] == strata[0][prompt] for prompt in both) < _SAME_STRATUM * len(both):
            return []
    counts = [
        {name: sum(own.get(prompt) == name for prompt in asked) for name in set(own.values())}
        for own, asked in zip(strata, prompts, strict=True)
    ]
    return sorted(name for name in counts[0] if all(own.get(name, 0) >= _FEWEST for own in counts)) if counts else []


def _table(tables: Sequence[FloatArray], strata: Sequence[Sequence[str]], common: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """(runs, strata, sentences) means over prompts and their sampling variances; one stratum of all prompts where `common` is empty."""
    names = list(common) or [None]
    means = np.full((len(tables), len(names), len(tables[0]) if len(tables) else 0), np.nan)
    noise = means.copy()
    for run, (table, own) in enumerate(zip(tables, strata, strict=True)):
        for place, name in enumerate(names):
            inside = table if name is None else table[:, [stratum == name for stratum in own]]
            count = (~np.isnan(inside)).sum(axis=1)
            rows = count >= _FEWEST
            means[run, place, rows] = np.nanmean(inside[rows], axis=1)
            noise[run, place, rows] = np.nanvar(inside[rows], axis=1, ddof=1) / count[rows]
    return means, noise
