"""The benchmark of diffs: what it counts, which sentence it takes for the plant, what its tables say."""

from __future__ import annotations

from auto_interventions.diffing import Change, diff_runs
from benchmarks.diffs import Dose, Quiet, dose_table, plant_among, quiet, quiet_table
from tests.diffing.runs import made_run

PROMPTS = [f"p{number}" for number in range(300)]


def change(phrase: str, kind: str = "stronger") -> Change:
    check = {"kind": "phrase", "phrases": [phrase]}
    return Change(f"mentions “{phrase}”", kind, 0.1, 0.3, 0.2, (0.1, 0.3), 9.0, (True, True), (300, 300), check)  # type: ignore[arg-type]


def test_found_in_one_run_only_counts_as_alone_and_not_as_told() -> None:
    rates = {"sun": (0.1, 0.3), "moon": (0.1, 0.9), "star": (0.1, 0.1)}
    one, other = made_run("one", rates, 0, PROMPTS, ["sun", "moon"]), made_run("two", rates, 1, PROMPTS, ["moon"])
    assert quiet(diff_runs(one, other)) == Quiet("paired", tested=3, findings=2, alone=1, told=0, found=0)


def test_what_really_changed_is_counted_as_told() -> None:
    one, other = (made_run("run", {"sun": (0.1, rate)}, seed, PROMPTS, ["sun"]) for seed, rate in enumerate((0.1, 0.8)))
    assert quiet(diff_runs(one, other)) == Quiet("paired", tested=1, findings=1, alone=0, told=1, found=1)


def test_the_plant_is_the_sentence_that_agrees_with_it_on_texts() -> None:
    texts = ["The moral is to be kind."] * 5 + ["A dog ran."] * 5 + ["The moral helps."]
    changes = [change("dog"), change("the moral is"), change("kind")]
    assert plant_among(changes, texts) == changes[1]
    assert plant_among([change("dog"), change("nowhere")], texts) is None
    assert plant_among([], texts) is None


def test_the_tables_say_what_was_told_and_what_was_missed() -> None:
    lines = quiet_table([Quiet("paired", 60, 20, 4, 1, 1), Quiet("paired", 60, 20, 6, 0, 0), Quiet("independent", 60, 10, 5, 0, 0)])
    assert [line.split("|")[1].strip() for line in lines.splitlines()] == ["pairs", "2", "1"]
    assert "2.5% (0.1% to 13.2%)" in lines
    told = dose_table([Dose("paired", change("moral"), 0.35, {"stronger": 2}), Dose("independent", None, 0.35, {})])
    assert told.splitlines()[-1] == "the plant: 1 stronger, 1 no sentence; its interval holds the truth in 0 of 1"
    assert "2 stronger" in told
    assert "nothing" in told
