"""An audit of live models on a real terminal: watched, interrupted with the key, gone on with."""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from .terminal import CTRL_C, Terminal, steps

COMMAND = Path(sys.executable).with_name("auto-interventions")


def audit_file(folder: Path, demo: Path) -> Path:
    prompts = (demo / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[:240]
    (folder / "prompts.txt").write_text("".join(yaml.safe_load(line)["prompt"] + "\n" for line in prompts), encoding="utf-8")
    base = str(demo / "models" / "base")
    audit = {
        "name": "live",
        "base": {"model": base},
        "intervention": {"model": base, "adapter": str(demo / "adapters" / "broad")},
        "prompts": {"path": "prompts.txt", "strata_count": 2},
        "sampling": {"max_texts": 480, "initial": 120, "per_round": 60, "max_new_tokens": 64},
        "store": "store",
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(audit))
    return folder / "audit.yaml"


def never_runs_back(frames: list[list[str]]) -> bool:
    """Whether each stage with a total only ever came nearer to it, and there was one."""
    seen = [(stage, done, total) for stage, done, total in steps(frames) if total is not None]
    pairs = pairwise(seen)
    onward = all(one[0] != other[0] or (one[1] <= other[1] and one[2] == other[2]) for one, other in pairs)
    return bool(seen) and onward and all(done <= total for _, done, total in seen)


def test_it_is_watched_interrupted_and_gone_on_with(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")}
    command = [COMMAND, "audit", audit_file(tmp_path, demo), "--out", tmp_path / "run"]
    with Terminal(command, tmp_path, environment, columns=120) as terminal:
        terminal.until(lambda screen: "explore round 2: texts of the" in screen and "evidence" in screen, 400)
        terminal.press(CTRL_C)
        assert terminal.ended(120) == 130, terminal.screen
    assert terminal.screen.splitlines()[-1] == "Interrupted; what was done is saved: start the same audit again to go on."
    assert "Traceback" not in terminal.screen
    assert not terminal.cursor_hidden
    assert never_runs_back(terminal.frames)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"

    with Terminal(command, tmp_path, environment, columns=120, rows=50) as terminal:
        assert terminal.ended(500) == 0, terminal.screen
    assert never_runs_back(terminal.frames)
    assert any("Strata where the models differ most clearly" in line for frame in terminal.frames for line in frame)
    assert any("Sentences with most evidence" in line for frame in terminal.frames for line in frame)
    screen = terminal.screen
    assert "Findings" in screen
    assert "Report: " in screen
    assert "━" not in screen, "what was drawn in place is gone"
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["status"] == "done"
    assert run["reused"]["texts"] >= 120, "what was done before Ctrl-C was not done again"
