"""The pages of a matrix and of a diff in a real browser: silent, still, within the screen, and without serious findings of axe-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auto_interventions.diffing import diff_runs, write_diff
from auto_interventions.matrix import matrix_of, write_matrix
from auto_interventions.runs import Run
from tests.diffing.runs import made_run
from tests.report.conftest import SCREENS, browser, silent_page
from tests.report.looking import check_page

__all__ = ["browser"]

pytestmark = pytest.mark.browser

PROMPTS = [f"p{number}" for number in range(120)]
STRATA = {prompt: f"kind {number % 3}" for number, prompt in enumerate(PROMPTS)}
HOSTILE = "<img src=http://127.0.0.1:9/x.png onerror=document.title='owned'></script>\u202e" + "x" * 150
WORDS = {"sun": (0.1, 0.6), "moon": (0.5, 0.1), HOSTILE: (0.0, 0.7), "rain": (0.2, 0.2)}


def run_of(number: int, intervention: str, bank: str) -> Run:
    held = list(WORDS)[: 3 if number % 2 else 2]
    run = made_run(f"{intervention} {number} {HOSTILE[:40]}", WORDS, number, PROMPTS, held, intervention=intervention, strata=STRATA)
    run.run["config"] |= {"prompts": {"source": "file", "path": f"/banks/{bank}.jsonl"}}
    run.run["config"]["sampling"]["seed"] = number
    return run


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    cells = [("story-teller with a moral, from a long path of names", "openings"), ("lines", "openings"), ("lines", "questions")]
    runs = [run_of(3 * place + number, *cell) for place, cell in enumerate(cells) for number in range(3)]
    return {
        "matrix": write_matrix(matrix_of(runs), folder / "matrix"),
        "diff": write_diff(diff_runs(runs[0], runs[3]), folder / "diff"),
    }


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("kind", ["matrix", "diff"])
def test_quiet_still_within_the_screen_and_accessible(browser: Any, pages: dict[str, Path], kind: str, screen: str) -> None:
    with silent_page(browser, screen, pages[kind]) as page:
        check_page(page, screen)
