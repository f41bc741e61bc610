"""`auto-interventions presets`: the published experiments as named audits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auto_interventions.cli.completing import preset_names
from auto_interventions.cli.consoles import note, out_console, print_json
from auto_interventions.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Prints this one's audit file.", show_default=False, autocompletion=preset_names)
    ] = None,
    write: Annotated[Path | None, typer.Option("--write", metavar="FILE", help="Write the audit file there.", show_default=False)] = None,
    json_output: Json = False,
) -> None:
    """The published experiments as audit files, with what they took and what ours take."""
    from auto_interventions import presets as shelf
    from auto_interventions.errors import BadInput

    told = shelf.about()
    if name is None:
        if write is not None:
            raise BadInput(f"presets: --write needs the name of a preset: {', '.join(told)}")
        if json_output:
            print_json(told)
        else:
            out_console.print(_table(told))
        return
    text = shelf.text_of(name)
    if write is not None:
        shelf.write(name, write)
        note(f"Written: {write.resolve()} (needs: {told[name]['needs']})")
    if json_output:
        print_json(told[name])
    elif write is None:
        typer.echo(text, nl=False)


def _table(told: dict[str, dict[str, Any]]) -> Table:
    from rich.text import Text

    from auto_interventions.report.console import titled_table

    table = titled_table("Presets")
    table.add_column("name", no_wrap=True)
    table.add_column("what was changed", ratio=3)
    table.add_column("published bank", ratio=2)
    for column in ("their texts", "our texts", "tokens", "our dollars"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, facts in told.items():
        published, estimate = facts["published"] or {}, facts["estimate"] or {}
        table.add_row(
            name,
            Text(facts["what"]),
            Text(published.get("bank", "–")),
            f"{published['texts']:,}" if published else "–",
            _range(estimate.get("texts"), "{:,.0f}"),
            str(published.get("tokens", "–")),
            _range(estimate.get("dollars"), "${:,.2f}"),
        )
    table.caption = Text(
        "Texts of both models; tokens a text at most. `auto-interventions presets NAME --write audit.yaml` writes one; `estimate "
        "audit.yaml` says what it will take on your machine."
    )
    return table


def _range(amount: list[float] | None, form: str) -> str:
    return "–" if amount is None else f"{form.format(amount[0])} – {form.format(amount[1])}"
