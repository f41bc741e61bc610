"""Options and arguments that several commands share, and what every command takes: `--quiet` and `--trace`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from auto_interventions.cli import ending
from auto_interventions.cli.completing import fields, runners
from auto_interventions.cli.consoles import err_console

AuditFile = Annotated[Path, typer.Argument(metavar="AUDIT.yaml", help="The audit file (docs/audit-file.md).", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory: the --out of an audit.", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Overrides a field of the audit file.", autocompletion=fields)
]
Runner = Annotated[
    str,
    typer.Option(
        "--runner",
        help="Where the work runs: threads, dask, dask:N, dask-cuda, or a Dask scheduler's tcp://HOST:8786.",
        autocompletion=runners,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON (docs/terminal.md), and nothing else, on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes on stderr; errors stay.")]
Trace = Annotated[bool, typer.Option("--trace", help="With an error, where in the program it came from.")]

_OF_ALL = {"quiet": Quiet, "trace": Trace}


class Commands(typer.Typer):
    """Commands of which each takes `--quiet` and `--trace` beside its own options."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """See `Typer.command`."""
        register = super().command(name, **settings)

        def registered(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_all(function))
            return function

        return registered


def _with_all(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*, quiet: bool, trace: bool, **given: Any) -> Any:
        err_console.quiet = quiet
        ending.wishes.trace = trace
        return function(**given)

    signature = inspect.signature(function, eval_str=True)
    more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind) for name, kind in _OF_ALL.items()]
    called.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *more])  # pyright: ignore[reportAttributeAccessIssue]
    called.__annotations__ = {one.name: one.annotation for one in (*signature.parameters.values(), *more)}
    return called
