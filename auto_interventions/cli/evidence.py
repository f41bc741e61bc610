"""The evidence of an audit at work, in words and as a table: where the models differ so far, and how sure that is."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.stages.progress import RoundReport, Standing

_HELD = {"explore": "differs", "confirm": "holds"}


def round_line(report: RoundReport) -> str:
    """A round that ended: texts so far, evidence that the models differ, how many strata or sentences."""
    found = "strata differ" if report.phase == "explore" else "sentences hold"
    where = f"{_of_audit(report, '{}: ')}{report.phase} round {report.round + 1:>2}"
    return f"{where}  {report.texts:>6,} texts  evidence {wording.odds(report.log_e)}  {report.found} of {report.of} {found}"


def evidence_table(report: RoundReport, rows: int) -> Group:
    """Strata or sentences with most evidence after the last round, at most `rows` of them."""
    exploring = report.phase == "explore"
    title = "Strata where the models differ most clearly" if exploring else "Sentences with most evidence"
    table = Table(pad_edge=False, header_style="dim", box=SIMPLE_HEAD)
    table.add_column("stratum" if exploring else "a text of the intervention …", no_wrap=True, overflow="ellipsis")
    table.add_column("evidence", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for standing in report.leading[:rows]:
        verdict = Text(_HELD[report.phase], style="bold magenta") if standing.held else Text("open", style="dim")
        table.add_row(Text(_name(standing)), Text(wording.odds(standing.log_e)), verdict)
    return Group(Text(title + _of_audit(report, " ({})"), style="bold"), table)


def _of_audit(report: RoundReport, form: str) -> str:
    """Which of several audits it is."""
    return form.format(one_line(report.audit, 40)) if report.audit else ""


def _name(standing: Standing) -> str:
    name = one_line(standing.name, 120) or "(no name)"
    return f"{'more' if standing.more_in == 'intervention' else 'less'} often {name}" if standing.more_in else name
