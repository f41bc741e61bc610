"""What language models did, on the page: findings they judged, what stands beside them, judges, money. Only what is there, all escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auto_interventions.report import beside, build_report, judges, money, sentences, wording
from auto_interventions.report.console import findings_table
from auto_interventions.runs import load_run
from tests.report.judged import EVIL, bag_of_words, generalisation, judge_run
from tests.report.making import NOTHING, make_run
from tests.report.test_console import printed
from tests.report.test_page import Page
from tests.report.test_wording import finding, findings


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder, made = tmp_path_factory.mktemp("judged"), dict[str, Path]()

    def of(word: str) -> Path:
        if word not in made:
            made[word] = build_report(judge_run(make_run(folder / str(len(made)), prompts_per_stratum=40, hostile=bool(word)), word))
        return made[word]

    return of


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("ends with a moral", "ends with a moral"),
        ("Ends with a moral.", "ends with a moral"),
        ("explicitly states a lesson", "explicitly states a lesson"),
        ("does not name anyone", "does not name anyone"),
        ("has a happy ending", "writes texts with a happy ending"),
        ("contains a list", "writes texts with a list"),
        ("is a poem", "writes a poem"),
        ("is set in a forest", "writes texts that are set in a forest"),
        ("has not ended", "has not ended"),
        ("names the hero", "names the hero"),
        ("The text ends with a moral.", "fits “The text ends with a moral.”"),
        ("names are repeated", "fits “names are repeated”"),
        ("sentences are short", "fits “sentences are short”"),
        ("this is odd", "fits “this is odd”"),
        ("a moral at the end", "fits “a moral at the end”"),
        ("“quoted”", "fits “quoted”"),
        ("", "fits “”"),
        ("<b>bold</b>", "fits “<b>bold</b>”"),
    ],
)
def test_sentences_of_language_models_read_well(statement: str, what: str) -> None:
    assert wording.claim(finding(statement=statement, check=None)) == ("more often", what)


def test_a_size_that_is_not_known_is_not_a_width_of_200_points() -> None:
    unknown = finding(interval=[-1.0, 1.0])
    assert wording.size(unknown) == "size not known"
    assert "200" not in wording.effect(unknown, 0.05) + wording.interval([-1.0, 1.0])
    assert wording.effect(unknown, 0.05).endswith("size not known")
    alone = wording.verdict(findings(unknown))
    assert alone.headline == "What changed: the intervention differs in how often it mentions “lighthouse”; by how much is not known."
    assert "(size not known)" in wording.verdict(findings(finding(id="b"), unknown)).detail
    assert wording.size(finding()) == "+7.5 [5.9 to 9.3]"
    assert wording.size_known(finding(interval=[-1.0, 0.4]))


def test_what_was_never_judged_says_so() -> None:
    never = finding(status="not validated", pairs=0, interval=[-1.0, 1.0], difference=0.0, log_e=0.0)
    assert (wording.size(never), wording.rates(never), wording.proof(never)) == ("not judged", "–", "–")
    assert wording.effect(never, 0.05) == wording.evidence(never) == "not judged"
    assert "not judged" in printed(findings_table(findings(never)))


def test_intended_and_side_effects_are_counted_in_the_verdict() -> None:
    def one(number: int, verdict: str | None) -> dict[str, Any]:
        return finding(id=str(number), beside={} if verdict is None else {"intent": {"verdict": verdict, "reason": "r"}})

    held = [one(number, verdict) for number, verdict in enumerate(["intended"] * 3 + ["side effect"] * 2)]
    detail = wording.verdict(findings(*held)).detail
    assert detail.startswith("3 of 5 findings are what was meant; 2 are side effects. Four further differences")
    assert sentences.intents([one(1, "side effect")]) == "None of 1 finding is what was meant; 1 is a side effect."
    mixed = sentences.intents([one(1, "intended"), one(2, "unclear"), one(3, None)])
    assert mixed == "1 of 3 findings is what was meant; for 1 the intent does not say; 1 was not compared with it."
    assert sentences.intents([one(1, None), finding(beside={"intent": {"not_available": "no"}})]) == ""
    assert beside.mark(finding(beside={"intent": {"not_available": "no"}})) is None


def test_only_what_is_there_is_told(tmp_path: Path) -> None:
    page = Page(build_report(make_run(tmp_path / "run", prompts_per_stratum=20)).read_text(encoding="utf-8")).text
    for word in ("Beside it", "How the judges did", "By language model", "published runs", "Not looked at", "A language model read"):
        assert word not in page
    assert beside.remarks(finding(), 0.05) == []
    assert judges.judging({}) is None
    assert judges.labelling({}) == ""
    assert money.ledger({}) is None


def test_the_card_of_a_judged_finding(built: Callable[[str], Path]) -> None:
    page = Page(built("").read_text(encoding="utf-8"))
    for told in (
        "The intervention more often ends with an explicit moral",
        "blind to which model wrote what · proposed by a language model",
        "intended Morals were asked for.",
        "Words alone tell whose text is whose in 71% of 400 pairs, this sentence in 68%.",
        "+24 points (95% interval 11 to 36) in its direction: it says something that words do not.",
        "Same direction on 8 of 8 kinds of prompts, clear by itself on 5.",
        "Without “farm”, where it is strongest: +31 points (95% interval 20 to 42); it does not rest on one kind.",
        "gemini:other: 3% → 40%, +37 points (95% interval 24 to 50), on 40 pairs",
        "anthropic:third: not available: no key",
        "openai:cheap and gemini:other: the same verdict on 90% of 40 pairs; κ 0.81 (95% interval 0.66 to 0.95): almost perfect agreement",
        "by 0.12 nats a token (95% interval 0.05 to 0.19); so at 91% of prompts, p = 0.002.",
        "in 80% of 30 trials (95% interval 61% to 93%; 50% is guessing); evidence 340 to 1.",
        "The judge: It says “the moral”.",
        "not available: recorded texts",
        "Size not known:",
        "Words speak most clearly with “moral”, “kind” for the intervention and “dragon”, “hill” for the base.",
        "Not looked at: further judges ( openai:other: no key )",
        "By rule: the language model gave no usable ones",
    ):
        assert told in page.text, told
    assert page.text.count("The judge: It says") == 5


def test_how_the_judges_did(built: Callable[[str], Path]) -> None:
    text = Page(built("").read_text(encoding="utf-8")).text
    for told in (
        "560 first · 425 second · 203 both · 870 neither",
        "57% 54% to 60%",
        "openai:cheap leans to the text shown first",
        "both gave the same verdict on 82% of 891 pairs; κ 0.69 (95% interval 0.64 to 0.74): substantial agreement",
        "82% 67% to 92%",
        "openai:cheap gave no usable verdict on three pairs (3 malformed); they count neither way.",
        "openai:cheap answered batches badly",
        "40 pairs of eight sentences whose truth the machine knows",
        "proposed 29 sentences that were tested; 11 more said the same as another; 2 held several claims and were split; "
        "3 could not be used (3 compares); 4 were over the limit; one call gave nothing usable.",
    ):
        assert told in text, told


def test_published_tests_and_money(built: Callable[[str], Path]) -> None:
    text = Page(built("").read_text(encoding="utf-8")).text
    assert "They do not hold under active sampling:" in text
    assert "p = 1.0·10⁻⁹ ✓" in text
    assert "not judged" in text
    assert "openai:cheap 484 12 4 2 883,930 23,121 $0.0976" in text
    assert "ends with an explicit moral 63 + 2 reused 56 $0.18" in text
    assert "Earlier attempts at this run cost $0.40 more" in text


def test_what_language_models_write_is_text(built: Callable[[str], Path]) -> None:
    html = built(EVIL).read_text(encoding="utf-8")
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"img", "iframe", "form", "link"}
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on") or key in ("src", "style")]
    assert all(attributes.get("href", "#").startswith("#") for _, attributes in page.tags)
    assert not set(html) & {"\u202e", "\u200b", "\ud800"}
    assert "{{ 7*7 }}" in page.text
    assert html.count("&lt;script&gt;alert(1)") > 30
    assert not re.search(r"<script>(?!\"use strict)", html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_very_long_words_of_models_are_cut(tmp_path: Path) -> None:
    folder = judge_run(make_run(tmp_path / "run", prompts_per_stratum=20, embedded=False), "x" * 100_000)
    assert build_report(folder).stat().st_size < 600_000


def test_nothing_found_and_judges_that_failed(tmp_path: Path) -> None:
    folder = judge_run(make_run(tmp_path / "run", prompts_per_stratum=20, behaviours=NOTHING, embedded=False))
    run = json.loads((folder / "run.json").read_text())
    empty = {"judge": "openai:cheap", "mode": "graded", "asked": 9, "scored": 0, "unclear": 4, "failed": {"malformed": 5}}
    empty |= {"asked_again": 0, "batches_given_up": False, "position_bias": None, "statements": 1}
    run["judging"] = {"judges": [empty], "known_items": []}
    (folder / "run.json").write_text(json.dumps(run))
    text = Page(build_report(folder).read_text(encoding="utf-8")).text
    assert "text by text" in text
    assert "openai:cheap gave no usable verdict on five texts" in text
    assert "Not looked at: further judges" in text
    assert "κ" not in text.split("How the judges did")[1].split("What is guaranteed")[0]


def test_edges_of_what_stands_beside() -> None:
    words = bag_of_words("", adds=False)
    quiet = {**words, "hard_pairs": 0, "payoff_on_hard": None, "interval": None}
    strata = generalisation("")
    said = beside.remarks(
        finding(beside={"bag_of_words": quiet, "generalisation": {**strata, "strata": 1, "without_strongest": None}}), 0.05
    )
    assert said[0].lines[1] == "No pair is hard for words, so there is nothing to add to them."
    assert said[1].lines == ["Judged on one kind of prompt only."]
    odd = {**strata, "clear": 0, "opposite": 2, "without_strongest": {**strata["without_strongest"], "stands": False}}
    lines = beside.remarks(finding(beside={"bag_of_words": words, "generalisation": odd}), 0.05)[1].lines
    assert "clear by itself on none, clearly the other way on 2." in lines[0]
    assert lines[1].endswith("without that kind it cannot be seen.")
    silent = {"trials": 0, "accuracy": None, "interval": None, "e_value": 1.0, "log_e": 0.0, "unanswered": 30, "prompts": []}
    assert beside.remarks(finding(beside={"identification": silent}), 0.05)[0].lines[0] == "No trial had an answer."
    assert beside.agreement({"pairs": 0, "agreement": None, "kappa": None, "interval": None}) == "no pair that both judged"
    assert "cannot be told" in beside.agreement({"pairs": 9, "agreement": 1.0, "kappa": None, "interval": None})


def test_the_same_files_give_the_same_page(built: Callable[[str], Path]) -> None:
    path = built("")
    assert build_report(path.parent).read_bytes() == path.read_bytes()
    assert load_run(path.parent).run["judging"]
