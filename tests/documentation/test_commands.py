"""Every command and option that the documentation names exists, and commands that cost nothing are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from auto_interventions.cli.app import app
from tests.documentation.reading import PAGES, ROOT, Code, blocks, shell_lines, spans

CLI: Any = typer.main.get_command(app)
OURS = re.compile(r"(?:^|[\s/(])auto-interventions\s+([a-z-].*)$")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def named_commands() -> list[Code]:
    """Each mention of a command of ours with what follows it, such as `audit AUDIT.yaml --out DIR`."""
    found: list[Code] = []
    for page in PAGES:
        for code in shell_lines(page):
            # What stands behind a pipe or a `&&` is a command of its own.
            for part in re.split(r"&&|\|\||\s\|\s|;", code.text):
                if (match := OURS.search(part.strip())) is not None:
                    found.append(Code(code.page, code.line, "", match.group(1)))
    return found


def resolved(words: str) -> tuple[Any, str]:
    """The command that these words name, and the words that are left."""
    command: Any = CLI
    rest = words
    while isinstance(command, TyperGroup) and (match := re.match(r"([a-z][a-z-]*)(?:\s+|$)(.*)", rest)) is not None:
        if (inner := command.commands.get(match.group(1))) is None:
            break
        command, rest = inner, match.group(2)
    return command, rest


@pytest.mark.parametrize("code", named_commands(), ids=lambda code: code.where)
def test_the_command_exists_with_its_options(code: Code) -> None:
    command, rest = resolved(code.text)
    alternatives = re.match(r"[a-z]+(?:\|[a-z]+)+", rest)  # `store stats|prune|export|import`
    if alternatives is not None:
        assert isinstance(command, TyperGroup)
        assert set(alternatives.group().split("|")) <= set(command.commands)
        return
    assert command is not CLI or rest.startswith("-"), f"{code.where}: no command is called {code.text!r}"
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]} | {"--help"}
    for option in OPTION.findall(rest):
        assert option in known, f"{code.where}: `{command.name}` has no option {option}"


def test_enough_commands_are_seen() -> None:
    """The test above sees what a reader sees: commands in blocks, in spans, and each of the main ones."""
    seen = {resolved(code.text)[0].name for code in named_commands()}
    assert {"audit", "estimate", "compare", "diff", "prompts", "presets", "calibrate", "weights", "plant", "serve", "deploy"} <= seen


def named_scripts() -> list[tuple[Code, Path]]:
    """Each mention of a benchmark or script of ours, and the file that it means."""
    found: list[tuple[Code, Path]] = []
    for page in PAGES:
        for code in shell_lines(page):
            if (match := re.search(r"(?:python (?:-m )?)?((?:benchmarks|scripts|tests)[./][\w./]+)((?:\s+\S+)*)", code.text)) is None:
                continue
            name = match.group(1).rstrip(".")
            if "python" not in match.group(0) and "--" not in match.group(2):
                continue  # a file that is spoken of, not run: links are tested elsewhere
            path = ROOT / (name if "/" in name else name.replace(".", "/") + ".py")
            found.append((Code(code.page, code.line, "", match.group(2)), path))
    return found


@pytest.mark.parametrize(("code", "path"), named_scripts(), ids=lambda value: value.where if isinstance(value, Code) else value.name)
def test_the_script_exists_with_its_options(code: Code, path: Path) -> None:
    package = path.with_suffix("")
    files = sorted(package.glob("*.py")) if package.is_dir() else [path]
    assert all(file.is_file() for file in files), f"{code.where}: {path} is not there"
    assert files, f"{code.where}: {path} is not there"
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for option in OPTION.findall(code.text):
        assert option in text, f"{code.where}: {path.name} has no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_shell_blocks_parse(page: Path) -> None:
    for block in blocks(page, "bash", "sh"):
        # `<NAME>`, `[--out DIR]` and `…` are for readers.
        text = re.sub(r"<([A-Z]+)>|[\[\]…]", "", block.text)
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block.where}: {done.stderr}"


CHEAP = [
    ["--help"],
    ["presets"],
    ["presets", "unlearning", "--write", "audit.yaml"],
    ["prompts", "mine.csv", "--set", "column=question", "--set", "near_duplicates=0.8"],
    ["store", "stats", "--json"],
]


@pytest.mark.parametrize("words", CHEAP, ids=" ".join)
def test_cheap_commands_run_as_they_are_written(words: list[str], tmp_path: Path) -> None:
    shown = [code.text for code in named_commands()]
    if words != ["--help"]:
        assert any(text.startswith(" ".join(words[:2])) for text in shown), "nobody documents it: take it out here"
    rows = "".join(f"What is {number} times {number + 1}?\n" for number in range(40))
    (tmp_path / "mine.csv").write_text("question\n" + rows, encoding="utf-8")
    program = Path(sys.executable).with_name("auto-interventions")
    done = subprocess.run(
        [str(program), *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "COLUMNS": "120"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or words[-2] == "--write", "it prints nothing"


FOREIGN = {
    "--nthreads", "--memory-limit", "--resources",  # dask worker
    "--target", "--no-deps", "--fail-on-warning",  # docker build, pip install, sphinx
}  # fmt: skip


def test_options_that_stand_alone_exist() -> None:
    """`--trace` in a sentence is an option of some command of ours, or of a benchmark, or of a named program of others."""
    ours = {"--help"}
    stack = [CLI]
    while stack:
        command = stack.pop()
        stack.extend(command.commands.values() if isinstance(command, TyperGroup) else [])
        ours |= {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    sources = "".join(path.read_text(encoding="utf-8") for folder in ("benchmarks", "scripts") for path in (ROOT / folder).rglob("*.py"))
    alone = [code for page in PAGES for code in spans(page) if code.text.startswith("--")]
    assert len(alone) > 30
    for code in alone:
        for option in OPTION.findall(code.text):
            assert option in ours or f'"{option}"' in sources or option in FOREIGN, f"{code.where}: nothing has the option {option}"
