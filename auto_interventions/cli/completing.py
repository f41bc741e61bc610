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
