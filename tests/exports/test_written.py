"""Markdown, LaTeX and notebooks: what is told, and that foreign words command nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from auto_interventions.exports import AuditRun
from auto_interventions.exports.latex import escaped
from tests.exports.conftest import EVIL


class Tags(HTMLParser):
    """The tags of a page, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


PARAGRAPHS = {"h2", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}


def test_markdown_tells_the_findings(made: AuditRun) -> None:
    page = Tags(MarkdownIt("commonmark").enable("table").render(made.to_markdown()))
    assert page.tags == PARAGRAPHS
    assert "What changed most: the intervention more often" in page.text
    for finding in made.validated["finding"]:
        assert finding in page.text
    assert made.guarantee in page.text


def test_hostile_markdown_is_text(evil: AuditRun) -> None:
    text = evil.to_markdown()
    page = Tags(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
    assert page.tags == PARAGRAPHS
    assert page.attributes <= {("style", "text-align:right")}
    assert "<script>alert(1)</script>" in page.text
    assert "://" not in text
    assert not re.search("[\u202e\u200b\ud800-\udfff\x00\x1b]", text)


def test_a_notebook_shows_text_alone(evil: AuditRun, made: AuditRun) -> None:
    page = Tags(evil._repr_html_())
    assert page.tags <= {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code"}
    # The class keeps a notebook's MathJax away from what models wrote between dollars.
    assert page.attributes <= {("style", "text-align: left"), ("class", "tex2jax_ignore mathjax_ignore")}
    assert evil._repr_html_().lstrip().startswith('<div class="tex2jax_ignore mathjax_ignore">')
    assert "<script>alert(1)</script>" in page.text
    assert not re.search("[\u202e\u200b\ud800-\udfff\x00\x1b]", evil._repr_html_())
    told = Tags(made._repr_html_())
    for finding in made.validated["finding"]:
        assert finding in told.text


def test_what_is_printed_moves_no_cursor(evil: AuditRun) -> None:
    first = evil.validated.iloc[0]["id"]
    for text in (repr(evil), str(evil.verdict), evil.sentence(first), evil.to_latex()):
        assert not re.search("[\u202e\u200b\ud800-\udfff\x00\x1b]", text)


COMMANDS = re.compile(r"\\([a-zA-Z]+|.)", re.DOTALL)
OURS = {
    *re.findall(
        r"\w+",
        """
providecommand ifdefined Umathchar else fi texttt begin end caption centering small toprule midrule bottomrule linewidth
dots rightarrow aicharacters textbackslash textasciicircum textasciitilde textless textgreater textbar char
textasciigrave textquotesingle textquotedblleft textquotedblright textquoteleft textquoteright textendash textemdash
textellipsis textperiodcentered textbullet times infty kappa textsuperscript
""",
    ),
    *"\\{}$&#%_",
}


def test_hostile_latex_commands_nothing(evil: AuditRun) -> None:
    table = "\n".join(line for line in evil.to_latex().splitlines() if not line.startswith("%"))
    assert set(COMMANDS.findall(table)) <= OURS
    bare = COMMANDS.sub("", table)
    assert bare.count("{") == bare.count("}")
    assert not set("~^#%_") & set(bare.replace("#1", "").replace("#2", ""))
    # Five columns in every row.
    rows = [line for line in table.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 1 + len(evil.validated)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {4}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a--b", "a-{}-b"),
        ('say "x"', r"say \char34{}x\char34{}"),
        ("10⁻⁷⁵", r"10\textsuperscript{$-$75}"),
        ("naïve Straße", "naïve Straße"),
        ("漢字 ok", r"\aicharacters{漢字}{U+6F22 U+5B57} ok"),
        ("\u202e", "[U+202E]"),
    ],
)
def test_letters(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_files_hold_what_the_object_says(made: AuditRun, evil: AuditRun, tmp_path: Path) -> None:
    for run, folder in ((made, "made"), (evil, "evil")):
        assert run.export("markdown", tmp_path / folder / "a.md").read_text(encoding="utf-8") == run.to_markdown()
        assert run.export("latex", tmp_path / folder / "a.tex").read_text(encoding="utf-8") == run.to_latex()
    assert "evil.example" in evil.to_markdown()
    assert EVIL not in evil.to_markdown()
