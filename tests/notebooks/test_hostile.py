"""A notebook on a run whose texts, prompts, sentences, models and name are hostile: all that its cells show is text."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from auto_interventions.exports import AuditRun
from tests.exports.conftest import evil
from tests.exports.test_written import Tags
from tests.report.conftest import browser, silent_page

__all__ = ["browser", "evil"]

UNSEEN = re.compile("[\u202e\u200b\ud800-\udfff\x00\x1b]")
CELLS = (
    "run",
    "run.findings",
    "run.validated[['finding', 'statement', 'also']]",
    "run.finding('lighthouse')['statement'] and run.by_stratum",
    "run.pairs()",
    "run.pairs()['base']",
    "run.pairs().iloc[0]",
    "run.pairs().groupby('prompt').size()",
    "run.pairs().set_index('prompt')",
    "run.texts.head(80).rename(columns={'text': 'a\\u202eb $x$'})",
    "run.strata",
    "run.clusters",
    "print(run.verdict, run.sentence('lighthouse'))",
    "print(run.pairs())",
    "print(run.to_markdown())",
)


@pytest.fixture(scope="module")
def shown(evil: AuditRun, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Any]]:
    """(cell, output) of a notebook that looks at the run in every way."""
    book = nbformat.v4.new_notebook()
    begin = f"import auto_interventions, pandas\nrun = auto_interventions.load({str(evil.path)!r})"
    wide = "pandas.set_option('display.max_colwidth', None, 'display.max_columns', None)"
    book.cells = [nbformat.v4.new_code_cell(source) for source in (begin, *CELLS, wide, *CELLS)]
    NotebookClient(
        book, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path_factory.mktemp("book"))}}
    ).execute()
    return [(cell.source, output) for cell in book.cells for output in cell.outputs]


def test_all_that_is_shown_is_text(shown: list[tuple[str, Any]]) -> None:
    pages = 0
    for cell, output in shown:
        parts = output.get("data") or {"text/plain": output["text"]}
        assert set(parts) <= {"text/plain", "text/html"}, cell
        for part in parts.values():
            assert not UNSEEN.search(part), cell
        if "text/html" in parts:
            pages += 1
            page = Tags(parts["text/html"])
            assert page.tags <= {"div", "style", "table", "thead", "tbody", "tr", "th", "td", "p", "strong", "code"}, cell
            assert parts["text/html"].lstrip().startswith('<div class="tex2jax_ignore mathjax_ignore">'), cell
    assert pages >= 16
    assert any("U+202E" in output["data"]["text/html"] for _, output in shown if "text/html" in output.get("data", {}))


@pytest.mark.browser
def test_a_browser_finds_nothing_to_run(browser: Any, shown: list[tuple[str, Any]], tmp_path: Path) -> None:
    parts = [output.get("data") or {"text/plain": output["text"]} for _, output in shown]
    body = "\n".join(part.get("text/html") or f"<pre>{html.escape(part['text/plain'])}</pre>" for part in parts)
    page_path = tmp_path / "notebook.html"
    page_path.write_text(f"<!doctype html><meta charset=utf-8><title>notebook</title><body>{body}</body>", encoding="utf-8")
    with silent_page(browser, "light", page_path) as page:
        assert page.title() == "notebook"
        assert page.evaluate("document.images.length + document.scripts.length + document.links.length") == 0
        assert "<script>alert(1)</script>" in page.inner_text("body")
