"""A comparison on a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from auto_interventions.comparing import wording
from auto_interventions.comparing.comparison import Comparison
from auto_interventions.report import wording as report_wording
from auto_interventions.report.plain import one_line

_MOST_FINDINGS = 20


def comparison_summary(comparison: Comparison) -> Text:
    """Headline, detail and notes."""
    lines = [one_line(wording.detail(comparison), 900), *wording.notes(comparison)]
    return Text.assemble((one_line(wording.headline(comparison), 600), "bold magenta"), *(f"\n{line}" for line in lines))


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Costs and quality, then findings."""
    return [_costs(comparison), _findings(comparison)]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", pad_edge=False, header_style="dim", box=SIMPLE_HEAD)


def _costs(comparison: Comparison) -> Table:
    table = _table("Cost and quality")
    for column in ("", "active", "exhaustive", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    costs = comparison.costs
    for cost in (*costs.totals, costs.seconds):
        cells = (wording.amount_cell(cost.name, amount) for amount in (cost.active, cost.exhaustive))
        table.add_row(cost.name, *cells, wording.ratio_cell(cost))
    for cost in costs.stages:
        table.add_row(f"  seconds: {cost.name}", f"{cost.active:,.1f}", f"{cost.exhaustive:,.1f}", wording.ratio_cell(cost), style="dim")
    findings, clusters = comparison.findings, comparison.clusters
    table.add_section()
    large = findings.of_interest
    for name, own in ((f"findings of {wording.of_interest(findings)} or more", large), ("findings of any size", findings)):
        table.add_row(f"{name}: kept", f"{own.kept:,}", f"{len(own.exhaustive):,}", wording.share_cell(own.share))
    table.add_row("findings of the active run only", f"{len(findings.more):,}", "", "")
    if clusters is not None:
        kept, ceiling = clusters.kept(clusters.active), clusters.kept(clusters.again)
        for key, name in wording.QUALITIES.items():
            # How far a partition agrees with the exhaustive one is 1 for that one itself; beside the active's stands that of the ceiling.
            other = clusters.again if key == "agreement" else clusters.exhaustive
            own, theirs = (f"{getattr(one, key):.3f}" for one in (clusters.active, other))
            table.add_row(f"clusters: {name}", own, theirs, f"{wording.share_cell(kept[key])} (ceiling {wording.share_cell(ceiling[key])})")
    return table


def _findings(comparison: Comparison) -> Table:
    table = _table("Findings of the exhaustive run")
    table.add_column("The intervention …")
    table.add_column("points [interval]", justify="right")
    table.add_column("in the active run")
    # Those that matter come first, and the lost ones among them: they are what a reader looks for.
    findings = comparison.findings
    matches = sorted(findings.exhaustive, key=lambda match: (not findings.matters(match), match.other is not None))
    for match in matches[:_MOST_FINDINGS]:
        finding = match.finding
        low, high = finding["interval"]
        size = f"{report_wording.points(finding['difference'])} [{report_wording.points(low)}, {report_wording.points(high)}]"
        cells = (one_line(" ".join(report_wording.claim(finding))), size, one_line(wording.match_cell(match)))
        table.add_row(*(Text(cell) for cell in cells), style="dim" if match.other is not None else "")
    if len(matches) > _MOST_FINDINGS:
        table.caption = f"{len(matches) - _MOST_FINDINGS:,} more: see compare.html."
    elif not matches:
        table.caption = "The exhaustive run confirmed nothing."
    return table
