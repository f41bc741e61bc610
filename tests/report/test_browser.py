"""The page in a real browser: silent, still, and fitting on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import SCREENS, silent_page
from tests.report.looking import is_dark

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("kind", ["hostile", "null", "judged", "weighed"])
def test_quiet_still_and_within_the_screen(browser: Any, reports: dict[str, Path], kind: str, screen: str) -> None:
    with silent_page(browser, screen, reports[kind]) as page:
        assert "owned" not in page.title()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        narrow = "[...document.querySelectorAll('th')].filter(one => one.textContent && one.offsetWidth && one.offsetWidth < 30)"
        assert page.evaluate(f"{narrow}.map(one => one.textContent)") == []
        assert is_dark(page) == ("dark" in screen)


def test_the_policy_stops_what_escaping_would_have_missed(browser: Any, reports: dict[str, Path], tmp_path: Path) -> None:
    """Were a script to slip through, the page's own policy would not let it run, nor a picture be fetched."""
    html = reports["null"].read_text(encoding="utf-8")
    holed = tmp_path / "holed.html"
    holed.write_text(
        html.replace("<main", "<script>document.title='owned'</script><img src='http://127.0.0.1:9/x.png'><main", 1), encoding="utf-8"
    )
    page = browser.new_page()
    asked: list[str] = []
    failed: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: failed.append(str(request.failure)))
    page.goto(holed.as_uri())
    assert page.title() != "owned"
    assert all("csp" in reason.lower() or "blocked" in reason.lower() for reason in failed)
    assert len(asked) - len(failed) == 1
    page.close()


def test_everything_can_be_reached_by_keyboard(browser: Any, reports: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(reports["hostile"].as_uri())
    wanted = page.evaluate("document.querySelectorAll('a[href], summary').length")
    reached: set[str] = set()
    for _ in range(wanted + 30):
        page.keyboard.press("Tab")
        here = "(() => { const e = document.activeElement; return e.tagName + '|' + [...document.querySelectorAll('*')].indexOf(e) })()"
        reached.add(page.evaluate(here))
    assert sum(name.startswith(("A|", "SUMMARY|")) for name in reached) == wanted
    page.focus("details.more > summary")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details.more').open")
    page.close()


def test_pictures_do_not_overflow_and_only_one_of_two_shows(browser: Any, reports: dict[str, Path]) -> None:
    for screen, shown in (("light", ".wide"), ("phone", ".narrow")):
        page = browser.new_page(viewport=SCREENS[screen]["viewport"])
        page.goto(reports["hostile"].as_uri())
        for kind in (".wide", ".narrow"):
            assert page.locator(f".lead {kind}").is_visible() == (kind == shown)
        boxes = page.evaluate("[...document.querySelectorAll('figure svg text')].map(t => t.getBoundingClientRect()).filter(b => b.width)")
        widest, least = max(box["right"] for box in boxes), min(box["left"] for box in boxes)
        assert widest <= SCREENS[screen]["viewport"]["width"]
        assert least >= 0
        page.close()
