from __future__ import annotations

from typing import Any

import pytest

from auto_interventions.comparing.findings import match_findings


def finding(words: str | None, more_in: str = "intervention", held: bool = True, difference: float = 0.3, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{words}-{more_in}",
        "statement": f"mentions “{words}”",
        "status": "validated" if held else "not validated",
        "more_in": more_in,
        "difference": difference,
        "interval": (difference - 0.1, difference + 0.1),
        "check": None if words is None else {"kind": "phrase", "phrases": [words]},
        **more,
    }


def content(*findings: dict[str, Any]) -> dict[str, Any]:
    return {"findings": list(findings)}


# "moral" and "the moral is" agree but for one text; "sea" is something else.
TEXTS = [
    "the moral is kindness",
    "the moral is to share",
    "a moral tale",
    "the sea",
    "the sea and a boat",
    "a boat",
    "nothing",
    "no one",
] * 5


def test_the_same_check_is_kept() -> None:
    compared = match_findings(content(finding("moral")), content(finding("moral")), TEXTS)
    (match,) = compared.exhaustive
    assert (compared.kept, compared.share) == (1, 1.0)
    assert (match.how, match.tested) == ("same check", True)
    assert match.phi == pytest.approx(1.0)
    assert compared.more == ()


def test_checks_that_agree_on_texts_are_the_same_finding() -> None:
    compared = match_findings(content(finding("moral"), finding("boat")), content(finding("the moral is")), TEXTS)
    (match,) = compared.exhaustive
    assert match.other is not None
    assert match.other["id"] == "moral-intervention"
    assert match.how == "same texts"
    assert match.phi == pytest.approx(0.7454, abs=1e-3)  # √(2·5 / (3·6)): 2 and 3 of 8 texts, nested
    assert [one.finding["id"] for one in compared.more] == ["boat-intervention"]


def test_the_same_check_goes_before_a_likeness() -> None:
    compared = match_findings(content(finding("the moral is"), finding("moral")), content(finding("moral")), TEXTS)
    assert compared.exhaustive[0].how == "same check"


def test_the_direction_must_agree() -> None:
    compared = match_findings(content(finding("moral", more_in="base")), content(finding("moral")), TEXTS)
    assert compared.kept == 0
    assert not compared.exhaustive[0].tested
    assert len(compared.more) == 1


def test_lost_says_whether_it_was_tested() -> None:
    active = content(finding("moral", held=False), finding("kindness", held=False))
    compared = match_findings(active, content(finding("moral"), finding("boat")), TEXTS)
    assert {match.finding["id"]: match.tested for match in compared.exhaustive} == {"moral-intervention": True, "boat-intervention": False}
    assert compared.kept == 0
    assert compared.more == ()


def test_the_largest_first_and_only_what_held() -> None:
    exhaustive = content(finding("sea", difference=0.1), finding("moral", difference=-0.4), finding("boat", held=False))
    compared = match_findings(content(), exhaustive, TEXTS)
    assert [match.finding["id"] for match in compared.exhaustive] == ["moral-intervention", "sea-intervention"]


def test_checks_that_never_or_always_hold_are_like_nothing() -> None:
    compared = match_findings(content(finding("unicorn")), content(finding("zebra")), TEXTS)
    assert compared.kept == 0


def test_findings_without_a_check_match_by_nothing() -> None:
    compared = match_findings(content(finding(None)), content(finding(None), finding("moral")), TEXTS)
    assert compared.kept == 0


def test_without_texts_the_checks_alone_count() -> None:
    compared = match_findings(content(finding("moral")), content(finding("moral"), finding("the moral is")), [])
    assert compared.kept == 1


def test_nothing_found_is_no_share() -> None:
    compared = match_findings(content(), {}, TEXTS)
    assert compared.share is None
    assert compared.as_dict()["share_kept"] is None


def test_findings_too_small_to_matter_are_counted_apart() -> None:
    exhaustive = content(finding("moral", difference=-0.3), finding("sea", difference=0.01), finding("boat", difference=0.05))
    compared = match_findings(content(finding("moral", difference=-0.2)), exhaustive, TEXTS, smallest=0.05)
    assert (compared.kept, len(compared.exhaustive)) == (1, 3)
    assert [match.finding["id"] for match in compared.of_interest.exhaustive] == ["moral-intervention", "boat-intervention"]
    assert compared.as_dict()["of_interest"] == {"found_exhaustively": 2, "kept": 1, "share_kept": 0.5}


@pytest.mark.parametrize("side", ["active", "exhaustive"])
def test_what_a_run_merged_is_one_finding(side: str) -> None:
    ours, theirs = finding("boat"), finding("kindness")
    (ours if side == "active" else theirs)["also"] = [(theirs if side == "active" else ours)["statement"]]
    texts = [*TEXTS, *["a boat of kindness"] * 5]
    (match,) = match_findings(content(ours), content(theirs), texts).exhaustive
    assert match.how == "merged"
    assert match.phi is not None
    assert 0 < match.phi < 0.5
    ours["more_in"] = "base"
    assert match_findings(content(ours), content(theirs), texts).kept == 0


def test_agreement_goes_before_merging() -> None:
    merged = finding("boat", also=["mentions “moral”"])
    (match,) = match_findings(content(merged, finding("the moral is")), content(finding("moral")), TEXTS).exhaustive
    assert match.how == "same texts"


def test_less_of_a_thing_is_more_of_its_opposite() -> None:
    """Half the texts say sea, the other half moral: more of the one, less of the other."""
    texts = ["the sea", "a moral"] * 10
    (match,) = match_findings(content(finding("moral")), content(finding("sea", more_in="base")), texts).exhaustive
    assert match.how == "same texts"
    assert match.phi == pytest.approx(-1.0)
    assert match_findings(content(finding("moral")), content(finding("sea")), texts).kept == 0
