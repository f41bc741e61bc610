"""What Prefect's UI shows of an audit or a comparison: artifacts, made from the files of a run and what it tells while it runs.

Pictures are SVG inside the artifact (a `data:` address): both UIs of Prefect 3.8.8 show it, sharp at any size, and nobody has to serve a
file. Every word of a model or a prompt is escaped (`markdown`).
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from auto_interventions.report import wording
from auto_interventions.report.markdown import cell, escaped
from auto_interventions.stages.progress import RoundReport

if TYPE_CHECKING:
    from auto_interventions.comparing import Comparison
    from auto_interventions.report.drawing import Drawing

REPORTS_URL = "AUTO_INTERVENTIONS_REPORTS_URL"
"""Environment variable: where the folder `runs` is served over HTTP. Browsers follow no `file:` link from a page of a server."""
_MOST_FINDINGS, _MOST_REJECTED, _MOST_LINES = 30, 5, 40
# The style sheet of the report gives these their values; a picture on its own has none (light, as paper: it stands on a ground of its own).
_COLOURS = {"ink": "#1d1f23", "quiet": "#5d6068", "rule": "#dedbd2", "paper": "#fcfbf8", "base": "#2b5f8a", "intervention": "#b2451a"}
_MARGIN = 14  # pixels around a picture


@dataclass(frozen=True, slots=True)
class Shown:
    """One artifact. `data` is what Prefect keeps for its `kind`; `description` is Markdown."""

    kind: str
    key: str
    data: str | float
    description: str


def key_of(name: str, what: str) -> str:
    """The key of an artifact: lower-case letters, digits, dashes. Audits of one name share it, so that its versions are their history.

    >>> key_of("Moral stories!", "rounds"), key_of("漢字", "rounds")
    ('moral-stories-rounds', 'audit-rounds')
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:60].strip("-")
    return f"{slug or 'audit'}-{what}"


def progress(name: str, share: float, doing: str) -> Shown:
    """The progress artifact: `share` of the texts that may be drawn, 0 to 1, and what is being done."""
    return Shown("progress", key_of(name, "progress"), round(100 * max(0.0, min(1.0, share)), 1), escaped(doing, 300))


def rounds_table(name: str, reports: Sequence[tuple[RoundReport, float | None]]) -> Shown:
    """A row a round: `reports` and the stability of the clusters then, None where it is not known."""
    rows = [
        {
            "round": f"{report.phase} {report.round + 1}",
            "texts": report.texts,
            "evidence": power(report.log_e),
            "strata differing": f"{report.found} of {report.of}" if report.phase == "explore" else "",
            "sentences holding": f"{report.found} of {report.of}" if report.phase == "confirm" else "",
            "stability": "" if stability is None or math.isnan(stability) else f"{stability:.2f}",
        }
        for report, stability in reports
    ]
    about = "Evidence that the models differ, as odds: 10² is 100 to 1. Stability: how alike the last two rounds’ clusters are, at most 1."
    return Shown("table", key_of(name, "rounds"), json.dumps(rows), about)


def power(log_e: float) -> str:
    """An e-value, as its natural logarithm, as a power of ten.

    >>> power(10.0), power(-3.0), power(float("-inf"))
    ('10^4.3', '10^-1.3', '0')
    """
    return f"10^{log_e / math.log(10):.1f}" if math.isfinite(log_e) else ("∞" if log_e > 0 else "0")


def evidence_figure(name: str, rounds: Sequence[Mapping[str, Any]], strata: Sequence[str], alpha: float) -> Shown | None:
    """Evidence as texts were drawn (`run.json`'s `rounds`), overall and in the strata with most of it; None before the second round."""
    from auto_interventions.report import figures

    drawing = figures.evidence_rounds(*_strongest(rounds, strata), alpha, narrow=False)
    if drawing is None:
        return None
    return Shown("image", key_of(name, "evidence"), as_address(drawing), "Evidence that the models differ, as texts were drawn.")


def effects_figure(name: str, findings: Mapping[str, Any]) -> Shown | None:
    """Rates of both models for each finding that held; None where none did."""
    from auto_interventions.report import figures

    drawing = figures.effects(wording.validated(findings), float(findings["alpha"]), narrow=False)
    if drawing is None:
        return None
    return Shown("image", key_of(name, "effects"), as_address(drawing), "Share of texts that show each finding, under both models.")


def findings_table(name: str, findings: Mapping[str, Any]) -> Shown:
    """A row a finding; the sentence last, for it is long and the tables of the UI do not break lines."""
    rows = [
        {
            "status": finding["status"],
            "base → intervention": wording.rates(finding),
            "points": _size(finding),
            "evidence": wording.proof(finding),
            "the intervention …": cell(" ".join(wording.claim(finding)), 160),
        }
        for finding in listed(findings)
    ]
    return Shown("table", key_of(name, "findings"), json.dumps(rows), "Sentences that were tested, those that hold first.")


def summary(name: str, findings: Mapping[str, Any], folder: Path, pictures: Sequence[Shown | None]) -> Shown:
    """The answer of an audit on one page: verdict, findings, pictures, the report's address."""
    verdict = wording.verdict(findings)
    level = wording.level(float(findings["alpha"]))
    lines = [f"## {escaped(verdict.headline, 900)}", "", escaped(verdict.detail, 1_200), "", place(folder / "report.html", "Report"), ""]
    if rows := listed(findings):
        lines += [f"| The intervention … | base → intervention | points ({level} interval) | evidence | status |", "| --- " * 5 + "|"]
    for finding in rows:
        cells = (" ".join(wording.claim(finding)), wording.rates(finding), _size(finding), wording.proof(finding), finding["status"])
        lines.append("| " + " | ".join(escaped(one, 120) for one in cells) + " |")
    more = len(findings["findings"]) - len(rows)
    lines += ["", f"{more:,} more were tested: see the report." if more else "", ""]
    lines += [f"![{picture.description}]({picture.data})\n" for picture in pictures if picture is not None]
    return Shown("markdown", key_of(name, "summary"), "\n".join(lines), escaped(verdict.headline, 300))


def of_comparison(comparison: Comparison, folder: Path) -> dict[str, Callable[[], Shown]]:
    """A comparison's page, table of costs and picture, made when they are called."""
    from auto_interventions.comparing import figures

    @cache
    def picture() -> Shown:
        drawn = as_address(figures.picture(comparison, narrow=False))
        return Shown("image", key_of(comparison.name, "compared"), drawn, "What the active run cost and kept.")

    return {
        "costs": lambda: _costs(comparison),
        "compared": picture,
        "comparison": lambda: _comparison_page(comparison, folder, picture()),
    }


def headline_of(comparison: Comparison) -> str:
    """A comparison in one sentence, not escaped."""
    from auto_interventions.comparing import wording as words

    return words.headline(comparison)


def _costs(comparison: Comparison) -> Shown:
    from auto_interventions.comparing import wording as words

    rows = [
        (cost.name, words.amount_cell(cost.name, cost.active), words.amount_cell(cost.name, cost.exhaustive), words.ratio_cell(cost))
        for cost in (*comparison.costs.totals, comparison.costs.seconds)
    ]
    own = comparison.findings
    for kept, name in ((own.of_interest, f"findings of {words.of_interest(own)} or more: kept"), (own, "findings of any size: kept")):
        rows.append((name, f"{kept.kept:,}", f"{len(kept.exhaustive):,}", ""))
    table = [dict(zip(("what", "active", "exhaustive", "ratio"), row, strict=True)) for row in rows]
    return Shown("table", key_of(comparison.name, "costs"), json.dumps(table), "What both runs spent, and what the active one kept.")


def _comparison_page(comparison: Comparison, folder: Path, picture: Shown) -> Shown:
    from auto_interventions.comparing import wording as words

    head = words.headline(comparison)
    lines = [f"## {escaped(head, 600)}", "", escaped(words.detail(comparison), 900), ""]
    lines += [f"- {escaped(note, 600)}" for note in words.notes(comparison)]
    lines += ["", place(folder / "compare.html", "Comparison"), "", f"![{picture.description}]({picture.data})"]
    return Shown("markdown", key_of(comparison.name, "comparison"), "\n".join(lines), escaped(head, 300))


def listed(findings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that held, by size, then the best few of those that did not."""
    return [*wording.validated(findings)[:_MOST_FINDINGS], *wording.rejected(findings)[:_MOST_REJECTED]]


def told_of(finding: Mapping[str, Any]) -> str:
    """A finding in one line of a log, not escaped."""
    often, what = wording.claim(finding)
    return f"the intervention {often} {what}: {wording.rates(finding)} ({_size(finding)} points), {wording.proof(finding)}"


def address_of(page: Path) -> str | None:
    """Where a browser finds `page` of a run; None where nobody serves it (`REPORTS_URL`). The served folder is the one named runs, and
    where the page lies in no such folder, the one that holds the run's."""
    base = os.environ.get(REPORTS_URL, "").strip().rstrip("/")
    if not base.startswith(("http://", "https://")):
        return None
    parts = page.resolve().parts
    served = len(parts) - 1 - parts[::-1].index("runs") if "runs" in parts[:-1] else len(parts) - 3
    return "/".join([base, *(quote(part, safe="") for part in parts[served + 1 :])])


def place(page: Path, title: str) -> str:
    """Markdown that leads to `page`: a link where it is served, else its path."""
    address = address_of(page)
    return f"**[{title}]({address})**" if address else f"{title}: {escaped(page.resolve(), 400)}"


def as_address(drawing: Drawing) -> str:
    """A picture of the report as one that stands alone, on paper of its own, in a `data:` address."""
    svg = str(drawing.svg)
    for name, colour in _COLOURS.items():
        svg = svg.replace(f"var(--{name})", colour)
    left, top, width, height = (float(part) for part in re.findall(r'viewBox="([^"]*)"', svg)[0].split())
    box = (left - _MARGIN, top - _MARGIN, width + 2 * _MARGIN, height + 2 * _MARGIN)
    x, y, wide, high = (f"{value:g}" for value in box)
    head, body = svg.split(">", 1)
    for key, value in (("viewBox", f"{x} {y} {wide} {high}"), ("width", wide), ("height", high)):
        head = re.sub(rf' {key}="[^"]*"', f' {key}="{value}"', head, count=1)
    ground = f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" fill="{_COLOURS["paper"]}"/>'
    whole = f'{head} font-family="Inter, Roboto, Arial, sans-serif">{ground}{body}'
    return "data:image/svg+xml;base64," + base64.b64encode(whole.encode("utf-8", "backslashreplace")).decode()


def _strongest(rounds: Sequence[Mapping[str, Any]], strata: Sequence[str]) -> tuple[list[Mapping[str, Any]], list[str]]:
    """`rounds` and `strata` with at most so many strata as a picture can show, those with most evidence."""
    last = list(rounds[-1]["log_e_strata"]) if rounds else []
    kept = sorted(sorted(range(len(last)), key=lambda index: -(last[index] if last[index] is not None else -math.inf))[:_MOST_LINES])
    cut: list[Mapping[str, Any]] = [
        {**one, "log_e_strata": [one["log_e_strata"][index] for index in kept if index < len(one["log_e_strata"])]} for one in rounds
    ]
    return cut, [strata[index] if index < len(strata) else f"stratum {index + 1}" for index in kept]


def _size(finding: Mapping[str, Any]) -> str:
    if not wording.size_known(finding):
        return wording.size(finding)
    low, high = finding["interval"]
    return f"{wording.points(finding['difference'])} ({wording.points(low)} to {wording.points(high)})"
