"""What stands in the documentation: its pages, their code blocks and code spans. Knows nothing of what they should say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^([ \t]*)```([^\n]*)\n(.*?)^\1```[ \t]*$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Code:
    """A piece of code: the page and line where it stands, its language (of a block; spans have none) and its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """For messages and the names of tests."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> Iterator[Code]:
    """The fenced blocks of a page, of these languages (none given: of all); contents of the site (`{toctree}`) are no code."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        language = found.group(2).strip()
        if not language.startswith("{") and (not languages or language in languages):
            yield Code(page, text.count("\n", 0, found.start()) + 2, language, found.group(3))


def indented(page: Path) -> Iterator[Code]:
    """Commands that stand in a block indented by four spaces, as some pages have them."""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if re.match(r"    (\.venv/bin/|auto-interventions )", line):
            yield Code(page, number, "", line.strip())


def spans(page: Path) -> Iterator[Code]:
    """The code spans of a page, `like this`."""
    text = _FENCE.sub(lambda found: "\n" * found.group(0).count("\n"), page.read_text(encoding="utf-8"))
    for found in re.finditer(r"(?<!`)`([^`\n]+)`(?!`)", text):
        yield Code(page, text.count("\n", 0, found.start()) + 1, "", found.group(1).replace("\\|", "|"))


def shell_lines(page: Path) -> Iterator[Code]:
    """Every line of shell that a page shows, in blocks or spans, without its comment; a line that goes on (`\\`) is one."""
    shown = [*blocks(page, "bash", "sh", "console", ""), *indented(page)]
    for block in shown:
        joined = block.text.replace("\\\n", "  ")
        for number, line in enumerate(joined.splitlines()):
            yield Code(page, block.line + number, block.language, re.sub(r"(^|\s)#.*$", "", line).strip())
    yield from spans(page)


def table_rows(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each row of the page's tables: the heading that it stands under, and its cells. Rules and head rows come too."""
    heading = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            yield heading, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
