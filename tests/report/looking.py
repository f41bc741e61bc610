"""What a browser must see: of any page its ground and what axe-core says; all of it on the pages of a comparison, a calibration, a diff
and a matrix."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

from tests.report.conftest import SCREENS

_SHOWN = "(one => one.getBoundingClientRect().width > 0)"
_OUTSIDE = f"""[...document.querySelectorAll('figure svg text')].filter{_SHOWN}.filter(one => {{
  const box = one.getBoundingClientRect();
  return box.left < 0 || box.right > window.innerWidth;
}}).map(one => one.textContent)"""
# Labels that a grid line runs through: a thin upright mark that reaches three pixels into their box.
_CROSSED = """(() => {
  const boxes = chosen => [...document.querySelectorAll(chosen)].map(one => [one.textContent, one.getBoundingClientRect()]);
  const lines = boxes('figure.lead .mark-rect path, figure.lead .mark-rule line').map(one => one[1])
    .filter(box => box.width < 4 && box.height > 8);
  const crossed = label => lines.some(line => line.left < label.right && line.right > label.left
    && line.top < label.bottom - 3 && line.bottom > label.top + 3);
  return boxes('figure.lead .mark-text.role-mark text').filter(one => crossed(one[1])).map(one => one[0]);
})()"""
_WIDER = """[...document.querySelectorAll('.scroll:not([aria-label^="Every run"])')].filter(one => one.scrollWidth > one.clientWidth + 1)
  .map(one => one.getAttribute('aria-label'))"""


def is_dark(page: Any) -> bool:
    """Whether the page's ground is dark."""
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in ground[4:-1].split(",")) < 200


def serious(page: Any) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds serious or critical: rule, impact, some of the places."""
    found = Axe().run(page).response["violations"]
    told = [(one["id"], one["impact"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
    return [one for one in told if one[1] in ("serious", "critical")]


def check_page(page: Any, screen: str) -> None:
    """With all its details open: within the screen, in its scheme, labels free of lines, nothing serious for axe-core; nothing ran."""
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.title() != "owned"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert not (found := page.evaluate(_OUTSIDE)), found
    assert not (found := page.evaluate(_CROSSED)), found
    if SCREENS[screen]["viewport"]["width"] > 1000:  # a long name does not push the other columns out of sight
        assert not (found := page.evaluate(_WIDER)), found
    assert is_dark(page) == ("dark" in screen)
    assert serious(page) == []
