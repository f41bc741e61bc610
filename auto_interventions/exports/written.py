"""The findings of a run for people: a Markdown page, a LaTeX table, a piece of HTML for notebooks. Everything foreign is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auto_interventions.exports import latex as tex
from auto_interventions.exports.frames import claim
from auto_interventions.exports.safe_frames import UNTOUCHED
from auto_interventions.report import wording
from auto_interventions.report.markdown import escaped
from auto_interventions.report.plain import one_line
from auto_interventions.report.rendering import render
from auto_interventions.runs import Run

_TEMPLATES = Path(__file__).parent / "templates"
_HEAD = ("The intervention …", "base → intervention", "points [interval]", "evidence", "pairs")
_LONGEST = 300
_LONG = 1_200


def plainly(text: object) -> str:
    """`text` as one line that is safe on a terminal."""
    return one_line(text, _LONG)


def _rows(findings: Mapping[str, Any]) -> list[list[str]]:
    """A row of cells for each validated finding, the largest first."""
    return [
        [claim(one), wording.rates(one), wording.size(one), wording.proof(one), f"{one.get('pairs', 0):,}"]
        for one in wording.validated(findings)
    ]


def _titles(run: Run) -> tuple[str, str, str]:
    """Name, base, intervention."""
    return str(run.run.get("name", "audit")), str(run.run.get("base", "base")), str(run.run.get("intervention", "intervention"))


def _not_held(findings: Mapping[str, Any]) -> str:
    """What else was tested, as a sentence; "" where nothing was."""
    rejected = len(wording.rejected(findings))
    if not rejected:
        return ""
    return f"{wording.count(rejected, 'more sentence was', 'more sentences were').capitalize()} tested and did not hold."


def markdown(run: Run) -> str:
    """Title, verdict, table of the validated findings and guarantee, as CommonMark with a GitHub table."""
    name, base, intervention = (escaped(title, 120) for title in _titles(run))
    verdict = wording.verdict(run.findings)
    blocks = [f"## {name}: {base} → {intervention}", f"**{escaped(verdict.headline, _LONG)}** {escaped(verdict.detail, _LONG)}"]
    if rows := _rows(run.findings):
        blocks.append(
            "\n".join([_line(_HEAD), "| --- | --- | --- | --- | ---: |", *(_line([escaped(c, _LONGEST) for c in r]) for r in rows)])
        )
    blocks += [escaped(text, _LONG) for text in (_not_held(run.findings), run.findings.get("guarantee", "")) if text]
    return "\n\n".join(blocks) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def latex(run: Run) -> str:
    """A floating table of the validated findings; its macro is defined above it, once however many tables a document takes in."""
    name, base, intervention = (tex.escaped(title, 120) for title in _titles(run))
    alpha = float(run.findings.get("alpha", 0.05))
    head = ["The intervention \\dots", "base $\\rightarrow$ intervention", "points [interval]", "evidence", "pairs"]
    rows = [[tex.escaped(cell, _LONGEST) for cell in row] for row in _rows(run.findings)]
    if not rows:
        verdict = wording.verdict(run.findings)
        rows = [[tex.escaped(verdict.headline, _LONG), "", "", "", ""]]
    caption = (
        f"{name}: what changed from {base} to {intervention}. Validated findings; the expected share of false ones is at most "
        f"{100 * alpha:.4g}\\%, intervals at {tex.escaped(wording.level(alpha))}. {tex.escaped(_not_held(run.findings))}"
    )
    return "\n".join(
        [
            tex.PREAMBLE + "\\begin{table}",
            f"\\caption{{{caption.strip()}}}",
            "\\centering\\small",
            "\\begin{tabular}{p{0.42\\linewidth}rrrr}",
            "\\toprule",
            " & ".join(head) + " \\\\",
            "\\midrule",
            *(" & ".join(row) + " \\\\" for row in rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


def html(run: Run) -> str:
    """A verdict and a table for notebooks: text alone, escaped; no script, no style sheet, no address."""
    verdict = wording.verdict(run.findings)
    context = {
        "titles": [one_line(title, 120) for title in _titles(run)],
        "headline": one_line(verdict.headline, _LONG),
        "detail": one_line(verdict.detail, _LONG),
        "head": _HEAD,
        "rows": [[one_line(cell, _LONGEST) for cell in row] for row in _rows(run.findings)],
        "not_held": _not_held(run.findings),
        "folder": one_line(run.path, _LONGEST),
        "untouched": UNTOUCHED,
    }
    return render("run.html.j2", context, _TEMPLATES)
