"""Pages that need no network: templates, the style sheet, the script, and the policy that forbids everything else.

Everything in a page that a model or a user wrote is text: the template engine escapes all of it, and a Content-Security-Policy forbids
every request, every form and every script but ours, which it knows by its hash. Every page extends `page.html.j2`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from auto_interventions.report import wording

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, context: Mapping[str, Any], folder: Path | None = None) -> str:
    """A template of the report, or of `folder`, which extends `page.html.j2` and may use the report's parts.

    `style`, `script`, `policy` and `count` are added to `context`.
    """
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    common = {"count": wording.count, "style": Markup(style), "script": Markup(script), "policy": _policy(style, script)}
    return _environment(folder).get_template(template).render({**common, **context})


def safe_json(value: object) -> Markup:
    """JSON that may stand in a script element: what could end or open one (`<`, `>`, `&`, `'`) is escaped."""
    return htmlsafe_json_dumps(value, dumps=_compact)


def _compact(value: object, **_: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@cache
def _environment(folder: Path | None) -> Environment:
    return Environment(
        loader=FileSystemLoader([_TEMPLATES] if folder is None else [folder, _TEMPLATES], encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _policy(style: str, script: str) -> str:
    """No request, no form; the one style sheet and the one script by their hashes."""
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
