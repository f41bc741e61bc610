"""The site: Sphinx builds it with warnings as errors, so every internal link and anchor leads somewhere; it asks no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tests.documentation.reading import PAGES, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it."""
    target = tmp_path_factory.mktemp("site")
    command = re.search(r"^site:.*?-m sphinx (.*?)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert command is not None
    words = [str(target) if word == "dist/site" else word for word in command.group(1).split()]
    assert str(target) in words
    assert "--fail-on-warning" in words
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, "-d", str(target / ".doctrees")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_there_and_in_the_navigation(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / name).is_file()
        if name != "index.html":
            assert f'href="{name}"' in front, f"{name} is not in the contents of docs/index.md"


def test_pages_ask_the_network_for_nothing(site: Path) -> None:
    """Links lead out; scripts, styles, fonts and pictures do not."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)\"", text)
        loaded += [href for rel, href in re.findall(r"<link[^>]*rel=\"([^\"]+)\"[^>]*href=\"([^\"]+)\"", text) if rel != "canonical"]
        assert not [address for address in loaded if re.match(r"(?:https?:)?//", address)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_front_page_is_the_readme(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    assert "What else changed?" in front
    assert 'src="_images/report.png"' in front
    assert "<!-- pages -->" not in front


def test_it_can_be_searched(site: Path) -> None:
    assert "predicates" in (site / "searchindex.js").read_text(encoding="utf-8")


@pytest.mark.browser
def test_a_browser_finds_nothing_amiss(site: Path) -> None:
    """No error, nothing wider than a phone, and axe-core finds nothing serious, in light and dark."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium, which is not on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        screens: list[tuple[Literal["light", "dark"], int]] = [("light", 1200), ("dark", 1200), ("light", 360)]
        for scheme, width in screens:
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
            amiss: list[str] = []
            page.on("pageerror", lambda error, found=amiss: found.append(str(error)))
            page.on(
                "request", lambda request, found=amiss: None if request.url.startswith(("file:", "data:")) else found.append(request.url)
            )
            for name in ("index", "guarantee", "runners", "audit-file", "troubleshooting"):
                page.goto((site / f"{name}.html").as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
                if name not in ("guarantee", "runners"):
                    continue  # axe takes its time over long tables, and all pages are made alike
                found = Axe().run(page).response["violations"]
                assert not [one["id"] for one in found if one["impact"] in ("serious", "critical")], f"{name}, {scheme}, {width}"
            assert not amiss
        browser.close()
