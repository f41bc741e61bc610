"""report.html: complete, self-contained, safe, the same every time."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from auto_interventions.errors import RunDirectoryError
from auto_interventions.report import build_report, wording
from auto_interventions.report.certainty import exact, grasped
from auto_interventions.runs import load_run
from tests.report.making import NOTHING, make_run

CSS = Path(__file__).resolve().parents[2] / "auto_interventions" / "report" / "templates" / "report.css"
KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "hostile": {"hostile": True},
    "null": {"behaviours": NOTHING},
    "stopped": {"status": "stopped", "concluded": False},
    "bare": {"embedded": False},
    "unexplained": {"validate": False},
}


class Page(HTMLParser):
    """What a browser would see: elements, attributes, text outside styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.standing: list[str] = []  # tags without those that a script copies
        self.words: list[str] = []
        self.marks: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self._open.append(tag)
        if "template" not in self._open:
            self.standing.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script", "template"} & set(self._open):
            self.words.append(data)
        if self._open and self._open[-1] == "mark":
            self.marks.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The report of a fixture run by its kind, built once."""
    folder, made = tmp_path_factory.mktemp("runs"), dict[str, Path]()

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = build_report(make_run(folder / kind, prompts_per_stratum=100, **KINDS[kind]))
        return made[kind]

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_it_can_run_or_call(built: Callable[[str], Path], kind: str) -> None:
    html = built(kind).read_text(encoding="utf-8")
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"img", "iframe", "link", "object", "embed", "form", "base", "foreignobject"}
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "srcset", "style", "action")], tag
        for key in ("href", "xlink:href"):
            assert attributes.get(key, "#").startswith("#")
    kinds = [attributes.get("type", "") for tag, attributes in page.tags if tag == "script"]
    assert kinds.count("") == 1
    assert set(kinds) <= {"", "application/json"}
    policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    for element in ("style", "script"):
        own = re.search(f"<{element}>(.*?)</{element}>", html, re.DOTALL)
        assert own
        digest = base64.b64encode(hashlib.sha256(own[1].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)


@pytest.mark.parametrize("kind", KINDS)
def test_structure(built: Callable[[str], Path], kind: str) -> None:
    page = Page(built(kind).read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert links <= set(ids)
    for _, attributes in page.tags:
        for key in ("aria-labelledby",):
            assert set(attributes.get(key, "").split()) <= set(ids)
    levels = [int(tag[1]) for tag in page.standing if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(attributes.get("role") == "img" or attributes.get("aria-hidden") for tag, attributes in page.tags if tag == "svg")
    assert built(kind).stat().st_size < 3e6


def test_the_verdict_and_every_finding_are_there(built: Callable[[str], Path]) -> None:
    path = built("full")
    findings = load_run(path.parent).findings
    page = Page(path.read_text(encoding="utf-8"))
    verdict = wording.verdict(findings)
    assert verdict.headline in page.text
    assert verdict.detail in page.text
    for finding in wording.validated(findings):
        assert wording.claim(finding)[1] in page.text
        assert f"{wording.points(finding['difference'])} points , 95% interval {wording.interval(finding['interval'])}" in page.text
        assert f"{grasped(finding['log_e'])} against chance" in page.text
        assert exact(finding["log_e"]) in page.text
    assert "Four sentences without enough evidence" in page.text
    assert "says “the moral”" in page.text


def test_pairs_are_of_one_prompt_and_what_matters_is_marked(built: Callable[[str], Path]) -> None:
    html = built("full").read_text(encoding="utf-8")
    page = Page(html)
    assert {mark.lower() for mark in page.marks if mark.strip()} == {"moral", "dragon", "lighthouse", "lighthouses"}
    first = html.index('class="side base"')
    assert html.index('class="pair"') < first < html.index('class="side intervention"')
    assert html.count('class="pair"') == 4 * 5 + 1  # and the blank one that the script copies
    assert 'class="nl"><span aria-hidden="true">⏎</span>\n</mark>' in html


def test_hostile_texts_are_texts(built: Callable[[str], Path]) -> None:
    html = built("hostile").read_text(encoding="utf-8")
    page = Page(html)
    assert "<script>document.title='owned'</script>" in page.text
    assert "{{ 7*7 }} {% raw %}" in page.text
    assert "U+202E" in page.text
    assert "characters left out" in page.text
    assert "(an empty text)" in page.text or "&lt;script" in html
    assert not set(html) & {"\u202e", "\u2066", "\u200b", "\ufeff", "\x00", "\x1b", "\x07"}


def test_hostile_names_and_statements(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", prompts_per_stratum=20, embedded=False)
    run, findings = (json.loads((folder / name).read_text()) for name in ("run.json", "findings.json"))
    evil = "</title><script>alert(1)</script>\u202e\ud800{{ x }}"
    run |= {"name": evil, "stopped_because": evil}
    findings |= {"base": evil, "guarantee": evil, "themes": [{"title": evil, "findings": [findings["findings"][0]["id"]]}]}
    findings["findings"][0] |= {"statement": evil, "also": [evil], "source": evil, "judges": [evil], "check": {"kind": "unheard of"}}
    findings["findings"][0]["strata"][0]["stratum"] = evil
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "findings.json").write_text(json.dumps(findings))
    html = build_report(folder).read_text(encoding="utf-8")
    assert [dict(attributes).get("type", "ours") for tag, attributes in Page(html).tags if tag == "script"] == ["application/json", "ours"]
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "{{ x }}" in html


def test_the_null_says_so(built: Callable[[str], Path]) -> None:
    page = Page(built("null").read_text(encoding="utf-8"))
    assert "had it changed by 4.2 points" in page.text
    assert "Eight sentences without enough evidence" in page.text
    assert not [attributes for tag, attributes in page.tags if tag == "article"]


def test_a_run_stopped_early_and_one_without_embeddings(built: Callable[[str], Path]) -> None:
    stopped = Page(built("stopped").read_text(encoding="utf-8"))
    assert "This audit has not concluded yet." in stopped.text
    assert "the budget of 2 minutes is spent" in stopped.text
    assert "there is no map of them" in Page(built("bare").read_text(encoding="utf-8")).text


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", prompts_per_stratum=10, status="running", concluded=False)
    for path in folder.iterdir():
        if path.name != "run.json":
            path.unlink()
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({"schema": run["schema"], "name": "x"}))
    assert "not concluded" in build_report(folder).read_text(encoding="utf-8")


def test_the_same_files_give_the_same_page(built: Callable[[str], Path]) -> None:
    path = built("full")
    before = path.read_bytes()
    assert build_report(path.parent).read_bytes() == before
    assert not [other for other in path.parent.iterdir() if other.name.startswith(".")]


def test_four_thousand_texts_in_time(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", prompts_per_stratum=250)
    started = time.process_time()
    path = build_report(folder)
    assert time.process_time() - started < 4
    html = path.read_text(encoding="utf-8")
    assert "1,500 of 2,000 explored texts" in html
    assert len(html) < 1_500_000


@pytest.mark.parametrize("name", ["findings.json", "texts.parquet", "ledger.json"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    folder = make_run(tmp_path / "run", prompts_per_stratum=10)
    (folder / name).write_bytes(b"\x00{")
    with pytest.raises(RunDirectoryError, match=name):
        build_report(folder)
    assert not (folder / "report.html").exists()


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"run\.json"):
        build_report(tmp_path)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_contrast_enough(theme: int) -> None:
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", CSS.read_text(encoding="utf-8"))
    colours = {name: both[theme] for name, *both in found}
    pairs = [(ink, ground) for ink in ("ink", "quiet", "base", "intervention") for ground in ("paper", "raised", "faint")]
    for ink, ground in [*pairs, ("mark-ink", "mark"), ("ink", "notice")]:
        lighter, darker = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, ground)


def test_an_exhaustive_audit_says_how_it_tested(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", prompts_per_stratum=30)
    findings = json.loads((run / "findings.json").read_text())
    for finding in findings["findings"]:
        finding["p_value"] = 3e-7 if finding["status"] == "validated" else 0.5
    (run / "findings.json").write_text(json.dumps(findings | {"guarantee": "Promised."}))
    page = build_report(run).read_text(encoding="utf-8")
    assert "Fixed-n test:</strong> p = 3.0·10⁻⁷" in page
    assert "this audit was exhaustive" in page
    assert page.count("Promised.") == 1
    assert "the chance that this page calls them different" not in page
    assert "stays valid however" not in page
    assert "against chance" not in page
