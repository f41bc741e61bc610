"""What changed from one audit to another: every sentence that either proposed, tested on the difference of its differences.

"Significant here and not there" is no test: two runs of the same models differ in it by chance. So each sentence's difference in A (more
of it in A's intervention than in A's base) is compared with its difference in B, over *all* sentences that either run ever proposed
(choosing the validated ones first would prefer those that chance had favoured), and e-BH says which changes are told: the expected share of
false ones among them is at most alpha, whenever either run stopped.

Two tests.  Where both runs asked the same prompts in the same order, each common pair of texts pays (x_B − x_A) / 2; x is 1 where only the
intervention's text shows the sentence, −1 where only the base's does. If A and B show it equally at every prompt, that is symmetric around
0 given all before, and betting both ways is a test martingale: the audits' own null, and their own bets (`inference.betting`). Elsewhere
an e-value bets against "the mean over prompts is the same" (`inference.two_means`). Sizes and intervals are of means over prompts in any
case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from auto_interventions.diffing.sampled import (
    Sampled,
    common_pairs,
    explored_prompts,
    same_order,
    same_sentence,
    share_texts,
)
from auto_interventions.inference import e_bh
from auto_interventions.inference.betting import bet_many, log_e_values, start_log_wealth
from auto_interventions.inference.intervals import e_by_level
from auto_interventions.inference.two_means import MeansApart, paired_means, two_means
from auto_interventions.records import FloatArray
from auto_interventions.runs import Run

SCHEMA = "auto-interventions/diff@1"
Kind = Literal["new", "gone", "stronger", "weaker", "reversed", "changed", "not told apart", "not compared"]
KINDS: tuple[Kind, ...] = ("new", "gone", "reversed", "stronger", "weaker", "changed", "not told apart", "not compared")
# Of prompts that both runs asked in one order, this share of the smaller run makes pairs of them.
_PAIRED = 0.5
Finding = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence in both runs.

    Attributes:
        kind: what became of it; "new" and "gone": validated in one run only *and* told apart; "changed": told apart, though neither run had
            validated it, or the run that had not shows more of it.
        one, other: its mean difference in A and in B at the prompts compared; None where it was not judged.
        difference, interval: of B's difference minus A's. Of told changes the intervals bound the false coverage rate.
        log_e: against equality.
        validated: whether A, and whether B, had validated it.
        prompts: compared in A and in B.
    """

    statement: str
    kind: Kind
    one: float | None
    other: float | None
    difference: float
    interval: tuple[float, float]
    log_e: float
    validated: tuple[bool, bool]
    prompts: tuple[int, int]
    check: Mapping[str, Any] | None
    why: str = ""

    @property
    def told(self) -> bool:
        """Whether it is a change."""
        return self.kind not in ("not told apart", "not compared")


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that diff.json and diff.html tell. `names`, `sides`: of A and B."""

    names: tuple[str, str]
    sides: tuple[tuple[str, str], tuple[str, str]]
    alpha: float
    how: Literal["paired", "independent", "dependent"]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def told(self) -> tuple[Change, ...]:
        """The changes, the largest first within each kind."""
        return tuple(change for change in self.changes if change.told)

    def as_dict(self) -> dict[str, object]:
        """The content of diff.json."""
        return {
            "schema": SCHEMA,
            "a": {"name": self.names[0], "base": self.sides[0][0], "intervention": self.sides[0][1]},
            "b": {"name": self.names[1], "base": self.sides[1][0], "intervention": self.sides[1][1]},
            "alpha": self.alpha,
            "how": self.how,
            "tested": sum(change.kind != "not compared" for change in self.changes),
            "told": len(self.told),
            "changes": [{**asdict(change), "check": dict(change.check) if change.check else None} for change in self.changes],
            "notes": list(self.notes),
        }


def diff_runs(one: Run, other: Run, alpha: float | None = None) -> Diff:
    """Compares two concluded runs, A and B.

    Args:
        alpha: false discovery rate of the changes; None: the smaller of the two runs'.

    Raises:
        RunDirectoryError: a run that has not concluded, or that an earlier version made.
    """
    for run in (one, other):
        run.check_concluded()
    first, second = Sampled.of(one, explored_prompts(other)), Sampled.of(other, explored_prompts(one))
    level = min(float(run.findings["alpha"]) for run in (one, other)) if alpha is None else alpha
    entries = _union(one.findings["findings"], other.findings["findings"])
    findings = [finding for mine, theirs in entries if (finding := mine or theirs) is not None]
    common = same_order(first, second)
    paired = common > 0 and common >= _PAIRED * min(len(first.prompts), len(second.prompts))
    dependent = share_texts(first, second)
    payoffs = (first.payoffs(findings), second.payoffs(findings))
    tables = (first.by_prompt(payoffs[0]), second.by_prompt(payoffs[1]))
    compare = _Comparison(first, second, tables, common if paired else 0, not dependent, level / max(1, len(entries)))
    why = [_not_compared(entry, first, second, tables, row) for row, entry in enumerate(entries)]
    comparable = np.array([not reason for reason in why], dtype=np.bool_)
    sizes = [compare.size(row, level) for row in range(len(entries))]
    log_e = np.where(comparable, compare.log_e(payoffs, sizes), 0.0)
    passed = e_bh(log_e, level)
    chosen = int(passed.sum())
    within = e_by_level(chosen, len(entries), level) if chosen else level
    told = [compare.size(row, within) if passed[row] else sizes[row] for row in range(len(entries))]
    changes = [_change(entry, told[row], float(log_e[row]), tables, row, bool(passed[row]), why[row]) for row, entry in enumerate(entries)]
    changes.sort(key=lambda change: (KINDS.index(change.kind), -abs(change.difference), change.statement))
    how = "paired" if paired else "dependent" if dependent else "independent"
    return Diff(
        (str(one.run["name"]), str(other.run["name"])),
        (
            (str(one.findings["base"]), str(one.findings["intervention"])),
            (str(other.findings["base"]), str(other.findings["intervention"])),
        ),
        level,
        how,
        tuple(changes),
        tuple(_notes(first, second)),
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How two runs' differences are compared: `tables` (H, prompts) of each; `common` first prompts in pairs, or 0."""

    one: Sampled
    other: Sampled
    tables: tuple[FloatArray, FloatArray]
    common: int
    independent: bool
    aim: float

    def log_e(self, payoffs: tuple[FloatArray, FloatArray], sizes: Sequence[MeansApart]) -> FloatArray:
        """(H,) against "no change", from (H, N) payoffs of each run, or the sizes where there are no pairs."""
        count = len(payoffs[0])
        if self.common:
            mine, theirs = common_pairs(self.one, self.other, self.common)
            return log_e_values(bet_many(start_log_wealth(count, two_sided=True), (payoffs[1][:, theirs] - payoffs[0][:, mine]) / 2))
        return np.array([size.log_e for size in sizes])

    def size(self, row: int, alpha: float) -> MeansApart:
        """The difference of sentence number `row` in its means over prompts, its interval at level `alpha`."""
        one, other = (table[row] for table in self.tables)
        plans = (self.one.planned, self.other.planned)
        if self.common:
            known = [plan for plan in plans if plan is not None]
            return paired_means(one[: self.common], other[: self.common], alpha, min(known) if known else None, self.aim)
        return two_means(one, other, alpha, self.independent, plans, self.aim)


def _union(ours: Sequence[Finding], theirs: Sequence[Finding]) -> list[tuple[Finding | None, Finding | None]]:
    """Every sentence of either run, the same one once: the same check, or the same words where there is none."""
    sides = [{same_sentence(finding): finding for finding in reversed(findings)} for findings in (ours, theirs)]
    keys = dict.fromkeys([same_sentence(finding) for finding in (*ours, *theirs)])
    return [(sides[0].get(key), sides[1].get(key)) for key in keys]


def _not_compared(
    entry: tuple[Finding | None, Finding | None], one: Sampled, other: Sampled, tables: Sequence[FloatArray], row: int
) -> str:
    """Why a sentence cannot be compared; "" where it can."""
    finding = entry[0] or entry[1]
    assert finding is not None
    if not finding.get("check"):
        if entry[0] is None or entry[1] is None:
            return f"only {'B' if entry[0] is None else 'A'} judged it"
        judges = one.judge_of(str(finding["statement"])), other.judge_of(str(finding["statement"]))
        if judges[0] != judges[1]:
            return f"judged by {judges[0]} in A and by {judges[1]} in B"
    return "" if all((~np.isnan(table[row])).any() for table in tables) else "no prompt in common with neither run’s exploring"


def _change(
    entry: tuple[Finding | None, Finding | None],
    apart: MeansApart,
    log_e: float,
    tables: tuple[FloatArray, FloatArray],
    row: int,
    told: bool,
    why: str,
) -> Change:
    finding = entry[0] or entry[1]
    assert finding is not None
    held, known = (_validated(entry[0]), _validated(entry[1])), [~np.isnan(table[row]) for table in tables]
    sizes = [float(table[row][own].mean()) if own.any() else None for table, own in zip(tables, known, strict=True)]
    return Change(
        statement=str(finding["statement"]),
        kind="not compared" if why else _kind(held, sizes[0] or 0.0, sizes[1] or 0.0) if told else "not told apart",
        one=sizes[0],
        other=sizes[1],
        difference=0.0 if why else apart.difference,
        interval=(-2.0, 2.0) if why else apart.interval,
        log_e=log_e,
        validated=held,
        prompts=(int(known[0].sum()), int(known[1].sum())),
        check=finding.get("check"),
        why=why,
    )


def _kind(validated: tuple[bool, bool], one: float, other: float) -> Kind:
    grown = abs(other) > abs(one)
    if all(validated):
        return "reversed" if one * other < 0 else "stronger" if grown else "weaker"
    if validated[1] and grown:
        return "new"
    if validated[0] and not grown:
        return "gone"
    return "changed"


def _validated(finding: Finding | None) -> bool:
    return finding is not None and finding["status"] == "validated"


def _notes(one: Sampled, other: Sampled) -> list[str]:
    """What else differs between the runs, in sentences: a change may come from there."""
    notes: list[str] = []
    bases = [str(side.run.findings["base"]) for side in (one, other)]
    if bases[0] != bases[1]:
        notes.append(f"The bases differ ({bases[0]}; {bases[1]}): a difference of differences may come from either side.")
    mine, theirs = set(one.prompts), set(other.prompts)
    shared = len(mine & theirs) / max(1, min(len(mine), len(theirs)))
    if shared < 1 / 2:
        notes.append(f"{shared:.0%} of the prompts are common to both: sizes are means over each run’s own prompts.")
    for field in ("temperature", "top_p", "max_new_tokens"):
        values = [side.run.run["config"]["sampling"].get(field) for side in (one, other)]
        if values[0] != values[1]:
            notes.append(f"`sampling.{field}` is {values[0]} in A and {values[1]} in B.")
    return notes
