"""Runs that the tests of exports read; nothing happens to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auto_interventions.exports import AuditRun
from tests.report.judged import EVIL as OF_PAGES
from tests.report.judged import judge_run
from tests.report.making import make_run

FORMULA = "=HYPERLINK(1)"
EVIL = f"{FORMULA} \\input{{/etc/passwd}} $x_1$ % & # ~ ^ | -- 漢字 \x1b[31m\x00 ![a](http://evil.example/x.png) {OF_PAGES}"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> AuditRun:
    """An audit of checks alone."""
    return AuditRun.at(make_run(tmp_path_factory.mktemp("exports") / "made"))


@pytest.fixture(scope="session")
def evil(tmp_path_factory: pytest.TempPathFactory) -> AuditRun:
    """An audit whose texts, prompts, sentences, reasons, models and name are hostile."""
    folder = judge_run(make_run(tmp_path_factory.mktemp("exports") / "evil", hostile=True), EVIL)
    for name in ("run.json", "findings.json"):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **dict.fromkeys(("name", "base", "intervention"), EVIL)}))
    return AuditRun.at(folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where an export goes."""
    return tmp_path / "out"
