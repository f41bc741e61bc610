"""An estimate on a terminal."""

from __future__ import annotations

from rich.table import Table

from auto_interventions.report.console import titled_table
from auto_interventions.report.sections import duration
from auto_interventions.stages.estimating import Amount, Estimate


def estimate_table(found: Estimate) -> Table:
    """What the audit will take, from the fewest to the most."""
    table = titled_table("Estimate")
    table.add_column("")
    table.add_column("at least", justify="right")
    table.add_column("at most", justify="right")
    table.add_row("texts, both models", *_numbers(found.texts))
    if found.tokens is not None:
        table.add_row("tokens that they write", *_numbers(found.tokens))
    if found.seconds is not None:
        table.add_row("time to write and embed them here", duration(found.seconds.fewest), duration(found.seconds.most))
    if found.calls.most:
        table.add_row("calls of language models", *_numbers(found.calls))
    for purpose, dollars in found.dollars.items():
        table.add_row(f"  {purpose}", *_money(dollars))
    table.add_row("dollars", *_money(found.dollars_in_all), style="bold")
    table.caption = " ".join(_notes(found))
    return table


def _notes(found: Estimate) -> list[str]:
    notes = ["Audits stop as soon as the evidence decides; most end far below the right column."]
    if found.cap is not None and found.cap < found.dollars_in_all.most:
        notes.append(f"`budget.dollars` ends this one at ${found.cap:,.2f}.")
    if found.drawn:
        notes.append(f"{found.drawn} texts were drawn to know the speed; the audit finds them in the store.")
    if found.seconds is None:
        notes.append("Time: not measured.")
    return notes


def _numbers(amount: Amount) -> tuple[str, str]:
    return f"{amount.fewest:,.0f}", f"{amount.most:,.0f}"


def _money(amount: Amount) -> tuple[str, str]:
    low, high = (f"${value:,.2f}" if value >= 0.01 or value == 0 else "< $0.01" for value in (amount.fewest, amount.most))
    return low, high
