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


# The user's own settings of each shell, before and after which a new one is started, and the file that the completion writes.
SHELLS = {
    "bash": (".bashrc", "PS1='$ '\n", ".bash_completions/auto-interventions.sh"),
    "zsh": (".zshrc", "PS1='$ '\n", ".zfunc/_auto-interventions"),
    # Without what fish suggests by itself while one types: only Tab may complete.
    "fish": (
        ".config/fish/config.fish",
        "function fish_prompt; echo -n '$ '; end\nset -g fish_greeting\nset -g fish_autosuggestion_enabled 0\n",
        ".config/fish/completions/auto-interventions.fish",
    ),
}


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """The next interactive shell of a user who has installed the completion from one like it, as docs/terminal.md says."""
    name: str = request.param
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"needs {name}, which is not on this machine (Debian: apt-get install {name})")
    home = tmp_path_factory.mktemp(name)
    settings, own, written = SHELLS[name]
    (home / settings).parent.mkdir(parents=True, exist_ok=True)
    (home / settings).write_text(own)
    # Else the first fish of a user reads all manual pages of the machine.
    (home / ".local/share/fish/generated_completions").mkdir(parents=True)
    environment = {
        "HOME": str(home),
        "ZDOTDIR": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "PATH": f"{BINARIES}:{os.environ['PATH']}",
        "INPUTRC": "/dev/null",
    }
    with Terminal([program, "-i"], home, environment, columns=120) as terminal:
        terminal.until("$")
        terminal.press("auto-interventions --install-completion\r")
        terminal.until(f"{name} completion installed in")
    assert (home / written).is_file()
    assert (home / settings).read_text().startswith(own.rstrip())
    (home / "my-audit.yaml").write_text("name: x\n")
    with Terminal([program, "-i"], home, environment, columns=120) as terminal:
        terminal.until("$")
        yield terminal


def _ready(screen: str) -> bool:
    return screen.split() == ["ready", "$"]


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
    shell.press("\x15clear; echo ready\r")  # nothing of the line before
    shell.until(_ready)  # what is typed while a command runs is echoed in front of the prompt
    shell.press(typed + "\t")
    shell.until(completed, 30)
    shell.press("\x15")


def test_zsh_takes_the_script_from_its_settings_too(tmp_path: Path) -> None:
    """`--show-completion`, for those who keep their settings themselves."""
    program = shutil.which("zsh")
    if program is None:
        pytest.skip("needs zsh, which is not on this machine (Debian: apt-get install zsh)")
    (tmp_path / ".zshrc").write_text("PS1='$ '\nautoload -Uz compinit; compinit\neval \"$(auto-interventions --show-completion)\"\n")
    environment = {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "PATH": f"{BINARIES}:{os.environ['PATH']}"}
    with Terminal([program, "-i"], tmp_path, environment, columns=120) as terminal:
        terminal.until("$")
        assert terminal.screen.strip() == "$"  # a completion that ran outside of Tab would complain
        terminal.press("auto-interventions store st\t")
        terminal.until("auto-interventions store stats", 30)


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
