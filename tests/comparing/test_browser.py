"""The pages of a comparison and of a calibration in a real browser: silent, still, within the screen, and without serious findings of
axe-core, with names and sentences from someone who wants to break them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auto_interventions.calibrating import Calibration, write_calibration
from auto_interventions.calibrating import checks as calibrating
from auto_interventions.comparing import Comparison, write_comparison
from auto_interventions.comparing.clusters import compare_clusters
from auto_interventions.comparing.costs import costs_of
from auto_interventions.comparing.findings import match_findings
from tests.report.conftest import SCREENS, browser, silent_page
from tests.report.looking import check_page

from .test_clusters import blobs
from .test_findings import TEXTS, content, finding

__all__ = ["browser"]

pytestmark = pytest.mark.browser

HOSTILE = "<img src=http://127.0.0.1:9/x.png onerror=document.title='owned'></script>\u202e" + "x" * 150
HELD_OUT = [*TEXTS, HOSTILE, f"{HOSTILE} again"]


def ledger(texts: int, dollars: float, **seconds: float) -> dict[str, Any]:
    counts = {"texts": texts, "tokens": 48 * texts, "embeddings_computed": texts, "judge_calls": texts // 9, "dollars": dollars}
    stages = {f"explore 1: {work}": {"seconds": spent} for work, spent in seconds.items()}
    return {"all": counts | {"seconds": sum(seconds.values()), "texts_reused": texts // 10}, "stages": stages}


def compared(name: str) -> Comparison:
    """Findings that are kept (one by its like), lost and new; costs of all kinds, one larger than the exhaustive run's; clusters."""
    vectors, centres = blobs()
    hostile = finding(HOSTILE, more_in="base", difference=-0.2)
    active = content(finding("moral"), hostile, finding("boat", held=False), finding("sea"))
    exhaustive = content(finding("the moral is"), hostile, finding("boat"))
    return Comparison(
        name=name,
        base=name,
        intervention=name,
        strategy="active",
        alpha=0.05,
        costs=costs_of(ledger(3_600, 0.04, generate=12.5, judge=40.0), ledger(198_000, 9.4, generate=991.0, judge=3.0)),
        findings=match_findings(active, exhaustive, HELD_OUT, 0.05),
        clusters=compare_clusters(vectors, [HOSTILE] * len(vectors), centres[:3], centres, centres[::-1] + 0.1, seed=0),
        verdicts=("different", "different"),
        statuses=("done", "stopped"),
    )


def calibrated(name: str) -> Calibration:
    """Every check, as its own function words it: fit, doubtful and unfit ones, of hostile sentences, a hostile judge."""
    quiet = {"overall": {"verdict": "no difference found", "smallest_detectable": 0.2}, "findings": []}
    spoken = content(finding(HOSTILE, interval=[0.1, 0.3])) | {"overall": {"verdict": "different"}}
    numbers = np.random.default_rng(0)
    unit = np.asarray(numbers.normal(size=(40, 8)), dtype=np.float32)
    rate = {"value": 0.55, "interval": [0.4, 0.7]}
    known = {"judge": HOSTILE, "pairs": 40, "sensitivity": rate, "specificity": rate}
    checks = (
        calibrating.false_alarms([spoken, spoken, quiet], 0.05),
        calibrating.order(spoken, spoken, HELD_OUT),
        calibrating.encoder(unit, unit, 30, 40, 0),
        calibrating.judges({"judging": {"judges": [HOSTILE], "known_items": [known]}}),
        calibrating.bank(
            {"prompts": {"explore": 20, "confirm": 30, "strata": 2}}, pd.DataFrame({"text": ["", *HELD_OUT], "finished": False})
        ),
        calibrating.power(quiet, 0.05),
    )
    return Calibration(name, name, name, checks)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for report in ("compare/active", "compare/exhaustive", "calibration/null-1", "calibration/swapped"):
        (folder / report).mkdir(parents=True)
        (folder / report / "report.html").write_text("a report")
    return {
        "compare": write_comparison(compared(HOSTILE), folder / "compare"),
        "calibration": write_calibration(calibrated(HOSTILE), folder / "calibration"),
    }


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("kind", ["compare", "calibration"])
def test_quiet_still_within_the_screen_and_accessible(browser: Any, pages: dict[str, Path], kind: str, screen: str) -> None:
    with silent_page(browser, screen, pages[kind]) as page:
        check_page(page, screen)
