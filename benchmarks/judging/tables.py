"""What the audits of all arms say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_interventions.judging.record import proportion_interval
from auto_interventions.records import BoolArray
from benchmarks.judging.arms import ARMS, Outcome
from benchmarks.judging.models import PRICES, dollars
from benchmarks.judging.world import TRUE, Plant

PUBLISHED = "a published, strong"
_TRUE = len(TRUE)


@dataclass(frozen=True, slots=True)
class Row:
    """Means of one arm at one cap over worlds. `price`: dollars an audit at each of `PRICES`."""

    arm: str
    cap: int
    audits: int
    price: tuple[float, ...]
    calls: tuple[float, float]
    thousand_tokens: tuple[float, float]
    recall: float
    by_plant: tuple[float, ...]
    false_share: float
    false_audits: int
    width: float | None = None
    judge_in: float | None = None
    all_in: float | None = None
    true_in: float | None = None
    error: float | None = None


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """One row for each arm and cap, in their order; a second one for published arms, by the sign test."""
    kinds = sorted({(one.arm, one.cap) for one in outcomes})
    found: list[Row] = []
    for arm, cap in kinds:
        mine = [one for one in outcomes if (one.arm, one.cap) == (arm, cap)]
        if ARMS[arm].published:
            found.append(_row(f"{arm}, ranks", mine, np.array([one.found for one in mine])))
            found.append(_row(f"{arm}, signs", mine, np.array([one.sign_found for one in mine])))
        else:
            found.append(_row(arm, mine, np.array([one.found for one in mine])))
    return found


def _row(name: str, outcomes: Sequence[Outcome], found: BoolArray) -> Row:
    spent = [
        [sum(dollars(spec, given, out) for spec, given, out in zip(pair, one.given, one.written, strict=True)) for pair in PRICES]
        for one in outcomes
    ]
    tokens = np.array([[(given + out) / 1000 for given, out in zip(one.given, one.written, strict=True)] for one in outcomes])
    wrong = found[:, _TRUE:].sum(axis=1)
    calls = np.mean([one.calls for one in outcomes], axis=0)
    sizes: dict[str, float] = {}
    if outcomes[0].low is not None:
        true = np.array([one.true for one in outcomes])
        seen = true * np.array([[one.slope] for one in outcomes])
        low, high, middle = (np.array([getattr(one, part) for one in outcomes]) for part in ("low", "high", "difference"))
        sizes = {
            "width": float((high - low)[found].mean()),
            "judge_in": _share(((low <= seen) & (seen <= high))[found]),
            "all_in": _share((low <= seen) & (seen <= high)),
            "true_in": _share(((low <= true) & (true <= high))[found]),
            "error": float((np.sign(seen) * (middle - seen))[found].mean()),
        }
    return Row(
        name,
        outcomes[0].cap,
        len(outcomes),
        tuple(np.mean(spent, axis=0).tolist()),
        (float(calls[0]), float(calls[1])),
        (float(tokens[:, 0].mean()), float(tokens[:, 1].mean())),
        float(found[:, :_TRUE].mean()),
        tuple(found[:, :_TRUE].mean(axis=0).tolist()),
        float(np.mean(wrong / np.maximum(found.sum(axis=1), 1))),
        int((wrong > 0).sum()),
        **sizes,
    )


def _share(inside: BoolArray) -> float:
    return float(inside.mean())


def table(found: Sequence[Row]) -> str:
    """Markdown: what each arm found and took, and how many times less than the published practice it took at each vendor's prices."""
    best = max((row for row in found if row.arm.startswith(PUBLISHED)), key=lambda row: row.recall)
    names = [cheap.partition(":")[2] + " / " + strong.partition(":")[2] for cheap, strong in PRICES]
    head = ["arm", "max_pairs", "recall", "false", *(f"$ {name}" for name in names), "calls cheap + strong", "1,000 tokens cheap + strong"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in found:
        prices = [f"{mine:.2f} ({theirs / mine:.1f}x)" for mine, theirs in zip(row.price, best.price, strict=True)]
        calls = f"{row.calls[0]:,.0f} + {row.calls[1]:,.0f}"
        tokens = f"{row.thousand_tokens[0]:,.0f} + {row.thousand_tokens[1]:,.0f}"
        cap = "" if "published" in row.arm else str(row.cap)
        lines.append(_line([row.arm, cap, f"{row.recall:.1%}", f"{row.false_share:.1%}", *prices, calls, tokens]))
    return "\n".join(lines)


def plant_table(found: Sequence[Row]) -> str:
    """Markdown: recall by true sentence."""
    head = ["arm", "max_pairs", *(_told(plant) for plant in TRUE)]
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line([row.arm, str(row.cap), *(f"{share:.0%}" for share in row.by_plant)]) for row in found]
    return "\n".join(lines)


def _told(plant: Plant) -> str:
    where = ", half of the strata" if plant.half else ""
    return f"{plant.rate:.0%} → {plant.rate + plant.rise:.0%}{where}"


def interval_table(found: Sequence[Row]) -> str:
    """Markdown: sizes of the validated sentences."""
    head = ["arm", "max_pairs", "mean width", "better judge's mean inside", "all sentences", "truth inside", "error"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in found:
        if row.width is not None:
            shares = [f"{share:.1%}" for share in (row.judge_in, row.all_in, row.true_in) if share is not None]
            lines.append(_line([row.arm, str(row.cap), f"{row.width:.2f}", *shares, f"{row.error:+.3f}"]))
    return "\n".join(lines)


def verdict(found: Sequence[Row]) -> str:
    """The cheapest of each arm's caps with the recall of the published practice."""
    best = max((row for row in found if row.arm.startswith(PUBLISHED)), key=lambda row: row.recall)
    lines = [f"Published practice at its best ({best.arm}): recall {best.recall:.1%}, {best.price[0]:.2f} dollars."]
    for arm, kind in ARMS.items():
        equal = [row for row in found if row.arm == arm and row.recall >= best.recall]
        if kind.published:
            continue
        if not equal:
            lines.append(f"{arm}: does not reach it at these caps.")
            continue
        row = min(equal, key=lambda one: one.price[0])
        ratios = ", ".join(f"{theirs / mine:.1f}x" for mine, theirs in zip(row.price, best.price, strict=True))
        lines.append(f"{arm}: recall {row.recall:.1%} with max_pairs {row.cap}, {row.price[0]:.2f} dollars: {ratios} fewer.")
    return "\n".join(lines)


def null_line(outcomes: Sequence[Outcome]) -> str:
    """How many null audits validated something, at any look and at the end."""
    told: list[str] = []
    for arm in sorted({one.arm for one in outcomes}):
        mine = [one for one in outcomes if one.arm == arm]
        looks, ends = sum(one.looks for one in mine), sum(any(one.found) for one in mine)
        low, high = proportion_interval(looks, len(mine))
        told.append(f"{arm}: {looks} of {len(mine)} at any look ({low:.1%} to {high:.1%}), {ends} at the end")
    return "\n".join(told)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
