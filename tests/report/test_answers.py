"""The first minute and what finds a finding: how sure, how to quote it, filters, the table of findings by kind of prompt, the method."""

from __future__ import annotations

import doctest
import math
import re
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from auto_interventions.report import build_report, certainty, evidence
from auto_interventions.report.certainty import exact, grasped, quotation, sure
from auto_interventions.report.choices import choices, proposer
from auto_interventions.report.grid import grid
from auto_interventions.report.method import method
from auto_interventions.report.sections import kinds, strata
from auto_interventions.runs import load_run
from tests.report.judged import judge_run
from tests.report.making import NOTHING, make_run
from tests.report.test_wording import finding, findings, stratum

LABELS = {"base": "story-teller", "intervention": "story-teller + moral"}


@pytest.mark.parametrize("module", [certainty, evidence])
def test_doctests(module: ModuleType) -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed


def test_how_sure_in_words() -> None:
    told = sure(findings(finding(), finding(id="b")))
    assert told.startswith("Were the two models the same, at most one audit in 20 would say that they differ; here the evidence is")
    assert told.endswith("Of these two findings at most 5% are expected to be false.")
    assert sure({}) == sure({"overall": {"verdict": "no difference found"}, "alpha": 0.05}) == ""
    fixed = sure(findings(finding(p_value=1e-5)))
    assert "evidence" not in fixed
    assert fixed.startswith("Were the two models the same, at most one audit in 20 would confirm a sentence.")


@pytest.mark.parametrize(("log_e", "words", "number"), [(-2.0, "none", ""), (0.0, "none", ""), (math.log(23.4), "23 to 1", "")])
def test_odds_that_can_be_grasped(log_e: float, words: str, number: str) -> None:
    assert (grasped(log_e), exact(log_e)) == (words, number)


def test_odds_beyond_grasp_keep_their_number_aside() -> None:
    assert grasped(1e5) == "beyond a billion to 1"
    assert exact(10 * math.log(10)) == "e-value 1.0·10¹⁰"
    assert grasped(math.inf) == "beyond a billion to 1"


def test_a_finding_can_be_quoted() -> None:
    told = quotation(finding(log_e=math.log(4e15), pairs=400), LABELS, 0.05, "auto-interventions 0.1.0, 2026-11-21")
    assert told == (
        "The intervention more often mentions “lighthouse”: 0.4% → 7.9% of texts; +7.5 points, 95% interval 5.9 to 9.3 (e-value 4.0·10¹⁵; "
        "400 pairs of answers; base: story-teller; intervention: story-teller + moral; auto-interventions 0.1.0, 2026-11-21)."
    )
    assert "p = 1.0·10⁻⁵" in quotation(finding(p_value=1e-5), LABELS, 0.05, "")
    assert "(e-value 47,100; 1 pair of answers; base" in quotation(finding(log_e=math.log(47_111), pairs=1), LABELS, 0.05, "")
    assert "(e-value 0.0042;" in quotation(finding(log_e=math.log(0.0042)), LABELS, 0.05, "")


def test_a_quotation_counts_the_prompts() -> None:
    """They are the unit of every number; a prompt may be asked again, so that there are more pairs."""
    split = [{**stratum(name, 0.08), "prompts": prompts} for name, prompts in (("sea", 1_200), ("forest", 34))]
    assert "; 1,234 held-out prompts, 1,500 pairs of answers; " in quotation(finding(strata=split, pairs=1_500), LABELS, 0.05, "")
    assert "; 1 held-out prompt, 2 pairs of answers; " in quotation(finding(strata=[{**split[0], "prompts": 1}], pairs=2), LABELS, 0.05, "")
    # Where not every kind is listed nobody knows how many prompts there were.
    assert "held-out" in quotation(finding(strata=split, strata_judged=2, pairs=9), LABELS, 0.05, "")
    assert "held-out" not in quotation(finding(strata=split, strata_judged=3, pairs=9), LABELS, 0.05, "")


def test_the_documented_quotation_is_one() -> None:
    """docs/reading-a-report.md shows the quotation of the pictured report's first finding."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "reading-a-report.md").read_text(encoding="utf-8")
    shown = re.search(r"^> (The intervention more often mentions “moral”: .*\.)$", page, flags=re.MULTILINE)
    assert shown
    split = [{**stratum(str(number), 0.38), "prompts": 94 + (number < 3)} for number in range(8)]
    moral = finding(
        statement="mentions “moral”",
        log_e=math.log(6.0e102),
        base_rate=0.017,
        intervention_rate=0.40,
        difference=0.38,
        interval=[0.34, 0.45],
        pairs=1000,
        strata=split,
    )
    labels = {"base": "story-teller", "intervention": "story-teller, changed"}
    assert shown[1] == quotation(moral, labels, 0.05, "auto-interventions 0.1.0, 2026-11-22")


def test_filters_offer_what_the_findings_differ_in(tmp_path: Path) -> None:
    run = load_run(judge_run(make_run(tmp_path / "run", prompts_per_stratum=40)))
    told = run.findings["findings"]
    offered = choices(told)
    assert offered.directions == [("intervention", "more often"), ("base", "less often")]
    assert [value for value, _ in offered.intents] == ["intended", "side-effect", "unclear"]
    assert {label for _, label in offered.sources} == {proposer(one) for one in told}
    assert "language model" in {label for _, label in offered.sources}
    for one in told:
        names = dict(offered.strata)
        clear = {names[str(number)] for number in offered.clear_strata(one)}
        assert clear <= {stratum["stratum"] for stratum in one["strata"]}
        assert offered.source_key(one) in {value for value, _ in offered.sources}
    assert choices([]).strata == []


def test_the_grid_says_where_and_leaves_what_is_alike_in_one_cell() -> None:
    def strata(*differences: float) -> list[dict[str, object]]:
        return [
            {"stratum": name, "difference": value, "interval": [value - 0.05, value + 0.05], "prompts": 10}
            for name, value in zip("abc", differences, strict=True)
        ]

    told = grid(
        [
            finding(id="x", difference=0.3, strata=strata(0.6, 0.01, 0.3)),
            finding(id="y", difference=0.2, strata=strata(0.2, 0.2, 0.2)),
            finding(id="z", difference=-0.3, more_in="base", strata=strata(-0.6, -0.6, 0.0)),
        ]
    )
    assert told
    assert told.strata == ["a", "b", "c"]
    assert [(cell.points, cell.shade) for cell in told.rows[0][2]] == [("+60", "up-5"), ("+1.0", ""), ("+30", "up-3")]
    assert [cell.points for cell in told.rows[1][2]] == ["+20"]
    assert [cell.shade for cell in told.rows[2][2]] == ["down-5", "down-5", ""]
    assert grid([finding()]) is None


def test_many_findings_and_kinds_are_counted_where_they_are_left_out() -> None:
    strata = [{"stratum": f"s{number:02}", "difference": 0.1, "interval": [0.05, 0.2], "prompts": number} for number in range(30)]
    told = grid([finding(id=str(number), strata=strata) for number in range(25)])
    assert told
    assert told.left_out == (5, 20)
    assert told.strata[0] == "s29"


def test_the_method_has_the_runs_own_numbers(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", prompts_per_stratum=40))
    told = dict(method(run, 0.05))
    assert list(told) == ["Prompts", "Texts", "Looking", "Meaning", "Sentences", "Testing", "Deciding", "Sizes"]
    assert "320 prompts of eight kinds" in told["Prompts"]
    assert "160 to look at, 160 kept apart" in told["Prompts"]
    assert "at temperature 1, with at most 64 tokens" in told["Texts"]
    assert told["Looking"].startswith("Six rounds")
    assert "8 sentences" in told["Sentences"]
    assert "let 4 stand as findings" in told["Deciding"]
    null = dict(method(load_run(make_run(tmp_path / "null", prompts_per_stratum=10, behaviours=NOTHING)), 0.05))
    assert "let 0 stand" in null["Deciding"]
    assert "Sizes" not in null
    begun = load_run(make_run(tmp_path / "begun", prompts_per_stratum=10, concluded=False))
    assert "Deciding" not in dict(method(begun, 0.05))


def test_kinds_of_prompts_and_their_parts_are_counted_apart(tmp_path: Path) -> None:
    """The verdict counts kinds; the table's rows are kinds and parts, and it says so."""
    folder = make_run(tmp_path / "run")
    whole = load_run(folder).strata
    told = kinds(strata(whole))
    assert (told["told"], told["parts"]) == (f"{len(whole)} kinds of prompts", 0)
    assert "part of one" not in build_report(folder).read_text(encoding="utf-8")

    name = str(whole["stratum"][0])
    parts = pd.DataFrame([{**whole.iloc[0].to_dict(), "stratum": one} for one in (f"{name} › x", f"{name} › rest", f"{name} › rest › y")])
    old = pd.concat([whole.drop(columns="part_of", errors="ignore"), parts.drop(columns="part_of", errors="ignore")], ignore_index=True)
    new = old.assign(part_of=[*[""] * len(whole), name, name, f"{name} › rest"])
    for table in (old, new):
        rows = strata(table)
        assert sorted({row["part"] for row in rows}) == ["", name], "a part of a part is one of the kind"
        assert kinds(rows)["told"] == f"{len(whole)} kinds of prompts, and 3 parts of one of them"
    # A kind that the bank itself names like a part is none.
    odd = old.iloc[: len(whole)].assign(stratum=[f"a › {number}" for number in range(len(whole))])
    assert kinds(strata(odd))["parts"] == 0

    new.to_parquet(folder / "strata.parquet")
    page = build_report(folder).read_text(encoding="utf-8")
    assert f"The rows are {len(whole)} kinds of prompts, and 3 parts of one of them" in page
    assert "Kinds of prompts and their parts, laid out" in page
