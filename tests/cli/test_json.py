"""`--json` has the keys that docs/terminal.md says, on stdout alone; `--quiet` leaves stderr empty; every command takes both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from auto_interventions.cli import main
from auto_interventions.cli.app import app

from .test_small_audits import audit_file

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("auto-interventions")
PAGE = (ROOT / "docs" / "terminal.md").read_text(encoding="utf-8").split("## `--json`")[1]
Printed = Callable[..., Any]


def documented(command: str) -> set[str]:
    """The keys that the page's table gives to a command, those of its first case."""
    row = next(line for line in PAGE.splitlines() if line.startswith("|") and f"`{command}`" in line.split("|")[1])
    return set(re.findall(r"`(\w+)`", row.split("|")[2].split(";")[0]))


def commands() -> Iterator[tuple[str, set[str]]]:
    """All commands with their options."""
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            yield f"{name} {inner}".strip(), {option for parameter in one.params for option in parameter.opts}


@pytest.mark.parametrize(("name", "options"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_takes_them(name: str, options: set[str]) -> None:
    assert {"--quiet", "-q", "--trace", "--json"} <= options
    assert any(f"`{name}`" in line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|")), "its keys are documented"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a small audit, and what `audit --json --quiet` printed."""
    folder = tmp_path_factory.mktemp("json")
    file = audit_file(folder, lambda role, prompt, _: f"{'Yes' if role == 'base' else 'No, never'} {prompt}.", asked=60)
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    ran = subprocess.run(
        [COMMAND, "audit", file, "--out", folder / "run", "--json", "--quiet"],
        capture_output=True, text=True, timeout=500, check=False, env={**environment, "PREFECT_HOME": str(folder / "prefect")},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder, json.loads(ran.stdout)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    """Runs a command with --json and --quiet; what it printed."""

    def run(*arguments: str | Path) -> Any:
        monkeypatch.setattr("sys.argv", ["auto-interventions", *map(str, arguments), "--json", "--quiet"])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code, err) == (0, "")
        return json.loads(out)

    return run


def test_an_audit(done: tuple[Path, dict[str, Any]]) -> None:
    folder, told = done
    assert set(told) == documented("audit")
    assert told["status"] == "done"
    assert set(told["verdict"]) == {"kind", "headline", "detail"}
    assert told["verdict"]["kind"] == "different"
    found = json.loads((folder / "run" / "findings.json").read_text())
    assert told["findings"] == found["findings"] != []
    assert Path(told["report"]).is_file()


def test_what_reads_a_run(done: tuple[Path, dict[str, Any]], printed: Printed, tmp_path: Path) -> None:
    run = done[0] / "run"
    assert set(told := printed("report", run)) == documented("report")
    assert told["report"] == str((run / "report.html").resolve())
    assert printed("diff", run, run, "--out", tmp_path / "diff") == json.loads((tmp_path / "diff" / "diff.json").read_text())
    assert set(told := printed("export", run, "--to", "csv", "--out", tmp_path / "csv")) == documented("export")
    assert Path(told["path"]).exists()


def test_what_reads_an_audit_file(done: tuple[Path, dict[str, Any]], printed: Printed) -> None:
    file = done[0] / "audit.yaml"
    assert set(printed("estimate", file, "--no-measure")) == documented("estimate")
    assert set(printed("prompts", file)) == documented("prompts")
    assert set(printed("presets", "null")) >= {"what", "needs", "published", "estimate"}
    assert "null" in printed("presets")


def test_stores(done: tuple[Path, dict[str, Any]], printed: Printed, tmp_path: Path) -> None:
    store = done[0] / "store"
    assert documented("store stats") <= set(told := printed("store", "stats", store))
    assert told["entries"] > 0
    assert set(copied := printed("store", "export", store, tmp_path / "copy.sqlite3")) == documented("store export")
    assert copied["entries"] == told["entries"]
    assert printed("store", "import", tmp_path / "copy.sqlite3", tmp_path / "other")["entries"] == told["entries"]
    other = tmp_path / "other"
    assert set(meant := printed("store", "prune", other, "--kind", "vector", "--dry-run")) == documented("store prune")
    assert (meant["removed"], meant["meant"] > 0) == (0, True)
    assert printed("store", "prune", other, "--kind", "vector", "--yes")["removed"] == meant["meant"]
    assert printed("store", "prune", other, "--kind", "vector", "--yes")["meant"] == 0


def test_weights(demo: Path, printed: Printed) -> None:
    told = printed("weights", demo / "models" / "base", demo / "adapters" / "broad")
    assert set(told) == documented("weights")
    assert 0 < told["changed"] <= len(told["tensors"])
    assert told["table"] is None


def test_after_an_error_stdout_is_empty(
    demo: Path, done: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["auto-interventions", "score", str(done[0] / "run"), str(demo / "truth.yaml"), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("error: ")
