"""What a shell is offered when Tab is pressed, beyond the names of commands and options (docs/terminal.md)."""

from __future__ import annotations

from collections.abc import Iterator


def fields(incomplete: str) -> list[str]:
    """The audit file's fields that begin so, as `--set` takes them: "sampling.max_texts="."""
    from auto_interventions.config import AuditConfig

    return [f"{name}=" for name in _fields(AuditConfig) if name.startswith(incomplete)]


def runners(incomplete: str) -> list[str]:
    """Where work can run."""
    return [name for name in ("threads", "dask", "dask:", "dask-cuda", "tcp://") if name.startswith(incomplete)]


def preset_names(incomplete: str) -> list[str]:
    """The presets."""
    from auto_interventions import presets

    return [name for name in presets.about() if name.startswith(incomplete)]


def bank_names(incomplete: str) -> list[str]:
    """The published banks; files are the shell's own affair."""
    from auto_interventions.prompts.published import BANKS

    return [name for name in BANKS if name.startswith(incomplete)]


def formats(incomplete: str) -> list[str]:
    """Formats of exports."""
    from auto_interventions.exports import FORMATS

    return [name for name in FORMATS if name.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """Kinds of entries of a store."""
    from auto_interventions.cli.store import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


def complete_from_the_first_tab() -> None:
    """Mends Typer's script for zsh, which only registers its function when zsh loads it, at the first Tab: that Tab completed nothing."""
    try:
        from typer._completion_shared import _completion_scripts as scripts  # pyright: ignore[reportPrivateUsage]

        script = scripts["zsh"]
    except (ImportError, KeyError):  # a Typer that keeps it elsewhere: no reason for a command to fail
        return
    if "funcstack" not in script:
        # Loaded by the first Tab the script runs as the function that its file is named after; in a settings file it does not.
        scripts["zsh"] = f'{script.rstrip()}\n\nif [[ "$funcstack[1]" == "_%(prog_name)s" ]]; then\n  %(complete_func)s "$@"\nfi\n'


def _fields(kind: type[object], before: str = "") -> Iterator[str]:
    from pydantic import BaseModel

    if not issubclass(kind, BaseModel):
        return
    for name, field in kind.model_fields.items():
        inner = [one for one in _classes(field.annotation) if issubclass(one, BaseModel)]
        if inner:
            yield from _fields(inner[0], f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _classes(annotation: object) -> Iterator[type[object]]:
    """The classes in `Part`, `Part | None`."""
    from typing import get_args

    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type):
            yield one
