"""compare.json and compare.html, written atomically into one folder. The page needs no network, like a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auto_interventions.comparing import figures, wording
from auto_interventions.comparing.comparison import Comparison
from auto_interventions.comparing.findings import Match
from auto_interventions.report import wording as report_wording
from auto_interventions.report.plain import one_line, visible
from auto_interventions.report.rendering import render
from auto_interventions.runs import RunDirectory

_TEMPLATES = Path(__file__).parent / "templates"


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Writes compare.json and compare.html into `folder`; gives the page's path.

    Raises:
        Interrupted: a file cannot be written.
    """
    directory = RunDirectory(folder)
    directory.write_json("compare.json", comparison.as_dict())
    directory.write_text("compare.html", render("compare.html.j2", _context(comparison, folder), _TEMPLATES))
    return folder / "compare.html"


def _context(comparison: Comparison, folder: Path) -> dict[str, Any]:
    costs, clusters, large = comparison.costs, comparison.clusters, comparison.findings.of_interest
    return {
        "name": one_line(comparison.name, 120),
        "headline": visible(wording.headline(comparison), 600),
        "detail": visible(wording.detail(comparison), 900),
        "base": one_line(comparison.base, 60),
        "intervention": one_line(comparison.intervention, 60),
        "strategy": comparison.strategy,
        "notes": wording.notes(comparison),
        "pictures": [figures.picture(comparison, narrow=narrow) for narrow in (False, True)],
        "costs": [
            (
                cost.name,
                wording.amount_cell(cost.name, cost.active),
                wording.amount_cell(cost.name, cost.exhaustive),
                wording.ratio_cell(cost),
            )
            for cost in (*costs.totals, costs.seconds)
        ],
        "stages": [(cost.name, f"{cost.active:,.1f}", f"{cost.exhaustive:,.1f}", wording.ratio_cell(cost)) for cost in costs.stages],
        "found": [_row(match) for match in comparison.findings.exhaustive],
        "more": [_row(match) for match in comparison.findings.more],
        "kept": comparison.findings.kept,
        "large": (large.kept, len(large.exhaustive)),
        "of_interest": wording.of_interest(comparison.findings),
        "held_out": comparison.findings.texts,
        "clusters": _cluster_rows(comparison) if clusters is not None else [],
        "reports": [name for name in ("active", "exhaustive") if (folder / name / "report.html").is_file()],
    }


def _row(match: Match) -> dict[str, Any]:
    often, what = report_wording.claim(match.finding)
    return {
        "what": visible(f"{often} {what}", 300),
        "points": _size(match.finding),
        "other": _size(match.other) if match.other is not None else "",
        "match": visible(wording.match_cell(match), 300),
        "kept": match.other is not None,
    }


def _size(finding: Any) -> str:
    return f"{report_wording.points(finding['difference'])} [{report_wording.interval(finding['interval'])}]"


def _cluster_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    clusters = comparison.clusters
    assert clusters is not None
    three = (clusters.active, clusters.exhaustive, clusters.again)
    kept, ceiling = clusters.kept(clusters.active), clusters.kept(clusters.again)
    rows: list[tuple[str, ...]] = [("clusters", *(f"{one.clusters:,}" for one in three), "", "")]
    for key, name in wording.QUALITIES.items():
        shown = [f"{getattr(one, key):.3f}" for one in three]
        rows.append((name, *shown, wording.share_cell(kept[key]), wording.share_cell(ceiling[key])))
    return rows
