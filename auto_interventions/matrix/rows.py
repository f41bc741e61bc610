"""Sentences over runs: one row each, measured on every run's own texts, with those that say the same gathered under one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np

from auto_interventions.comparing.findings import SAME
from auto_interventions.diffing.sampled import Sampled, same_sentence
from auto_interventions.inference import confidence_sequence
from auto_interventions.matrix.cells import Cell
from auto_interventions.records import FloatArray
from auto_interventions.runs import Run

_MOST_TEXTS = 20_000  # of each run that say which sentences are alike
Status = Literal["validated", "not validated", "measured", "blank"]
Finding = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """What one run says of a sentence.

    Attributes:
        status: validated; tested, not validated; measured on its texts, though this run never proposed it; blank: it cannot say.
        difference, interval, base_rate, intervention_rate: means over the `prompts` of its random sample; None where blank.
    """

    status: Status
    difference: float | None = None
    interval: tuple[float, float] | None = None
    base_rate: float | None = None
    intervention_rate: float | None = None
    prompts: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """A sentence over the runs of a cell: mean and standard deviation (None with fewer than two) of the differences of `runs` runs.

    `tested` of the runs tested it, `held` of them validated it.
    """

    mean: float | None
    sd: float | None
    runs: int
    tested: int
    held: int


@dataclass(frozen=True, slots=True)
class Row:
    """A sentence that at least one run validated.

    Attributes:
        theme: the title that most runs put it under.
        judges: who judged it, over all runs; "predicate" for a check.
        alike: statements of other rows that say the same, on these texts (phi ≥ 0.5 with this one); they are rows of their own
            in matrix.json, with `under` this one's statement.
        values: one a run, in the matrix's order.
    """

    statement: str
    check: Mapping[str, Any] | None
    theme: str
    judges: tuple[str, ...]
    values: tuple[Value, ...]
    alike: tuple[str, ...] = ()
    under: str | None = None

    @property
    def held(self) -> int:
        """How many runs validated it."""
        return sum(value.status == "validated" for value in self.values)

    def over(self, cell: Cell) -> Spread:
        """The row in one cell."""
        own = [self.values[number] for number in cell.runs]
        known = [value.difference for value in own if value.difference is not None]
        tested = [value for value in own if value.status in ("validated", "not validated")]
        held = sum(value.status == "validated" for value in own)
        return Spread(fmean(known) if known else None, stdev(known) if len(known) > 1 else None, len(known), len(tested), held)

    def as_dict(self) -> dict[str, object]:
        """For matrix.json."""
        return {**asdict(self), "check": dict(self.check) if self.check else None}


@dataclass(frozen=True)
class Measured:
    """Rows, and what they rest on: (rows, prompts) mean differences by prompt of each run, in the order of its prompts."""

    rows: tuple[Row, ...]
    by_prompt: tuple[FloatArray, ...]


def measured(runs: Sequence[Run], samples: Sequence[Sampled]) -> Measured:
    """Every sentence that one of the runs validated, measured in all of them; those that say the same stand together."""
    keys, findings = _sentences(runs)
    chosen = [next(own[key] for own in findings if key in own) for key in keys]
    scores = [sample.scores(chosen) for sample in samples]
    rates = [tuple(sample.by_prompt(side) for side in sides) for sample, sides in zip(samples, scores, strict=True)]
    tables = tuple(intervention - base for base, intervention in rates)
    rows = [
        Row(
            statement=str(finding["statement"]),
            check=finding.get("check"),
            theme=_theme(key, runs, findings),
            judges=tuple(dict.fromkeys(str(judge) for own in findings if key in own for judge in list(own[key]["judges"])[:1])),
            values=tuple(
                _value(run, sample, both, row, findings[number].get(key))
                for number, (run, sample, both) in enumerate(zip(runs, samples, rates, strict=True))
            ),
        )
        for row, (key, finding) in enumerate(zip(keys, chosen, strict=True))
    ]
    order, leaders = _gathered(rows, [np.concatenate(sides, axis=1) for sides in scores])
    named = [replace(rows[row], under=None if leaders[row] == row else rows[leaders[row]].statement) for row in order]
    followers = {leader: [rows[row].statement for row in order if leaders[row] == leader != row] for leader in set(leaders)}
    named = [replace(row, alike=tuple(followers.get(number, ()))) for number, row in zip(order, named, strict=True)]
    return Measured(tuple(named), tuple(table[order] for table in tables))


def _sentences(runs: Sequence[Run]) -> tuple[list[str], list[dict[str, Finding]]]:
    """Keys of the sentences that some run validated, and each run's findings by key, validated ones first where a key is doubled."""
    findings: list[dict[str, Finding]] = []
    for run in runs:
        own = sorted(run.findings["findings"], key=lambda finding: finding["status"] == "validated")
        findings.append({same_sentence(finding): finding for finding in own})
    return list(dict.fromkeys(key for own in findings for key, finding in own.items() if finding["status"] == "validated")), findings


def _value(run: Run, sample: Sampled, rates: Sequence[FloatArray], row: int, finding: Finding | None) -> Value:
    base, intervention = (side[row] for side in rates)
    known = ~np.isnan(base) & ~np.isnan(intervention)
    status: Status = "measured" if finding is None else "validated" if finding["status"] == "validated" else "not validated"
    if not known.any():
        return Value("blank" if finding is None else status)
    apart = intervention[known] - base[known]
    interval = confidence_sequence(apart, -1, 1, float(run.findings["alpha"]), planned=sample.planned, running=False)
    difference = float(apart.mean())
    within = min(interval[0], difference), max(interval[1], difference)
    return Value(status, difference, within, float(base[known].mean()), float(intervention[known].mean()), int(known.sum()))


def _theme(key: str, runs: Sequence[Run], findings: Sequence[Mapping[str, Finding]]) -> str:
    """The title that most runs have it under; "" where none says."""
    titles = [
        str(theme["title"])
        for run, own in zip(runs, findings, strict=True)
        if key in own
        for theme in run.findings.get("themes") or ()
        if own[key]["id"] in theme["findings"]
    ]
    return Counter(titles).most_common(1)[0][0] if titles else ""


def _gathered(rows: Sequence[Row], scores: Sequence[FloatArray]) -> tuple[list[int], list[int]]:
    """The order of the rows, and for each the row that it stands under (itself for a leader).

    Leaders are chosen greedily, those that most runs validated first, then the largest; a row stands under the first leader that it agrees
    with on all runs' texts (|phi| ≥ 0.5). Only checks can be compared so.
    """
    sizes = [np.mean([abs(value.difference) for value in row.values if value.difference is not None] or [0.0]) for row in rows]
    order = sorted(range(len(rows)), key=lambda row: (-rows[row].held, -sizes[row], rows[row].statement))
    marks = np.nan_to_num(np.concatenate([side[:, :: 1 + side.shape[1] // _MOST_TEXTS] for side in scores], axis=1))
    marks = marks - marks.mean(axis=1, keepdims=True) if marks.size else marks  # no texts have no mean
    lengths = np.linalg.norm(marks, axis=1, keepdims=True)
    unit = np.divide(marks, lengths, out=np.zeros_like(marks), where=lengths > 1e-9)
    leaders = list(range(len(rows)))
    chosen: list[int] = []
    for row in order:
        like = [leader for leader in chosen if rows[row].check and rows[leader].check and abs(float(unit[row] @ unit[leader])) >= SAME]
        if like:
            leaders[row] = like[0]
        else:
            chosen.append(row)
    return [row for leader in chosen for row in order if leaders[row] == leader], leaders
