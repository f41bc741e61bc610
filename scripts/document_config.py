"""Writes docs/audit-file.md from the docstrings of the configuration; with --check fails when it is out of date."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from auto_interventions.config import AuditConfig, Part

TARGET = Path(__file__).resolve().parent.parent / "docs" / "audit-file.md"
HEAD = """# The audit file

Generated from `auto_interventions/config.py` and `language_config.py` by `make docs`. An audit file is YAML; an unknown key is an
error that names the nearest known one. Paths are relative to the file. `--set a.b=c` on the command line overrides a field.

A whole one:

```yaml
name: my-audit
base: {model: path-or-hub-id}
intervention: {model: path-or-hub-id, adapter: path-to-lora}
prompts: {source: file, path: prompts.jsonl, strata: auto}
```

Everything else has a default.
"""


def kind_of(annotation: Any) -> str:
    """A reader's name for a type."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kind_of(get_args(annotation)[0])
    if origin is Literal:
        return " \\| ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " \\| ".join(kind_of(choice) for choice in get_args(annotation))
    if annotation is type(None):
        return "`null`"
    if origin is tuple:
        return "list"
    return {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping"}.get(
        annotation, getattr(annotation, "__name__", "value")
    )


def default_of(field: FieldInfo) -> str:
    """How a field's default reads in YAML."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Part):
        return "see below"
    if value is None:
        return "`null`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def cell(text: str) -> str:
    """A description on one line: a line break would end the table's row, a bare bar its cell."""
    return linked(" ".join(text.split()).replace("|", "\\|"))


def linked(text: str) -> str:
    """The pages that a description names, as links: docs/store.md is store.md as seen from docs/."""
    return re.sub(r"\bdocs/([\w-]+)\.md", r"[\1](\1.md)", text)


def parts_in(annotation: Any) -> type[Part] | None:
    """The part that a field holds: one, one or none, or a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((found for choice in get_args(annotation) if (found := parts_in(choice)) is not None), None)


def title_of(name: str) -> str:
    """The section of a field that holds a part; both sides share one, and so do all chats."""
    return "base, intervention" if name in ("base", "intervention") else "chat" if name.endswith("chat") else name


def table(part: type[Part], seen: dict[type[Part], str]) -> list[str]:
    """The rows of one part's fields; the parts that they hold go into `seen`."""
    rows = ["| field | what it is | values | default |", "| --- | --- | --- | --- |"]
    for name, field in part.model_fields.items():
        values, told = kind_of(field.annotation), field.description or ""
        if (part_of := parts_in(field.annotation)) is not None:
            told = told or (part_of.__doc__ or "").strip().partition("\n")[0]
            title = title_of(name)
            link = f"[{title}](#{title.replace(', ', '-')})"
            values = link if _is_part(field) else f"list of {link}" if get_origin(field.annotation) is tuple else f"{link} \\| `null`"
            seen.setdefault(part_of, title)
        rows.append(f"| `{name}` | {cell(told)} | {values} | {default_of(field)} |")
    return rows


def _is_part(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Part)


def document() -> str:
    """The whole page."""
    seen: dict[type[Part], str] = {}
    lines = [HEAD, "## Top level", "", *table(AuditConfig, seen)]
    told: set[type[Part]] = set()
    while left := [part for part in seen if part not in told]:
        for part in left:
            told.add(part)
            lines += ["", f"## {seen[part]}", "", linked((part.__doc__ or "").strip()), "", *table(part, seen)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes or checks the page."""
    page = document()
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != page:
            sys.stderr.write("docs/audit-file.md is out of date: run `make docs`\n")
            return 1
        return 0
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
