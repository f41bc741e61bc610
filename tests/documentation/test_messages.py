"""docs/troubleshooting.md lists messages that the code really has, every class of errors, and mistakes that really happen."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from auto_interventions import errors
from tests.documentation.reading import ROOT, table_rows

PAGE = ROOT / "docs" / "troubleshooting.md"
TEXT = PAGE.read_text(encoding="utf-8")
MESSAGES = [
    (heading, re.sub(r"^`|`$", "", cells[0]))
    for heading, cells in table_rows(PAGE)
    if re.fullmatch(r"`[^`]+`", cells[0]) and len(cells) == 3
]


@cache
def sentences() -> list[str]:
    """Every text of the code as a reader sees it: what is filled in is `…`, and marks of code (backticks) are left out."""
    found: list[str] = []
    for path in sorted((ROOT / "auto_interventions").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return [text.replace("`", "") for text in found]


def has(message: str) -> bool:
    """Whether some sentence of the code holds the message: its pieces between `…`, in their order, with little between them."""
    pieces = [re.escape(piece.strip()) for piece in message.split("…") if piece.strip()]
    pattern = re.compile(r".{0,120}?".join(pieces), flags=re.DOTALL)
    return any(pattern.search(text) for text in sentences())


@pytest.mark.parametrize(("heading", "message"), MESSAGES, ids=lambda value: value[:60])
def test_the_message_exists_in_the_code(heading: str, message: str) -> None:
    assert has(message), f"{heading}: nothing in the code says {message!r}"


def test_the_test_can_fail() -> None:
    assert len(MESSAGES) > 80
    assert not has("is not a field that anybody … would know")


def test_every_class_of_errors_is_named() -> None:
    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.AutoInterventionsError)}
    missing = {name for name in classes if f"*{name}*" not in TEXT}
    assert not missing, f"docs/troubleshooting.md does not name {sorted(missing)}"


def test_every_exit_code_is_explained() -> None:
    told = {cells[0] for heading, cells in table_rows(PAGE) if heading.startswith("Troubleshooting")}
    assert {"0", "1", "2", "3", "4", "130"} <= told


MISTAKES = {
    "unknown field": (["audit", "audit.yaml", "--set", "sampling.sed=1"], "is not a known field"),
    "a --set without =": (["audit", "audit.yaml", "--set", "sampling.seed"], "is not of the form a.b=c"),
    "no prompts": (["audit", "audit.yaml"], "no such prompt file"),
    "not YAML": (["audit", "broken.yaml"], "is not valid YAML"),
    "no run": (["report", "nowhere"], "give the folder of an audit"),
    "no preset": (["presets", "unlerning"], "presets: none is called"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_that_really_happens_is_found_on_the_page(mistake: str, tmp_path: Path) -> None:
    """The command fails with exit 2, and the words that the page lists stand in its message."""
    words, listed = MISTAKES[mistake]
    sides = "base: {texts: texts.jsonl}\nintervention: {texts: texts.jsonl}"
    (tmp_path / "audit.yaml").write_text(f"name: x\n{sides}\nprompts: {{path: no.txt}}\n", encoding="utf-8")
    rows = [{"model": model, "prompt": "Why?", "text": "So."} for model in ("base", "intervention")]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("name: [x\n", encoding="utf-8")
    program = Path(sys.executable).with_name("auto-interventions")
    done = subprocess.run([str(program), *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert listed in " ".join(done.stderr.replace("`", "").split())
    assert any(listed in message for _, message in MESSAGES)
