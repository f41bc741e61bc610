"""Foreign words in Markdown are words: rendered, they show themselves, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from auto_interventions.report.markdown import escaped
from auto_interventions.report.plain import one_line
from tests.report.making import HOSTILE

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LINES = [
    *HOSTILE,
    "1. a list",
    "123456789) a list",
    "- a point",
    "+ a point",
    "# a title",
    "> a quote",
    "---",
    "===",
    "| a | b |",
    "~~gone~~ **bold** _slanted_ __under__ `code` $x$ ^up^",
    "![picture](http://evil.example/a.png) [link](javascript:alert(1)) <http://evil.example> [a]: http://evil.example",
    "&lt;b&gt; &#60; <!-- hidden --> <b>tag</b>",
    "back\\slash \\*a\\* \\",
    "mail a@evil.example, www.evil.example, https://evil.example :tada: {.class} {{ x }}",
]


def shows(text: str) -> str:
    """What a reader sees of one paragraph; fails where it is anything but a paragraph of text."""
    tokens = READER.parse(text)
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    children = [child for token in tokens for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special"}
    return "".join(child.content for child in children)


@pytest.mark.parametrize("text", LINES)
def test_a_line_shows_itself(text: str) -> None:
    assert shows(escaped(text)).replace("\u2060", "") == one_line(text)


@given(st.text(alphabet="ab 1.)(-+*_#>|<&;:[]!`~$\\{}=^\n/@w", max_size=40))
def test_so_does_any_other(text: str) -> None:
    assert shows(escaped(text)).replace("\u2060", "") == one_line(text)


@pytest.mark.parametrize("text", LINES)
def test_a_cell_stays_a_cell(text: str) -> None:
    tokens = READER.parse(f"| a | b |\n| --- | --- |\n| {escaped(text)} | x |\n")
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    assert [cell.content for cell in cells[1:]] == ["x"]
    assert {child.type for child in cells[0].children or []} <= {"text", "text_special"}
