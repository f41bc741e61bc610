"""The documentation as a site: Sphinx reads the Markdown beside this file (`make site`).

Nothing is fetched, while building or while reading. GitHub shows the same files, so what only a site needs is added here: README.md
becomes the front page, and the pages of a folder are hung below its README.
"""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent

project = "Auto-Interventions"
copyright = "the authors of Auto-Interventions, Apache-2.0"
version = release = installed("auto-interventions")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
language = "en"

# The anchors that GitHub gives headings, and no syntax that it does not know.
myst_heading_anchors = 3
myst_enable_extensions = []
nitpicky = True

html_theme = "furo"
html_title = "Auto-Interventions"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f6f54", "color-brand-content": "#1f6f54"},
    "dark_css_variables": {"color-brand-primary": "#7fc7ab", "color-brand-content": "#7fc7ab"},
}


def as_front_page(readme: str) -> str:
    """README.md up to where its list of pages begins, with its links as seen from docs/; the site's own contents stand at the left."""
    text = readme.partition("<!-- pages -->")[0]
    text = re.sub(r"(\]\()(?![a-z]+:|#)", r"\1../", text)
    return text.replace("](../docs/", "](")


def complete(_app: Sphinx, name: str, source: list[str]) -> None:
    """Sphinx asks for each page's text: the front page begins with the README, a folder's README ends with the list of its pages."""
    if name == "index":
        source[0] = as_front_page((DOCS.parent / "README.md").read_text(encoding="utf-8")) + source[0]
    elif name.endswith("/README"):
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def accessible(_app: Sphinx, _name: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    """For those who read by keyboard or ear: headings of the contents have a level; code and tables that scroll take the focus."""
    context["furo_navigation_tree"] = context.get("furo_navigation_tree", "").replace('role="heading"', 'role="heading" aria-level="2"')
    context["body"] = re.sub(r'<(pre|div class="table-wrapper[^"]*")>', r'<\1 tabindex="0">', context.get("body", ""))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", complete)
    app.connect("html-page-context", accessible, priority=900)  # after furo's own
