"""Tab in a real shell, after `--install-completion`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from auto_interventions.cli.completing import bank_names, fields, kinds, preset_names, runners

from .terminal import Terminal

BINARIES = Path(sys.executable).parent


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """An interactive bash of a user who has just installed the completion."""
    home = tmp_path_factory.mktemp("home")
    (home / "my-audit.yaml").write_text("name: x\n")
    bash = shutil.which("bash")
    assert bash is not None
    environment = {"HOME": str(home), "PATH": f"{BINARIES}:{os.environ['PATH']}", "PS1": "$ ", "INPUTRC": "/dev/null"}
    with Terminal([bash, "--norc", "-i"], home, environment, columns=120) as terminal:
        terminal.until("$")
        terminal.press("auto-interventions --install-completion\n")
        terminal.until("bash completion installed in")
        assert (home / ".bash_completions" / "auto-interventions.sh").is_file()
        terminal.press("clear; source ~/.bashrc\n")
        yield terminal


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("auto-interventions au", "auto-interventions audit"),
        ("auto-interventions store st", "auto-interventions store stats"),
        ("auto-interventions audit --qu", "auto-interventions audit --quiet"),
        ("auto-interventions audit my", "auto-interventions audit my-audit.yaml"),
        ("auto-interventions audit my-audit.yaml --set sampling.max_te", "--set sampling.max_texts="),
        ("auto-interventions presets pers", "auto-interventions presets persona"),
    ],
)
def test_tab_completes(shell: Terminal, typed: str, completed: str) -> None:
    shell.press("\x15clear\n")  # nothing of the line before
    shell.press(typed + "\t")
    shell.until(completed)
    shell.press("\x15")


def test_what_is_offered() -> None:
    assert "sampling.max_texts=" in fields("sampling.")
    assert all(name.startswith("judge.") for name in fields("judge."))
    assert fields("no.such") == []
    assert runners("dask") == ["dask", "dask:", "dask-cuda"]
    assert "xstest" in bank_names("x")
    assert kinds("ve") == ["vector"]
    assert "persona" in preset_names("")


def test_fields_that_are_offered_are_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "audit-file.md").read_text(encoding="utf-8")
    offered = {name.removesuffix("=").rpartition(".")[2] for name in fields("")}
    assert not [name for name in offered if f"`{name}`" not in page]
    assert len(offered) > 50
