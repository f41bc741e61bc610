"""The findings on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from auto_interventions.report import wording
from auto_interventions.report.plain import one_line

if TYPE_CHECKING:
    from auto_interventions.runs import Run

# What was tested and did not hold: enough to see what was tried, the rest is in the report.
_MOST_REJECTED = 5
# What held: more than a screen of it is for the report.
_MOST_HELD = 20
_COLOURS = {"different": "bold magenta", "unexplained": "bold yellow", "none": "bold green"}


def verdict_text(findings: Mapping[str, Any]) -> Text:
    """The verdict of an audit (the content of findings.json, {} while there is none), in two sentences."""
    verdict = wording.verdict(findings)
    return Text.assemble((one_line(verdict.headline, 600), _COLOURS.get(verdict.kind, "bold")), "\n", one_line(verdict.detail, 900))


def audit_dict(run: Run) -> dict[str, object]:
    """What `audit --json` prints: the answer, the findings as in findings.json, what was spent, where the rest is."""
    verdict, path = wording.verdict(run.findings), run.path.resolve()
    return {
        "schema": "auto-interventions/audited@1",
        "run": str(path),
        "report": str(path / "report.html"),
        "status": run.run.get("status"),
        "stopped_because": run.run.get("stopped_because"),
        "verdict": {"kind": verdict.kind, "headline": verdict.headline, "detail": verdict.detail},
        "overall": run.findings.get("overall"),
        "findings": run.findings.get("findings", []),
        "spent": run.ledger.get("all"),
    }


def titled_table(title: str) -> Table:
    """A table without rows in the house's style."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        pad_edge=False,
        header_style="dim",
        box=SIMPLE_HEAD,
    )


def findings_table(findings: Mapping[str, Any]) -> Table:
    """The findings of an audit as a table: those that held, by size, then the best few of those that did not."""
    table = titled_table("Findings")
    table.add_column("The intervention …")
    # These may break into two lines on a narrow terminal.
    table.add_column("base → intervention", justify="right")
    table.add_column("points [interval]", justify="right")
    table.add_column("evidence", justify="right")
    table.add_column("status", min_width=9)
    held, rejected = wording.validated(findings), wording.rejected(findings)
    for finding in held[:_MOST_HELD] + rejected[:_MOST_REJECTED]:
        table.add_row(*_row(finding), style="" if finding["status"] == "validated" else "dim")
    more_held, more_rejected = max(0, len(held) - _MOST_HELD), max(0, len(rejected) - _MOST_REJECTED)
    if more_held:
        table.caption = Text(f"{more_held:,} more held and {more_rejected:,} more did not: see the report.")
    elif more_rejected:
        table.caption = Text(f"{more_rejected:,} more were tested and did not hold: see the report.")
    elif not held and not rejected:
        table.caption = Text("No sentence was tested.")
    return table


def _row(finding: Mapping[str, Any]) -> list[Text]:
    often, what = wording.claim(finding)
    return [
        Text(cell)
        for cell in (one_line(f"{often} {what}"), wording.rates(finding), _size(finding), wording.proof(finding), finding["status"])
    ]


def _size(finding: Mapping[str, Any]) -> str:
    low, high = finding["interval"]
    if not wording.size_known(finding):
        return wording.size(finding)
    return f"{wording.points(finding['difference'])} [{wording.points(low)}, {wording.points(high)}]"
