"""Prefect's own pages in a real browser, both generations of them: what they show of an audit, and what they do not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from auto_interventions.flows import showing
from auto_interventions.flows.boards import Board
from auto_interventions.report import build_report
from auto_interventions.runs import load_run
from tests.report.conftest import browser
from tests.report.judged import EVIL, judge_run
from tests.report.making import make_run

from .faulty import Command
from .test_server import answered, wait_for

pytestmark = pytest.mark.browser
__all__ = ["browser"]
NAME = 'Evil <img src="http://evil.example/name.png"> ![a](http://evil.example/b.png)'
GENERATIONS = {"newer": "/v2", "older": ""}
# Prefect's newer page asks its makers' analytics how to record sessions, also where analytics are off.
PREFECTS_OWN = ("amplitude.com", "prefect.io", "prefect.cloud")
RAN = "document.documentElement.dataset.ran=1"
SCRIPT = f"<script>{RAN}</script><img src=http://evil.example/x.png onerror={RAN}>"


@dataclass
class Watched:
    """A finished audit on a server, and how to look at it."""

    url: str
    folder: Path
    run: dict[str, Any]
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def page(self, generation: str, path: str) -> str:
        return f"{self.url.removesuffix('/api')}{GENERATIONS[generation]}/{path}"


@pytest.fixture(scope="module")
def watched(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """An audit of hostile recorded texts, run by the command."""
    folder = tmp_path_factory.mktemp("ui")
    rows = [
        {"model": role, "prompt": f"Prompt {number} {SCRIPT}", "stratum": ["a", SCRIPT][number % 2], "text": text}
        for number in range(160)
        for role, text in (
            ("base", f"Thing {number * 7 % 13} is here. {SCRIPT if number % 9 == 0 else ''}"),
            ("intervention", f"Thing {number * 5 % 13} is here.{' Surely ' + SCRIPT if number % 4 else ''}"),
        )
    ]
    folder.joinpath("texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = Command(folder, prefect_server, {
        "name": NAME,
        "base": {"texts": "texts.jsonl", "name": "before"},
        "intervention": {"texts": "texts.jsonl", "name": f"after {SCRIPT}"},
        "prompts": {"source": "recorded", "strata": "given"},
        "sampling": {"max_texts": 320, "initial": 40, "per_round": 40, "rounds": 3},
        "clustering": {"clusters": 4},
        "store": str(folder / "store"),
    })  # fmt: skip
    assert command.audit()[0] == 0
    runs = answered("POST", f"{prefect_server}/flow_runs/filter", json={"flow_runs": {"name": {"like_": "Evil"}}}).json()
    assert len(runs) == 1
    return Watched(prefect_server, command.out, runs[0], artifacts_of(prefect_server, runs[0]["id"]))


def artifacts_of(url: str, run: str) -> dict[str, dict[str, Any]]:
    """The artifacts of a flow run by the last word of their keys."""
    found = answered("POST", f"{url}/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [run]}}}).json()
    return {artifact["key"].rsplit("-", 1)[1]: artifact for artifact in found if artifact["key"]}


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that remembers what it asked for, in `asked`, and whether a script of the texts ran."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.asked = asked
    yield opened
    assert opened.evaluate("document.documentElement.dataset.ran") is None
    local = ("http://127.0.0.1:", "data:", "blob:")
    foreign = [url for url in asked if not url.startswith(local) and not url.split("/")[2].endswith(PREFECTS_OWN)]
    assert foreign == []
    opened.close()


def see(page: Any, url: str, words: str) -> str:
    """Opens `url`, waits until `words` are to be seen, gives all that is."""
    page.goto(url)
    page.get_by_text(words).first.wait_for(timeout=60_000)
    page.wait_for_load_state("networkidle")
    return page.inner_text("body")


def test_the_log_says_what_a_person_needs_and_no_text(watched: Watched) -> None:
    asked = {"logs": {"flow_run_id": {"any_": [watched.run["id"]]}}, "limit": 200, "sort": "TIMESTAMP_ASC"}
    said = [line["message"] for line in answered("POST", f"{watched.url}/logs/filter", json=asked).json()]
    rounds = [line for line in said if line.startswith("explore round 1: ")]
    assert rounds[0] == "explore round 1: texts of the base: 20"
    assert any("evidence 10^" in line and "strata differ" in line for line in rounds)
    found = load_run(watched.folder).findings
    held = [finding for finding in found["findings"] if finding["status"] == "validated"]
    assert len([line for line in said if line.startswith("finding: ")]) == min(20, len(held)) > 0
    assert said[-1] == "Finished in state Completed()"
    assert any(line.startswith("done: ") and str(watched.folder) in line for line in said)
    assert not [line for line in said if "Thing" in line or "Prompt" in line or "Traceback" in line]
    assert len(said) < 20 * len(load_run(watched.folder).run["rounds"]) + 60


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_page_of_the_run(page: Any, watched: Watched, generation: str) -> None:
    shown = see(page, watched.page(generation, f"runs/flow-run/{watched.run['id']}"), "explore round 1: texts of the base")
    assert NAME in shown
    assert "before → after <script>" in shown
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text(watched.artifacts["rounds"]["key"]).first.wait_for()
    cards = page.inner_text("body")
    for artifact in watched.artifacts.values():
        assert artifact["key"] in cards


@pytest.mark.parametrize("generation", GENERATIONS)
def test_progress_rounds_and_findings(page: Any, watched: Watched, generation: str) -> None:
    assert watched.artifacts["progress"]["data"] == 100
    shown = see(page, watched.page(generation, f"artifacts/artifact/{watched.artifacts['progress']['id']}"), "sentences hold")
    assert "done: " in shown
    shown = see(page, watched.page(generation, f"artifacts/artifact/{watched.artifacts['rounds']['id']}"), "explore 1")
    assert "10^" in shown
    assert "confirm 1" in shown
    shown = see(page, watched.page(generation, f"artifacts/artifact/{watched.artifacts['findings']['id']}"), "not validated")
    assert "→" in shown


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("which", ["summary", "evidence", "effects"])
def test_pictures_show(page: Any, watched: Watched, generation: str, which: str) -> None:
    page.goto(watched.page(generation, f"artifacts/artifact/{watched.artifacts[which]['id']}"))
    wanted = 2 if which == "summary" else 1
    page.wait_for_function(  # the page is drawn more than once while it loads
        """wanted => {
            const pictures = [...document.querySelectorAll("img")];
            const large = one => one.naturalWidth > 400 && one.clientWidth > 400 && one.clientHeight > 60;
            return pictures.length === wanted && pictures.every(one => one.src.startsWith("data:image/svg") && large(one));
        }""",
        arg=wanted,
        timeout=60_000,
    )


@pytest.mark.parametrize("generation", GENERATIONS)
def test_sentences_of_hostile_models_stay_words(page: Any, watched: Watched, generation: str, tmp_path: Path) -> None:
    """Sentences as a bewitched labeller would write them, straight to the server's pages."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    evil = judge_run(make_run(tmp_path / "run", prompts_per_stratum=60, hostile=True), EVIL)
    findings = load_run(evil).findings
    for finding in findings["findings"]:
        finding["statement"] = f"![p](http://evil.example/p.png) http://evil.example/ {SCRIPT} {finding['statement']}"
        finding.pop("check", None)
    build_report(evil)
    with temporary_settings({PREFECT_API_URL: watched.url}):
        board = Board(UUID(watched.run["id"]), [], tick=0.1)
        board.show("summary", lambda: showing.summary("hostile", findings, evil, (showing.effects_figure("hostile", findings), None)))
        board.show("findings", lambda: showing.findings_table(f"hostile {generation}", findings))
        board.close()
    for key, words in (("hostile-summary", "[p](http:"), (f"hostile-{generation}-findings", "(p)(http:")):
        asked = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 1}
        artifact = answered("POST", f"{watched.url}/artifacts/filter", json=asked).json()[0]
        page.goto(watched.page(generation, f"artifacts/artifact/{artifact['id']}"))
        wait_for(lambda words=words: words in page.inner_text("body").replace("\u2060", ""), 60)
        page.wait_for_load_state("networkidle")
        links = page.evaluate("[...document.querySelectorAll('a')].map(one => one.href)")
        assert not [link for link in links if "evil" in link]
