"""Sentences say what the numbers say."""

from __future__ import annotations

import doctest
import math
from typing import Any

import pytest

from auto_interventions.report import beside, money, plain, sections, sentences, wording


def finding(**more: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "statement": "mentions “lighthouse”",
        "status": "validated",
        "more_in": "intervention",
        "log_e": math.log(4.1e6),
        "base_rate": 0.004,
        "intervention_rate": 0.079,
        "difference": 0.075,
        "interval": [0.059, 0.093],
        "strata": [],
        **more,
    }


def stratum(name: str, difference: float, reach: float = 0.03) -> dict[str, Any]:
    return {"stratum": name, "difference": difference, "interval": [difference - reach, difference + reach]}


def findings(*held: dict[str, Any], **overall: Any) -> dict[str, Any]:
    return {
        "alpha": 0.05,
        "overall": {"verdict": "different", "log_e": 20.0, "auc": 0.63, "smallest_detectable": 0.042, **overall},
        "findings": list(held),
    }


@pytest.mark.parametrize("module", [wording, plain, sections, sentences, money, beside])
def test_examples(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


def test_one_finding_in_one_sentence() -> None:
    assert wording.sentence(finding(), 0.05) == (
        "The intervention more often mentions “lighthouse”: 0.4% → 7.9% of texts; +7.5 points, 95% interval 5.9 to 9.3."
    )
    assert wording.evidence(finding()) == "overwhelming evidence: 4.1 million to 1 against chance"


def test_a_lost_behaviour_is_less_often() -> None:
    lost = finding(more_in="base", base_rate=0.079, intervention_rate=0.004, difference=-0.075, interval=[-0.093, -0.059])
    assert wording.sentence(lost, 0.1).startswith(
        "The intervention less often mentions “lighthouse”: 7.9% → 0.4% of texts; −7.5 points, 90% "
    )


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("has at least 2 line breaks", "writes texts with at least 2 line breaks"),
        ("is written in French", "writes in French"),
        ("is empty", "writes texts that are empty"),
        ("refuses to answer", "refuses to answer"),
        ("hasty", "hasty"),
    ],
)
def test_what_describes_a_text_is_said_of_a_model(statement: str, what: str) -> None:
    assert wording.claim(finding(statement=statement)) == ("more often", what)


def test_the_largest_change_leads_whatever_its_evidence() -> None:
    small = finding(id="b", statement="says “the”", difference=0.02, log_e=900.0)
    verdict = wording.verdict(findings(small, finding()))
    assert verdict.kind == "different"
    assert verdict.headline == "What changed most: the intervention more often mentions “lighthouse”, in 7.9% of its texts instead of 0.4%."
    assert verdict.detail == "One further difference was confirmed: it more often says “the” (+2.0 points)."


def test_the_verdict_stays_short_whatever_the_statement() -> None:
    held = [finding(id=str(number), statement=f"says “{'very ' * 100}long” (or “{'x' * 300}”)") for number in range(9)]
    verdict = wording.verdict(findings(*held))
    assert len(verdict.headline) < 250
    assert len(verdict.detail) < 350
    variants = wording.verdict(findings(finding(statement="mentions “otter” (or “otters”)")))
    assert "(or" not in variants.headline


def test_what_did_not_hold_is_not_in_the_verdict() -> None:
    verdict = wording.verdict(findings(finding(), finding(id="b", statement="says “no”", difference=0.9, status="not validated")))
    assert "says “no”" not in verdict.headline + verdict.detail
    assert verdict.detail == "No other difference was confirmed."


def test_more_findings_than_fit_are_counted() -> None:
    others = [finding(id=str(number), statement=f"says “{number}”", difference=0.01) for number in range(6)]
    assert wording.verdict(findings(finding(), *others)).detail.endswith("and three more.")


def test_nothing_found_says_what_would_have_been_seen() -> None:
    verdict = wording.verdict(findings(finding(status="not validated"), verdict="no difference found", log_e=math.log(1.4)))
    assert verdict.kind == "none"
    assert verdict.headline == (
        "No difference found: a tested habit that 5% of the base’s texts show would have been seen with 80% chance "
        "had it changed by 4.2 points."
    )
    assert "1.4 to 1, where 20 to 1 is asked for" in verdict.detail


@pytest.mark.parametrize("smallest", [1.0, None, math.nan])
def test_an_audit_too_small_does_not_say_that_there_is_nothing(smallest: float | None) -> None:
    tested = finding(status="not validated")
    verdict = wording.verdict(findings(tested, verdict="no difference found", log_e=0.0, smallest_detectable=smallest))
    assert verdict.kind == "too small"
    assert "too small" in verdict.headline


def test_an_audit_that_tested_nothing_does_not_call_itself_too_small() -> None:
    verdict = wording.verdict(findings(verdict="no difference found", log_e=0.0, smallest_detectable=1.0))
    assert verdict.kind == "none"
    assert "no sentence to test" in verdict.headline


def test_a_finding_whose_interval_holds_0_claims_no_direction_and_comes_last() -> None:
    open_one = finding(interval=[-0.1, 0.6], difference=0.3)
    clear_one = finding(interval=[0.01, 0.2], difference=0.1)
    assert wording.claim(open_one)[0] == "differs in how often it"
    assert wording.validated(findings(open_one, clear_one)) == [clear_one, open_one]
    assert wording.claim({**open_one, "status": "not validated"})[0] == "more often"


def test_a_difference_without_a_sentence() -> None:
    verdict = wording.verdict(findings(finding(status="not validated")))
    assert verdict.kind == "unexplained"
    assert "63%" in verdict.detail


def test_no_findings_yet() -> None:
    assert wording.verdict({}).kind == "unfinished"


def test_where() -> None:
    flat = [stratum(name, 0.3) for name in "abcd"]
    assert wording.where(finding(strata=flat)) == "on all 4 kinds of prompts"
    assert wording.where(finding(strata=[*flat, stratum("sea", 0.95)])) == "on all 5 kinds of prompts, most of all “sea”"
    narrow = [stratum("sea", 0.5), stratum("farm", 0.0), stratum("city", 0.01)]
    assert wording.where(finding(strata=narrow)) == "mainly on prompts of “sea”"
    assert wording.where(finding(strata=[stratum("sea", 0.05), stratum("farm", 0.02)])) == "most clearly on prompts of “sea”"
    assert wording.where(finding(strata=[stratum("a", 0.01), stratum("b", 0.0)])) == ""
    assert wording.where(finding(strata=[stratum("a", 0.9)])) == ""


def test_where_of_very_many_strata_speaks_of_those_that_are_listed() -> None:
    flat = [stratum(f"s{number}", 0.3) for number in range(60)]
    assert wording.where(finding(strata=flat, strata_judged=60)) == "on all 60 kinds of prompts"
    assert wording.where(finding(strata=flat, strata_judged=100)).startswith("clearly on at least 60 of 100 kinds of prompts, most of all")


def test_a_stratum_that_goes_the_other_way_does_not_count_as_where() -> None:
    assert "“odd”" not in wording.where(finding(strata=[stratum("sea", 0.5), stratum("odd", -0.4)]))


def test_numbers_that_overflow_or_vanish() -> None:
    assert wording.odds(5000.0).startswith("3.0·10²¹⁷¹")
    assert wording.odds(math.inf) == "∞ to 1"
    assert wording.odds(-math.inf) == "0.0 to 1"
    assert wording.odds(math.nan) == "unknown"
    assert wording.strength(math.nan) == "no"
    assert wording.percent(math.nan) == "?"
    assert wording.log_e_of({"e_value": 1e300}) == pytest.approx(690.78, abs=0.01)
    assert wording.log_e_of({"e_value": 0}) == -math.inf
    assert wording.power_of_ten(math.log(9.96e8)) == "1.0·10⁹"
    assert wording.points(-0.0001) == "0"
    assert wording.odds(math.log(999_999.9)) == "1,000,000 to 1"


def test_an_exhaustive_audit_tells_its_p_values() -> None:
    tested = finding(p_value=4.2e-9)
    assert wording.evidence(tested) == "fixed-n test: p = 4.2·10⁻⁹"
    assert wording.proof(tested) == "p = 4.2·10⁻⁹"
    assert wording.proof(finding(p_value=None)) == wording.odds(wording.log_e_of(finding()))
    assert wording.proof(finding(p_value=1.0)) == "p = 1"
    nothing = wording.verdict(findings(finding(status="not validated", p_value=0.4), verdict="no difference found"))
    assert nothing.kind == "none"
    assert "fixed-n" in nothing.detail
    assert "to 1" not in nothing.detail
