"""Takes the pictures of docs/reading-a-report.md from a run's report: `.venv/bin/python scripts/picture_report.py runs/demo`.

The report is built anew, so that the pictures are of this version; Chromium must be there (Debian: apt-get install chromium).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import ViewportSize, sync_playwright

from auto_interventions.report import build_report

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
WIDE = ViewportSize(width=1100, height=900)
PHONE = ViewportSize(width=390, height=780)
MARGIN = 24


def take(page: Any, name: str, selector: str | None = None, height: int | None = None) -> None:
    """A picture of what is on the screen, or of one element with a margin, at most `height` pixels high."""
    target = str(IMAGES / f"{name}.png")
    if selector is None:
        page.screenshot(path=target)
        return
    found = page.locator(selector).first
    found.scroll_into_view_if_needed()
    box = found.bounding_box()
    if box is None:
        raise SystemExit(f"{selector} is not on the page: the report has changed, and so must this script")
    around = {
        "x": max(0, box["x"] - MARGIN),
        "y": box["y"] - MARGIN / 3 + page.evaluate("window.scrollY"),
        "width": box["width"] + 2 * MARGIN,
    }
    clip = {**around, "height": min(box["height"] + 2 * MARGIN, height or float("inf"))}
    page.screenshot(path=target, clip=clip, full_page=True)


def main() -> int:
    """Builds the report and takes all pictures."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    report = build_report(Path(sys.argv[1]).resolve())
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        wide = browser.new_page(viewport=WIDE, color_scheme="light")
        wide.goto(report.as_uri())
        take(wide, "report")
        take(wide, "report-finding", "article.card", height=900)
        take(wide, "report-where", "section[aria-labelledby=where]", height=900)
        take(wide, "report-evidence", "section[aria-labelledby=evidence]", height=700)
        dark = browser.new_page(viewport=PHONE, color_scheme="dark")
        dark.goto(report.as_uri())
        take(dark, "report-phone")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
