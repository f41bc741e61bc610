"""What the finished audits say: texts to recover 95% of the plants, ratios, recall, error rates, each with its interval."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

from benchmarks.planted.grid import TARGET
from benchmarks.planted.peers import PEERS
from benchmarks.planted.plants import KINDS
from benchmarks.planted.records import cell_of
from benchmarks.planted.world import Cell

Rows = list[dict[str, Any]]
SEEDS = 20
EXHAUSTIVE = 200_000
# Of a state: the earlier ones whose exhaustive audits are the same, as nothing that changed since is asked for by them.
_SAME_EXHAUSTIVE = {"28": ("26",)}
STRATEGIES = ("active", "exhaustive", "uniform", "boundary", "divergence")


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a strategy reached the target in a cell: the step, the mean texts really used, and how many seeds recovered the plant."""

    budget: int
    texts: float
    recovered: int
    seeds: int

    @property
    def interval(self) -> tuple[float, float]:
        """95% Clopper-Pearson interval of the recall."""
        return exact(self.recovered, self.seeds)


def exact(count: int, of: int) -> tuple[float, float]:
    """95% Clopper-Pearson interval.

    >>> [round(end, 3) for end in exact(20, 20)]
    [0.832, 1.0]
    """
    interval = binomtest(count, of).proportion_ci(method="exact")
    return float(interval.low), float(interval.high)


def by_step(rows: Iterable[dict[str, Any]]) -> dict[tuple[Cell, str], dict[int, Rows]]:
    """Rows by cell and strategy, then by budget."""
    found: dict[tuple[Cell, str], dict[int, Rows]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[cell_of(row), row["strategy"]][row["budget"]].append(row)
    return found


def reached(steps: dict[int, Rows], seeds: int = SEEDS) -> Reached | None:
    """The smallest budget at which at least `TARGET` of at least `seeds` seeds recovered the plant."""
    for budget in sorted(steps):
        rows = steps[budget]
        count = sum(row["scored"]["recovered"] for row in rows)
        if len(rows) >= seeds and count >= TARGET * len(rows):
            return Reached(budget, statistics.fmean(row["texts"] for row in rows), count, len(rows))
    return None


def missed(steps: dict[int, Rows], seeds: int = SEEDS) -> int:
    """The largest budget at which so many of `seeds` seeds missed the plant that the target cannot be reached; 0 if none."""
    allowed = (1 - TARGET) * seeds + 1e-9
    return max((budget for budget, rows in steps.items() if sum(not row["scored"]["recovered"] for row in rows) > allowed), default=0)


@dataclass(frozen=True, slots=True)
class Line:
    """One cell: where the strategy and where exhaustive reached the target, and the largest budgets at which they missed it.

    `state`: what the audits' rows say of the library that ran them, nothing where they do not all say the same.
    """

    cell: Cell
    reached: Reached | None
    failed: int
    exhaustive: Reached | None
    exhaustive_failed: int
    oracle: float | None
    state: str = ""

    @property
    def measured(self) -> bool:
        """Whether both reached the target."""
        return self.reached is not None and self.exhaustive is not None

    @property
    def saved(self) -> float | None:
        """How many times fewer texts than exhaustive at 200,000."""
        return EXHAUSTIVE / self.reached.texts if self.reached and self.exhaustive else None

    @property
    def ratio(self) -> float | None:
        """How many times fewer texts than the smallest exhaustive size."""
        return self.exhaustive.texts / self.reached.texts if self.reached and self.exhaustive else None

    @property
    def at_least(self) -> float | None:
        """How many times fewer texts than the smallest exhaustive size, or what it is at least.

        Where exhaustive missed the target at all sizes up to some, the largest of them counts; where only exhaustive reached it, 0; where
        neither did, None.
        """
        if self.reached is None:
            return 0.0 if self.exhaustive else None
        size = self.exhaustive.texts if self.exhaustive else self.exhaustive_failed
        return size / self.reached.texts if size else None


def summary(rows: Rows, strategy: str, seeds: int = SEEDS) -> list[Line]:
    """One line a cell."""
    steps = by_step(rows)
    lines: list[Line] = []
    for cell in sorted({cell for cell, _ in steps if cell.effect}, key=in_order):
        mine, every = steps[cell, strategy], steps[cell, "exhaustive"]
        tried, fixed = ([row for step in arm.values() for row in step] for arm in (mine, every))
        oracle = next((row["oracle"] for row in (*tried, *fixed) if row.get("oracle")), None)
        lines.append(
            Line(
                cell,
                reached(mine, seeds),
                missed(mine, seeds),
                reached(every, seeds),
                missed(every, seeds),
                oracle,
                _state(tried, fixed),
            )
        )
    return lines


def exhaustive_states(state: str) -> tuple[str, ...]:
    """The states whose exhaustive audits are those of `state`, which comes first."""
    return (state, *_SAME_EXHAUSTIVE.get(state, ()))


def _state(tried: Rows, fixed: Rows) -> str:
    """The state of which all audits of a cell are, by the strategy and exhaustive ones; nothing where they are of several."""
    found, exhaustive = ({str(row.get("state") or "") for row in rows} for rows in (tried, fixed))
    state = next(iter(found or exhaustive), "")
    return state if found <= {state} and exhaustive <= set(exhaustive_states(state)) else ""


def texts_table(lines: Sequence[Line], strategy: str = "active") -> str:
    """Texts to recover 95%, by cell."""
    names = ("affected", "effect", "kind", strategy, "recall", "exhaustive", f"200,000 / {strategy}", f"smallest / {strategy}", "oracle")
    with_state = any(line.state for line in lines)
    names = (*names, "state") if with_state else names
    out = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for line in lines:
        cell, mine = line.cell, line.reached
        recall = f"{mine.recovered}/{mine.seeds} ({mine.interval[0]:.0%} to {mine.interval[1]:.0%})" if mine else ""
        values = (
            f"{cell.prevalence:.0%}",
            f"{cell.effect:.0%}",
            cell.kind,
            _texts(mine, line.failed),
            recall,
            _texts(line.exhaustive, line.exhaustive_failed),
            _times(line.saved),
            _times(line.ratio),
            f"{line.oracle or 0:,.0f}",
            line.state,
        )
        out.append(f"| {' | '.join(values[: len(names)])} |")
    return "\n".join(out)


def headline(lines: Sequence[Line], seeds: int = SEEDS) -> str:
    """Medians and worst over the lines, against the bars of the issue."""
    measured = [line for line in lines if line.measured]
    if not measured:
        return "no cell is finished yet"
    rare = [line.ratio for line in measured if line.ratio and line.cell.prevalence <= 0.1]
    bounded = [line.at_least for line in lines if line.cell.prevalence <= 0.1 and line.at_least is not None]
    everywhere = [line.ratio for line in measured if line.ratio and line.cell.prevalence == 1]
    saved = [line.saved for line in measured if line.saved]
    gap = [line.reached.texts / line.oracle for line in measured if line.reached and line.oracle]
    parts = [
        f"{len(measured)} of {len(lines)} cells that were begun are measured: both reached the target with {seeds} seeds or more.",
        "The others (> in the table) are in no figure that does not say so.",
        f"Texts against exhaustive at 200,000: median {statistics.median(saved):.0f}x fewer, worst {min(saved):.1f}x.",
    ]
    if rare:
        parts.append(
            f"Against the smallest exhaustive: prevalence ≤ 10% median {statistics.median(rare):.2f}x fewer, worst {min(rare):.2f}x "
            f"({len(rare)} cells). With those that only one of the two reached (exhaustive's largest size that missed stands for it; "
            f"0 where active missed): median at least {statistics.median(bounded):.2f}x ({len(bounded)} cells)."
        )
    if everywhere:
        parts.append(f"Everywhere: median {statistics.median(everywhere):.2f}x, worst {min(everywhere):.2f}x ({len(everywhere)} cells).")
    parts.append(f"Against the oracle: median {statistics.median(gap):.0f}x as many texts.")
    return " ".join(parts)


def errors_table(rows: Rows) -> str:
    """Realised false discovery rate (mean over audits of false / discoveries), and how often a null audit says anything."""
    out = ["| | audits | false discovery rate | audits with a false one |", "| --- | --- | --- | --- |"]
    groups: dict[str, Rows] = defaultdict(list)
    for row in rows:
        groups[f"{row['strategy']}, {'null' if not row['effect'] else 'planted'}"].append(row)
    for name in sorted(groups):
        some = groups[name]
        shares = [row["scored"]["false"] / max(1, row["scored"]["discoveries"]) for row in some]
        count = sum(row["scored"]["false"] > 0 for row in some)
        low, high = exact(count, len(some))
        out.append(f"| {name} | {len(some)} | {statistics.fmean(shares):.2%} | {count} ({low:.1%} to {high:.1%}) |")
    return "\n".join(out)


def peeks_table(rows: Rows) -> str:
    """Of null audits: what they would have said at any peek."""
    null = [row for row in rows if not row["effect"] and row.get("peeked")]
    out = ["| null audits, at any peek | count | 95% interval |", "| --- | --- | --- |"]
    for what in ("different", "divergent", "validated"):
        for strategy in sorted({row["strategy"] for row in null}):
            some = [row for row in null if row["strategy"] == strategy]
            count = sum(row["peeked"][what] for row in some)
            low, high = exact(count, len(some))
            out.append(f"| {strategy}: {what} | {count} of {len(some)} | {low:.1%} to {high:.1%} |")
    return "\n".join(out)


def recall_table(rows: Rows, seeds: int = SEEDS) -> str:
    """Recall by kind at the budget that active needed, of every strategy and peer, over the cells in which all of them are finished."""
    steps = by_step(rows)
    names = [name for name in (*STRATEGIES, *PEERS) if any(row["strategy"] == name for row in rows)]
    at: dict[Cell, int] = {}
    for cell in {cell for cell, _ in steps if cell.effect}:
        found = reached(steps[cell, "active"], seeds)
        if found and all(len(steps[cell, name][found.budget]) >= seeds for name in names):
            at[cell] = found.budget
    out = [f"| kind | cells | {' | '.join(names)} | c2st says “different” |", "| --- |" + " --- |" * (len(names) + 2)]
    for kind in KINDS:
        cells = [cell for cell in at if cell.kind == kind]
        if cells:
            per = {name: [row for cell in cells for row in steps[cell, name][at[cell]][:seeds]] for name in names}
            shares = [sum(row["scored"]["recovered"] for row in some) / len(some) for some in per.values()]
            says = [row["different"] for row in per.get("c2st", [])]
            out.append(f"| {kind} | {len(cells)} | " + " | ".join(f"{share:.0%}" for share in shares) + f" | {_share(says)} |")
    return "\n".join(out)


def everything(rows: Rows, seeds: int = SEEDS) -> str:
    """All tables with headings."""
    parts = [f"{len(rows):,} audits."]
    for strata in sorted({row["strata"] for row in rows if row["effect"]}):
        lines = summary([row for row in rows if row["strata"] == strata], "active", seeds)
        parts += [f"### {strata} strata", headline(lines, seeds), texts_table(lines)]
    parts += ["### Recall at the texts that active needed", recall_table(rows, seeds)]
    parts += ["### False discoveries", errors_table(rows), peeks_table(rows)]
    return "\n\n".join(parts)


def in_order(cell: Cell) -> tuple[float, float, float, str]:
    """The order of the tables: what changes most first."""
    return cell.strata, -cell.prevalence, -cell.effect, cell.kind


def _share(values: Sequence[bool]) -> str:
    return f"{sum(values) / len(values):.0%}" if values else "–"


def _texts(found: Reached | None, failed: int) -> str:
    if found:
        return f"{found.texts:,.0f}"
    return f"> {failed:,}" if failed else "–"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}x"
