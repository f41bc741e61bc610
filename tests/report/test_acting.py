"""What a reader does on the page, in a real browser: search, filter, go through all pairs, read the map, turn the light off, print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import SCREENS
from tests.report.looking import is_dark, serious
from tests.report.making import HOSTILE

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Any, reports: dict[str, Path]) -> Iterator[Any]:
    """The hostile report, opened; whatever it says on the console or asks of the network fails the test."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: said.append(request.url))
    opened.goto(reports["hostile"].as_uri())
    yield opened
    assert said == [reports["hostile"].as_uri()]
    assert "owned" not in opened.title()
    opened.close()


def shown(page: Any) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('article.card')].filter(card => !card.hidden).map(card => card.id)")


def test_search_and_filters_sift_findings_and_what_did_not_hold(page: Any) -> None:
    every = shown(page)
    assert len(every) == 4
    page.fill("#query", "DRAGON")
    assert len(shown(page)) == 1
    assert page.inner_text("#found").startswith("1 of 4 findings, 0 of 4 that did not hold")
    page.fill("#query", "help")
    assert shown(page) == []
    assert page.locator("tr[data-more]").first.evaluate("row => row.closest('details').open")
    page.click("#clear")
    assert shown(page) == every
    assert page.evaluate("document.activeElement.id") == "query"
    page.select_option("select[data-filter=more]", "base")
    fewer = shown(page)
    assert len(fewer) == 1
    page.select_option("select[data-filter=more]", "")
    for option in page.locator("select[data-filter=strata] option").all()[1:]:
        page.select_option("select[data-filter=strata]", option.get_attribute("value"))
        assert shown(page)
    page.select_option("select[data-filter=strata]", label="sea")
    assert all("sea" in page.inner_text(f"[id='{card}']") for card in shown(page))


def test_a_link_to_a_hidden_finding_shows_it(page: Any) -> None:
    last = shown(page)[-1]
    page.fill("#query", "no such words")
    assert shown(page) == []
    page.evaluate(f"location.hash = '#{last}'")
    page.wait_for_function("!document.getElementById('clear') || document.getElementById('clear').hidden")
    assert last in shown(page)


def test_all_pairs_are_reached_by_keyboard_alone(page: Any) -> None:
    cards = shown(page)
    for card in cards:
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.id") == card
        page.keyboard.press("a")
        assert page.locator(f"[id='{card}'] .viewer").count() == 1
    page.keyboard.press("k")
    first = page.evaluate("document.activeElement.id")
    assert first == cards[-2]
    viewer = page.locator(f"[id='{first}'] .viewer")
    viewer.locator("select").select_option("all")
    page.locator(f"[id='{first}']").focus()
    status = viewer.locator("[role=status]")
    of = int(status.inner_text().split(" of ")[1])
    assert of == 240
    prompts: set[str] = set()
    for _ in range(of):
        prompts |= set(viewer.locator(".prompt .text").all_inner_texts())
        if viewer.locator("button").nth(1).is_disabled():
            break
        page.keyboard.press("n")
    assert len(prompts) == of
    assert status.inner_text().startswith("236–240")
    page.keyboard.press("p")
    assert status.inner_text().startswith("231–235")
    page.keyboard.press("a")
    assert viewer.count() == 0


def test_the_kinds_of_pairs_add_up_and_what_matters_is_marked(page: Any) -> None:
    page.keyboard.press("j")
    page.keyboard.press("a")
    options = page.locator(".viewer select option").all_inner_texts()
    counts = [int(option.rpartition("(")[2].rstrip(")")) for option in options]
    assert sum(counts[:-1]) == counts[-1] == 240
    assert options[0].startswith("only the intervention shows it")
    assert {mark.lower() for mark in page.locator(".viewer mark").all_inner_texts()} == {"moral"}
    assert set(page.locator(".viewer .side.base .shows").all_inner_texts()) == {"does not"}


def test_hostile_texts_are_texts_among_all_pairs(page: Any) -> None:
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.locator(".viewer select").select_option("all")
    page.locator(".viewer button").nth(1).focus()
    seen = ""
    while True:
        seen += "\n".join(page.locator(".viewer .text").all_text_contents())
        if page.locator(".viewer button").nth(1).is_disabled():
            break
        page.keyboard.press("Enter")
    assert HOSTILE[0].partition(" and the")[0] in seen
    assert "</script><!--<script>alert(1)//]]></template></dialog></textarea>" in seen
    assert "U+202E" in seen
    assert "characters left out" in seen
    assert "(an empty text)" in seen
    assert not set(seen) & {"\u202e", "\u200b", "\u2028", "\x1b"}
    assert page.locator(".viewer script, .viewer img, .viewer a").count() == 0


def test_the_map_is_read_by_pointer_and_by_arrows(page: Any) -> None:
    page.locator(".map-area").scroll_into_view_if_needed()
    dot = page.locator(".map-area g.mark-symbol path").nth(7)
    box = dot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    readout = page.locator("#readout")
    first = readout.inner_text()
    assert first.split()[0] in ("base", "intervention")
    assert "One day" in first
    assert page.locator(".ring").count() == 1
    page.locator(".map-area").focus()
    texts = {first}
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        texts.add(readout.inner_text())
    assert len(texts) >= 4


def test_tapping_the_map_reads_it(browser: Any, reports: dict[str, Path]) -> None:
    context = browser.new_context(**SCREENS["phone"], has_touch=True)
    page = context.new_page()
    page.goto(reports["null"].as_uri())
    page.locator(".map-area").scroll_into_view_if_needed()
    page.locator(".map-area").tap()
    assert "One day" in page.inner_text("#readout")
    context.close()


def test_the_theme_follows_the_system_until_one_is_chosen(browser: Any, reports: dict[str, Path]) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(reports["null"].as_uri())

    assert is_dark(page)
    page.emulate_media(color_scheme="light")
    assert not is_dark(page)
    assert page.inner_text("#theme") == "Dark theme"
    page.click("#theme")
    assert is_dark(page)
    assert page.inner_text("#theme") == "Light theme"
    page.reload()
    assert is_dark(page)
    page.click("#theme")
    assert not is_dark(page)
    page.emulate_media(color_scheme="dark")
    assert is_dark(page)
    context.close()


def test_single_keys_can_be_turned_off_and_never_disturb_typing(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("jk?t")
    assert page.input_value("#query") == "jk?t"
    page.fill("#query", "")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") != "ARTICLE"
    page.click("#help-button")
    page.check("#single-keys")


def test_without_script_the_page_reads_whole(browser: Any, reports: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(reports["hostile"].as_uri())
    for hidden in (".find", ".tools", ".all-pairs", "#readout", "dialog"):
        assert not page.locator(hidden).first.is_visible()
    assert page.locator("article.card").count() == 4
    assert page.locator(".pair").count() >= 20
    assert page.locator(".map-area svg").is_visible()
    context.close()


def test_print_opens_everything_and_drops_the_controls(page: Any) -> None:
    page.fill("#query", "dragon")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for control in (".tools", ".find", ".contents", ".all-pairs > button"):
        assert not page.locator(control).first.is_visible()
    assert all(card.is_visible() for card in page.locator("article.card").all())
    assert page.evaluate("[...document.querySelectorAll('details')].every(one => one.open)")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.evaluate("[...document.querySelectorAll('details')].some(one => one.open)")


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("kind", ["hostile", "judged", "weighed"])
def test_axe_finds_nothing_serious(browser: Any, reports: dict[str, Path], kind: str, screen: str) -> None:
    context = browser.new_context(**SCREENS[screen])
    page = context.new_page()
    page.goto(reports[kind].as_uri())
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert serious(page) == []
    context.close()
