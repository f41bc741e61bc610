"""Pages that need no network: templates, the style sheet, and the policy that forbids everything else.

Everything in a page that a model or a user wrote is text: the template engine escapes all of it, and a Content-Security-Policy forbids
every script, request and form.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from auto_interventions.report import wording

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, context: Mapping[str, Any], folder: Path | None = None) -> str:
    """A template of the report, or of `folder`, which may use the report's parts; `style`, `policy` and `count` are added to `context`."""
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    common = {"count": wording.count, "style": Markup(style), "policy": _policy(style)}
    return _environment(folder).get_template(template).render({**common, **context})


@cache
def _environment(folder: Path | None) -> Environment:
    return Environment(
        loader=FileSystemLoader([_TEMPLATES] if folder is None else [folder, _TEMPLATES], encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _policy(style: str) -> str:
    """No script, no request, no form; the one style sheet by its hash."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
