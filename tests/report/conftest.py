"""A browser, and reports of every kind, built once for all tests that look at them in it."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from auto_interventions.report import build_report
from tests.report.judged import EVIL, judge_run
from tests.report.making import NOTHING, make_run
from tests.report.weighed import weigh_run

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    "dark phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("needs Chromium, which is not on this machine (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def silent_page(browser: Any, screen: str, path: Path) -> Generator[Any]:
    """A page, open; in the end it has said nothing on the console and asked the network for nothing."""
    context = browser.new_context(**SCREENS[screen])
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    yield page
    assert said == []
    assert asked == [path.as_uri()]
    context.close()


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    hostile = make_run(folder / "hostile", prompts_per_stratum=60, hostile=True)
    null = make_run(folder / "null", prompts_per_stratum=60, behaviours=NOTHING)
    judged = judge_run(make_run(folder / "judged", prompts_per_stratum=60, hostile=True), EVIL)
    weighed = weigh_run(make_run(folder / "weighed", prompts_per_stratum=60))
    runs = {"hostile": hostile, "null": null, "judged": judged, "weighed": weighed}
    return {name: build_report(run) for name, run in runs.items()}
