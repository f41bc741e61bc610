"""What is told of two runs: nothing where nothing changed, the right word where something did, and never "found here and not there"."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auto_interventions.diffing import diff_runs, diff_summary, diff_table, write_diff
from auto_interventions.errors import RunDirectoryError
from auto_interventions.runs import Run

from .runs import made_run

PROMPTS = [f"p{number}" for number in range(300)]
WORDS = [f"word{letter}" for letter in "abcdefghij"]


def kinds(one: Run, other: Run) -> dict[str, str]:
    return {change.statement.removeprefix("mentions “").removesuffix("”"): change.kind for change in diff_runs(one, other).changes}


@pytest.mark.parametrize("paired", [True, False])
def test_runs_of_the_same_models_are_told_apart_in_no_more_than_alpha_of_cases(paired: bool) -> None:
    """Each with ten sentences, some found in one run only, each stopped when it looked good."""
    random = np.random.default_rng(0)
    false = 0
    pairs = 60
    for number in range(pairs):
        rates = {word: (0.1, float(random.choice([0.1, 0.3, 0.6]))) for word in WORDS}
        found = [[word for word in WORDS if random.random() < 0.5] for _ in range(2)]
        prompts = [PROMPTS, PROMPTS if paired else [f"other {prompt}" for prompt in PROMPTS]]
        runs = [
            made_run(
                "ab"[side], rates, 2 * number + side, prompts[side], found[side], int(random.integers(60, 300)), number if paired else None
            )
            for side in range(2)
        ]
        false += bool(diff_runs(runs[0], runs[1]).told)
    assert false / pairs <= 0.05


@pytest.mark.parametrize("shared_base", [True, False])
def test_a_stronger_dose_is_stronger_and_a_weaker_one_weaker(shared_base: bool) -> None:
    base = 7 if shared_base else None
    rates = [{"moral": (0.02, dose), "rain": (0.3, 0.3)} for dose in (0.25, 0.65)]
    low, high = (made_run(f"dose {side}", rates[side], side, PROMPTS, ["moral"], base_seed=base) for side in range(2))
    assert kinds(low, high) == {"moral": "stronger", "rain": "not told apart"}
    assert kinds(high, low) == {"moral": "weaker", "rain": "not told apart"}
    change = diff_runs(low, high).changes[0]
    assert change.interval[0] <= 0.4 <= change.interval[1]
    assert change.interval[0] > 0.15


def test_new_gone_and_reversed() -> None:
    one = made_run("one", {"sun": (0.0, 0.6), "moon": (0.1, 0.1), "star": (0.1, 0.6)}, 0, PROMPTS, ["sun", "star"])
    two = made_run("two", {"sun": (0.0, 0.0), "moon": (0.1, 0.7), "star": (0.6, 0.1)}, 1, PROMPTS, ["moon", "star"])
    assert kinds(one, two) == {"sun": "gone", "moon": "new", "star": "reversed"}


def test_found_in_one_run_only_is_no_change() -> None:
    rates = {"sun": (0.1, 0.25)}
    diff = diff_runs(made_run("one", rates, 0, PROMPTS, ["sun"]), made_run("two", rates, 1, PROMPTS))
    assert [change.kind for change in diff.changes] == ["not told apart"]
    assert diff.changes[0].validated == (True, False)
    assert "no change" in diff_summary(diff).plain


def test_what_neither_had_validated_can_still_have_changed() -> None:
    one, two = (made_run("run", {"sun": (0.1, rate)}, seed, PROMPTS) for seed, rate in enumerate((0.1, 0.8)))
    assert kinds(one, two) == {"sun": "changed"}


def test_different_banks_are_compared_by_their_means() -> None:
    one = made_run("one", {"sun": (0.1, 0.2)}, 0, PROMPTS, ["sun"])
    two = made_run("two", {"sun": (0.1, 0.9)}, 1, [f"other {prompt}" for prompt in PROMPTS], ["sun"], temperature=0.7)
    diff = diff_runs(one, two)
    assert diff.how == "independent"
    assert diff.changes[0].kind == "stronger"
    assert any("0% of the prompts are common" in note for note in diff.notes)
    assert any("`sampling.temperature` is 1.0 in A and 0.7 in B" in note for note in diff.notes)


def test_another_order_of_the_same_texts_is_not_taken_for_independent() -> None:
    one = made_run("one", {"sun": (0.1, 0.2)}, 0, PROMPTS, base_seed=3)
    two = made_run("two", {"sun": (0.1, 0.2)}, 1, PROMPTS, base_seed=3)
    two.__dict__["texts"] = two.texts.iloc[::-1].reset_index(drop=True)
    assert diff_runs(one, two).how == "dependent"


def test_prompts_that_either_run_explored_do_not_count() -> None:
    one = made_run("one", {"sun": (0.1, 0.2)}, 0, PROMPTS, explored=PROMPTS[:10])
    two = made_run("two", {"sun": (0.1, 0.2)}, 1, PROMPTS, explored=[*PROMPTS[5:20], "elsewhere"])
    assert diff_runs(one, two).changes[0].prompts == (285, 290)  # a run's own exploring never meets its own backbone


def test_sentences_that_only_a_judge_can_see() -> None:
    runs = [made_run(name, {"sun": (0.1, 0.1)}, seed, PROMPTS) for seed, name in enumerate(("one", "two"))]
    random = np.random.default_rng(0)
    for run, rate in zip(runs, (0.1, 0.7), strict=True):
        run.findings["findings"] = [
            {"id": f"{run.path}-1", "statement": "is kind", "status": "validated", "check": None, "judges": ["gemini:m"]},
            {"id": f"{run.path}-2", "statement": f"only {run.path}", "status": "validated", "check": None, "judges": ["gemini:m"]},
        ]
        scores = {"cheap_base": np.zeros(300), "cheap_intervention": (random.random(300) < rate).astype(float)}
        run.__dict__["verdicts"] = pd.DataFrame({"hypothesis": f"{run.path}-1", "prompt_id": PROMPTS, "sample": 0, **scores})
    found = {change.statement: change for change in diff_runs(*runs).changes}
    assert found["is kind"].kind == "stronger"
    assert (found["only one"].kind, found["only one"].why) == ("not compared", "only A judged it")
    runs[1].findings["findings"][0]["judges"] = ["openai:n"]
    changed = {change.statement: change for change in diff_runs(*runs).changes}["is kind"]
    assert (changed.kind, changed.why) == ("not compared", "judged by gemini:m in A and by openai:n in B")


def test_runs_with_nothing_in_them() -> None:
    quiet = [made_run(name, {}, seed, PROMPTS) for seed, name in enumerate(("one", "two"))]
    assert diff_runs(*quiet).changes == ()
    assert diff_table(diff_runs(*quiet)).row_count == 0
    few = [made_run(name, {"sun": (0.1, 0.9)}, seed, ["only"]) for seed, name in enumerate(("one", "two"))]
    assert kinds(*few) == {"sun": "not told apart"}


def test_runs_that_cannot_be_compared_say_why() -> None:
    good, bad = (made_run(name, {"sun": (0.1, 0.2)}, 0, PROMPTS) for name in ("good", "bad"))
    bad.__dict__["texts"] = bad.texts.drop(columns="backbone")
    with pytest.raises(RunDirectoryError, match="bad: was made by an earlier version"):
        diff_runs(good, bad)
    with pytest.raises(RunDirectoryError, match="good: has not concluded"):
        diff_runs(Run(good.path, good.run, {}, {}), bad)


def test_the_page_escapes_what_models_said(tmp_path: Path) -> None:
    runs = [
        made_run(f"<b>{name}", {"<script>alert(1)</script>": (0.0, rate)}, seed, PROMPTS)
        for seed, (name, rate) in enumerate((("a", 0.1), ("b", 0.9)))
    ]
    diff = diff_runs(*runs)
    assert diff.told
    page = write_diff(diff, tmp_path / "out").read_text()
    assert page.count("<script") == 1  # the page's own
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    content = json.loads((tmp_path / "out" / "diff.json").read_text())
    assert content["told"] == 1
    assert content["changes"][0]["kind"] == "changed"
