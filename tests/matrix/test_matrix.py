"""A matrix of runs whose rates are known: cells and seeds, what is blank, what is alike, what the variation is due to, what is escaped."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from auto_interventions.diffing.sampled import Sampled
from auto_interventions.errors import RunDirectoryError
from auto_interventions.matrix import Matrix, matrix_of, matrix_summary, matrix_table, sources_table, write_matrix
from auto_interventions.matrix.rows import Row, Value
from auto_interventions.runs import Run
from tests.diffing.runs import made_run

PROMPTS = [f"p{number}" for number in range(240)]
STRATA = {prompt: f"kind {number % 4}" for number, prompt in enumerate(PROMPTS)}
RATES = {"sun": (0.1, 0.5), "moon": (0.1, 0.3), "star": (0.3, 0.1), "rain": (0.2, 0.2)}


def seeds(count: int, name: str = "moral", first: int = 0, held: tuple[str, ...] = ("sun", "moon", "star"), **more: Any) -> list[Run]:
    """Runs of one cell."""
    runs = [
        made_run(f"{name}-{first + number}", RATES, first + number, PROMPTS, held, intervention=name, strata=STRATA, **more)
        for number in range(count)
    ]
    for number, run in enumerate(runs):
        run.run["config"]["sampling"]["seed"] = number
    return runs


def row(matrix: Matrix, word: str) -> Row:
    return next(one for one in matrix.rows if f"“{word}”" in one.statement)


def judged(run: Run, statement: str, judge: str, rate: float, seed: int) -> None:
    """Adds a sentence without a check, which `judge` judged."""
    random = np.random.default_rng(seed)
    identifier = f"{run.path}-{statement}"
    finding = {"id": identifier, "statement": statement, "status": "validated", "check": None, "judges": [judge]}
    run.findings["findings"] = [*run.findings["findings"], finding]
    run.run["judging"] = {"judges": [{"judge": judge}]}
    scores = {"cheap_base": np.zeros(len(PROMPTS)), "cheap_intervention": (random.random(len(PROMPTS)) < rate).astype(float)}
    verdicts = pd.DataFrame({"hypothesis": identifier, "prompt_id": PROMPTS, "sample": 0, **scores})
    run.__dict__["verdicts"] = pd.concat([run.verdicts, verdicts], ignore_index=True) if len(run.verdicts) else verdicts


def test_seeds_of_a_cell_have_mean_and_standard_deviation_of_what_was_measured() -> None:
    runs = seeds(3)
    matrix = matrix_of(runs)
    assert [(cell.intervention, cell.runs, cell.seeds) for cell in matrix.cells] == [("moral", (0, 1, 2), ("seed 0", "seed 1", "seed 2"))]
    spread = row(matrix, "sun").over(matrix.cells[0])
    texts = [run.texts[run.texts["backbone"]] for run in runs]
    said = [own.assign(said=own["text"].str.contains("sun")).groupby("model")["said"].mean() for own in texts]
    expected = [float(one["intervention"] - one["base"]) for one in said]
    assert spread.mean == pytest.approx(np.mean(expected))
    assert spread.sd == pytest.approx(np.std(expected, ddof=1))
    assert (spread.runs, spread.tested, spread.held) == (3, 3, 3)
    assert [one.statement for one in matrix.rows].count("mentions “rain”") == 0  # no run validated it
    assert matrix.tested == 4


def test_interventions_and_banks_are_cells_of_their_own() -> None:
    runs = [*seeds(2, "moral"), *seeds(2, "lines", 10), *seeds(1, "moral", 20)]
    for run, path in zip(runs, ["a.jsonl"] * 4 + ["b.jsonl"], strict=True):
        run.run["config"]["prompts"] = {"source": "file", "path": f"/banks/{path}"}
    cells = matrix_of(runs).cells
    assert [(cell.label, cell.runs) for cell in cells] == [("moral · a", (0, 1)), ("lines · a", (2, 3)), ("moral · b", (4,))]


def test_the_page_has_interventions_by_banks(tmp_path: Path) -> None:
    runs = [*seeds(2, "moral", held=("sun",)), *seeds(1, "moral", 2), *seeds(1, "lines", 10, held=())]
    for run, path in zip(runs, ["a.jsonl"] * 3 + ["b.jsonl"], strict=True):
        run.run["config"]["prompts"] = {"source": "file", "path": f"/banks/{path}"}
    page = write_matrix(matrix_of(runs), tmp_path).read_text(encoding="utf-8")
    grid = page.split('id="grid"')[1].split("</section>")[0]
    cells = [cell.split("<")[0] for cell in grid.split('<td class="n nowrap">')[1:]]
    assert cells == ["1.7 ± 1.2", "–", "–", "0"]  # one, one and three sentences
    alone = write_matrix(matrix_of(seeds(2)), tmp_path / "alone").read_text(encoding="utf-8")
    assert 'id="grid"' not in alone


def test_other_settings_are_another_cell_and_its_label_says_so() -> None:
    runs = [*seeds(1), *seeds(1, "moral", 5, temperature=0.7)]
    assert ["temperature 0.7" in cell.label for cell in matrix_of(runs).cells] == [False, True]


def test_recorded_texts_of_the_same_prompts_are_one_bank_whatever_their_file() -> None:
    runs = seeds(3)
    for number, run in enumerate(runs):
        run.run["config"] |= {"prompts": {"source": "recorded"}, "base": {"texts": f"{number}.jsonl"}, "intervention": {"texts": "x"}}
    runs[2].__dict__["texts"] = runs[2].texts.assign(prompt_id="other " + runs[2].texts["prompt_id"])
    assert [cell.runs for cell in matrix_of(runs).cells] == [(0, 1), (2,)]


def test_what_a_run_did_not_propose_is_measured_where_it_can_be_and_blank_where_not() -> None:
    one, other = seeds(2)
    other.findings["findings"] = [finding for finding in other.findings["findings"] if "sun" not in finding["statement"]]
    judged(one, "is kind", "gemini:m", 0.4, 0)
    matrix = matrix_of([one, other])
    measured = row(matrix, "sun").values
    assert [value.status for value in measured] == ["validated", "measured"]
    assert measured[1].difference == pytest.approx(0.4, abs=0.12)
    assert measured[1].interval is not None
    assert measured[1].interval[0] < 0.4 < measured[1].interval[1]
    kind = next(one for one in matrix.rows if one.statement == "is kind")
    assert kind.values[0].difference == pytest.approx(0.4, abs=0.12)
    assert kind.values[1] == Value("blank")
    assert kind.over(matrix.cells[0]).runs == 1
    assert kind.over(matrix.cells[0]).sd is None


def test_what_says_the_same_stands_under_one() -> None:
    runs = seeds(2)
    for run in runs:
        run.findings["findings"].append(
            {
                "id": "again",
                "statement": "mentions “sun” (or “suns”)",
                "status": "validated",
                "check": {"kind": "phrase", "phrases": ["sun", "suns"]},
                "judges": ["predicate"],
            }
        )
    matrix = matrix_of(runs)
    leader = row(matrix, "sun")
    assert leader.under is None
    assert leader.alike == ("mentions “sun” (or “suns”)",)
    assert len(matrix.rows) == 4
    assert len(matrix.leaders) == 3
    assert matrix.everywhere == 3
    assert "sun” (or" not in " ".join(matrix.sources[0].sentences)


def test_found_counts_a_run_that_found_one_alike() -> None:
    one, other = seeds(2)
    for finding in other.findings["findings"]:
        if "“sun”" in finding["statement"]:
            finding |= {"check": {"kind": "phrase", "phrases": ["sun", "suns"]}, "statement": "mentions “suns”"}
    matrix = matrix_of([one, other])
    leader = next(line for line in matrix.leaders if "sun" in line.statement)
    assert leader.held == 1
    assert matrix.found(leader) == 2


def test_seeds_of_the_same_models_vary_with_the_sentence_and_not_with_the_run() -> None:
    told = matrix_of(seeds(4)).sources
    assert len(told) == 1  # the one cell is all runs
    assert told[0].strata == ("kind 0", "kind 1", "kind 2", "kind 3")
    shares = told[0].shares
    assert shares is not None
    assert shares.shape == (4, 4, 3)
    assert (shares.sources["sentence"].share or 0) > 0.75
    assert (shares.sources["run"].share or 0) < 0.1
    assert told[0].chance is not None
    assert 0 < told[0].chance < 0.25


def test_runs_that_differ_have_a_share_and_each_cell_its_own() -> None:
    strong = [
        made_run(
            f"s{n}", {"sun": (0.1, 0.9), "moon": (0.1, 0.8), "star": (0.1, 0.7)}, n, PROMPTS, ["sun"], intervention="strong", strata=STRATA
        )
        for n in range(2)
    ]
    weak = [
        made_run(
            f"w{n}",
            {"sun": (0.1, 0.2), "moon": (0.1, 0.2), "star": (0.1, 0.2)},
            9 + n,
            PROMPTS,
            ["sun", "moon", "star"],
            intervention="weak",
            strata=STRATA,
        )
        for n in range(2)
    ]
    told = matrix_of([*strong, *weak]).sources
    assert [one.label for one in told] == ["all runs", "strong", "weak"]
    whole, within = told[0].shares, told[1].shares
    assert whole is not None
    assert within is not None
    assert (whole.sources["run"].share or 0) > 0.6
    assert (within.sources["run"].share or 0) < 0.4


def test_strata_that_only_share_a_name_are_no_factor() -> None:
    one, other = seeds(2)
    mixed = {prompt: f"kind {(number * 7 // 3) % 4}" for number, prompt in enumerate(PROMPTS)}
    other.__dict__["texts"] = other.texts.assign(stratum=[mixed.get(prompt, "none") for prompt in other.texts["prompt_id"]])
    told = matrix_of([one, other]).sources[0]
    assert told.strata == ()
    assert told.shares is not None
    assert set(told.shares.sources) == {"run", "sentence", "residual"}


def test_one_sentence_has_no_shares_and_says_why() -> None:
    told = matrix_of(seeds(2, held=("sun",))).sources[0]
    assert told.shares is None
    assert told.why == "one sentence alone was measured in every run"


def test_texts_in_common_are_said() -> None:
    shared = matrix_of(seeds(2, base_seed=3)).notes
    assert any("have texts in common" in note for note in shared)
    assert not any("have texts in common" in note for note in matrix_of(seeds(2)).notes)


def test_judges_of_two_runs_are_compared_on_the_texts_that_both_judged() -> None:
    runs = seeds(2, base_seed=3)
    runs[1].__dict__["texts"] = runs[0].texts
    for run, judge in zip(runs, ("gemini:m", "openai:n"), strict=True):
        judged(run, "is kind", judge, 0.4, 0)
    (told,) = matrix_of(runs).judges
    assert (told.runs, told.judges) == ((0, 1), ("gemini:m", "openai:n"))
    assert told.told["pairs"] == len(PROMPTS)
    assert told.told["kappa"] == pytest.approx(1)
    assert row(matrix_of(runs), "sun").judges == ("predicate",)
    runs[1].__dict__["verdicts"] = runs[1].verdicts.assign(cheap_intervention=np.tile([0.0, 1.0], len(PROMPTS) // 2))
    (apart,) = matrix_of(runs).judges
    assert abs(apart.told["kappa"]) < 0.2
    judges = next(one for one in matrix_of(runs).rows if one.statement == "is kind").judges
    assert judges == ("gemini:m", "openai:n")


def test_agreement_within_a_run_is_taken_from_it() -> None:
    runs = seeds(2)
    told = {"pairs": 40, "agreement": 0.9, "kappa": 0.7, "interval": [0.5, 0.9]}
    runs[0].run["judging"] = {"judges": [{"judge": "gemini:m"}, {"judge": "openai:n"}], "agreement": told}
    (one,) = matrix_of(runs).judges
    assert (one.runs, one.judges, one.told) == ((0,), ("gemini:m", "openai:n"), told)


def test_runs_with_nothing_in_them() -> None:
    quiet = matrix_of([made_run(name, {}, seed, PROMPTS) for seed, name in enumerate(("one", "two"))])
    assert quiet.rows == ()
    assert "none of them found anything" in matrix_summary(quiet).plain
    assert sources_table(quiet) is None
    assert matrix_table(quiet).row_count == 0


@pytest.mark.parametrize("broken", ["one", "twice", "unfinished", "old"])
def test_runs_that_make_no_matrix_say_why(broken: str) -> None:
    one, other = seeds(2)
    if broken == "old":
        other.__dict__["texts"] = other.texts.drop(columns="backbone")
    unfinished = Run(other.path, other.run, {}, {})
    given = {"one": [one], "twice": [one, one], "unfinished": [one, unfinished], "old": [one, other]}[broken]
    message = {"one": "needs two runs", "twice": "given twice", "unfinished": "has not concluded", "old": "earlier version"}[broken]
    with pytest.raises(RunDirectoryError, match=message):
        matrix_of(given)


def test_the_files_hold_what_the_matrix_says_and_escape_what_models_said(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>\u202e"
    rates = {hostile: (0.0, 0.6), "moon": (0.1, 0.5)}
    runs = [made_run(f"<b>{n}", rates, n, PROMPTS, list(rates), intervention="<i>x", strata=STRATA) for n in range(2)]
    matrix = matrix_of(runs)
    page = write_matrix(matrix, tmp_path / "out").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    content = json.loads((tmp_path / "out" / "matrix.json").read_text(encoding="utf-8"))
    assert content["schema"] == "auto-interventions/matrix@1"
    assert [len(one["values"]) for one in content["sentences"]] == [2, 2]
    assert content["sentences"][0]["cells"][0]["held"] == 2
    assert sum(one["share"] for one in content["variance"][0]["shares"]["sources"].values()) == pytest.approx(1)


def test_the_terminal_shows_cells_with_means_and_what_was_found() -> None:
    console = Console(width=140, record=True, file=StringIO())
    matrix = matrix_of([*seeds(3), *seeds(1, "lines", 10, held=())])
    console.print(matrix_table(matrix))
    shown = console.export_text()
    assert "moral (3 runs)" in shown
    assert " ± " in shown
    assert "found in 3 of 3" in shown
    assert "not found" in shown
    table = sources_table(matrix)
    assert table is not None
    assert table.row_count == 4


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["sun", "moon", "star", "rain"]), max_size=4, unique=True), st.integers(0, 3))
def test_any_matrix_counts_consistently(held: list[str], seed: int) -> None:
    matrix = matrix_of(seeds(2, first=seed, held=tuple(held)))
    assert len(matrix.rows) == len(held)
    assert matrix.everywhere <= len(matrix.leaders) <= len(matrix.rows) <= matrix.tested
    for one in matrix.rows:
        spread = one.over(matrix.cells[0])
        assert spread.held == one.held == 2
        assert spread.mean is not None


def test_the_random_sample_alone_is_measured() -> None:
    runs = seeds(2)
    chosen = runs[0].texts.assign(backbone=[prompt in set(PROMPTS[:100]) for prompt in runs[0].texts["prompt_id"]])
    runs[0].__dict__["texts"] = chosen
    assert row(matrix_of(runs), "sun").values[0].prompts == 100
    assert len(Sampled.of(runs[0]).prompts) == 100
