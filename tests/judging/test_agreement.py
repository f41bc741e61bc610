"""Agreement of two judges, and sensitivity and specificity, against judges whose accuracy is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from auto_interventions.config import JudgeConfig
from auto_interventions.errors import BudgetSpent
from auto_interventions.inference.cascade import strong_chance
from auto_interventions.inference.proportion import proportion_interval
from auto_interventions.judging import Judged, Judges, PredicateJudge
from auto_interventions.judging.agreement import agreement, doubly_judged, known_items, preferences
from auto_interventions.judging.panel import panel
from auto_interventions.judging.record import JudgeRecord
from auto_interventions.llm.budget import Budget
from auto_interventions.records import FloatArray, Hypothesis
from auto_interventions.stores import Store
from tests.judging.conftest import DOG, FOG, judge_of, pairs_of, sentence, world
from tests.llm.conftest import Serve
from tests.llm.judges import fenced_judge, read_question
from tests.llm.protocols import Question
from tests.llm.server import Fault


def kappa_by_hand(one: FloatArray, other: FloatArray, weights: FloatArray) -> float:
    table = np.array([[weights[(one == a) & (other == b)].sum() for b in (-1, 0, 1)] for a in (-1, 0, 1)]) / weights.sum()
    expected = float(table.sum(axis=0) @ table.sum(axis=1))
    return (float(np.trace(table)) - expected) / (1 - expected)


def test_kappa_is_cohens() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(-1, 2, 500).astype(float)
    other = np.where(rng.random(500) < 0.6, one, rng.integers(-1, 2, 500))
    one[:7] = np.nan
    found = agreement(one, other)
    seen = ~np.isnan(one)
    assert found.pairs == 493
    assert found.kappa == pytest.approx(kappa_by_hand(one[seen], other[seen], np.ones(493)))
    assert found.agreement == pytest.approx(float((one == other)[seen].mean()))
    assert found.interval is not None
    assert found.interval[0] < 0.6 < found.interval[1]
    assert 0.05 < found.interval[1] - found.interval[0] < 0.2
    assert agreement(one, one).kappa == 1


def test_intervals_of_kappa_cover() -> None:
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        one = rng.integers(-1, 2, 150).astype(float)
        other = np.where(rng.random(150) < 0.7, one, rng.integers(-1, 2, 150))
        found = agreement(one, other, seed=seed)
        assert found.interval is not None
        inside += found.interval[0] <= 0.7 <= found.interval[1]
    assert inside >= 180


def test_nothing_to_agree_on() -> None:
    nothing = agreement(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))
    assert nothing.as_dict() == {"pairs": 0, "agreement": None, "kappa": None, "interval": None}
    same = agreement(np.zeros(5), np.zeros(5))
    assert (same.agreement, same.kappa) == (1.0, None)


def test_preferences_need_a_margin() -> None:
    left, right = np.array([[0.4, 0.45, 1, np.nan]], np.float32), np.array([[0.6, 0.55, 0, 1]], np.float32)
    np.testing.assert_array_equal(preferences(left, right), [[1, 0, -1, np.nan]])


def test_pairs_chosen_for_being_difficult_do_not_bend_kappa() -> None:
    """The strong judge sees all undecided pairs and a tenth of the others: unweighted, they would seem to agree much less than they do."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, (2, 40_000))
    unsure = rng.random(40_000) < 0.3
    wrong = rng.random(40_000) < np.where(unsure, 0.4, 0.02)
    cheap = np.where(wrong, truth[::-1], truth).astype(np.float32)[:, None, :]
    chance = strong_chance(unsure, 0.1)[None, :]
    asked = rng.random((1, 40_000)) < chance
    strong = np.where(asked, truth[:, None, :], np.nan).astype(np.float32)
    found = doubly_judged(Judged(cheap[0], cheap[1], strong[0], strong[1], asked, chance))
    everywhere = preferences(cheap[0], cheap[1])[0], preferences(*truth.astype(np.float32))
    whole = kappa_by_hand(*everywhere, np.ones(40_000))
    chosen = kappa_by_hand(everywhere[0][asked[0]], everywhere[1][asked[0]], np.ones(int(asked.sum())))
    assert found.kappa == pytest.approx(whole, abs=0.02)
    assert chosen < whole - 0.08
    assert found.pairs == asked.sum()


def test_agreement_of_one_sentence() -> None:
    right, wrong = np.array([[1.0, 0, 1, 0]], np.float32), np.array([[0.0, 1, 1, 0]], np.float32)
    every = np.ones((2, 4), dtype=np.bool_)
    judged = Judged(
        np.vstack([right, wrong]), np.vstack([1 - right] * 2), *[np.vstack([side] * 2) for side in (right, 1 - right)], every, every * 1.0
    )
    assert doubly_judged(judged, 0).agreement == 1
    assert doubly_judged(judged, 1).agreement == 0.5
    assert (doubly_judged(judged).agreement, doubly_judged(judged).pairs) == (0.75, 8)


def test_agreement_of_fenced_judges(serve: Serve, store: Store) -> None:
    """Two judges of 80% and 90% whose errors are their own: what they agree on follows."""
    server = serve(models={"cheap": fenced_judge(0.8, seed=1), "strong": fenced_judge(0.9, seed=2)})
    cheap, strong = judge_of(server, store, "openai:cheap"), judge_of(server, store, "openai:strong")
    judges = Judges(PredicateJudge(), cheap, strong, JudgeConfig(slice=0.999999), 0)
    given = world(600, 0.5, 0.5)
    judged = judges.judge([sentence()], pairs_of(given))
    found = doubly_judged(judged)
    # One of the three others where it errs. Truth A or B (half): "alike" is two of them; truth alike: one of them is alike as well.
    p, q = 0.8, 0.9
    one_fits = p * q + (1 - p) / 3 * (1 - q) / 3 + 4 * (1 - p) / 3 * (1 - q) / 3
    alike = (p + (1 - p) / 3) * (q + (1 - q) / 3) + 2 * (1 - p) / 3 * (1 - q) / 3
    expected = (one_fits + alike) / 2
    assert found.pairs == 600
    assert found.agreement == pytest.approx(expected, abs=0.045)
    assert found.kappa is not None
    assert found.interval is not None
    assert found.interval[0] < found.kappa < found.interval[1]


# -- known items --------------------------------------------------------------------------------------------------------------------


def words(*given: str) -> list[Hypothesis]:
    return [sentence(f"mentions “{word}”", {"kind": "phrase", "phrases": [word]}) for word in given]


@pytest.mark.parametrize("mode", ["pairwise", "graded"])
@pytest.mark.parametrize("accuracy", [0.75, 1.0])
def test_sensitivity_and_specificity_are_the_judges(accuracy: float, mode: str, serve: Serve, store: Store) -> None:
    server = serve(models={"m": fenced_judge(accuracy)})
    judge = judge_of(server, store, mode=mode)
    pairs = pairs_of(world(500, 0.3, 0.7))
    found = known_items(judge, [sentence(FOG), *words("dog", "cat", "zebra")], pairs, 400, 0)
    rate = accuracy + (1 - accuracy) / 3 if mode == "pairwise" else accuracy  # an error about a pair is right about one text in three
    for value, (low, high) in ((found.sensitivity, found.sensitivity_interval), (found.specificity, found.specificity_interval)):
        assert value is not None
        assert low <= rate <= high
        assert high - low < 0.12
        assert value == pytest.approx(rate, abs=0.06)
    assert (found.sentences, found.unjudged) == (2, 0), "no text has a zebra, and fog has no check"
    assert 360 <= found.pairs <= 400
    assert json.loads(json.dumps(found.as_dict()))["sensitivity"]["value"] == found.sensitivity


def test_known_texts_are_balanced_and_few_calls(serve: Serve, store: Store) -> None:
    shown: list[tuple[str, str]] = []
    true = fenced_judge(1.0)

    def model(question: Question) -> str:
        asked = read_question(question)
        shown.extend((asked.sentence, text) for pair in asked.items for text in pair)
        return true(question)

    server = serve(models={"m": model})
    pairs = pairs_of(world(400, 0.05, 0.1))
    found = known_items(judge_of(server, store), words("dog", "cat", "was", "tale", "there"), pairs, 40, 3)
    fit = sum(statement.split("“")[1][:-1] in text for statement, text in shown)
    assert found.pairs == 40
    assert (len(shown), fit) == (80, 40)
    assert len(server.calls) == 8
    assert found.sensitivity == found.specificity == 1
    again = known_items(judge_of(server, store), words("dog", "cat", "was", "tale", "there"), pairs, 40, 3)
    assert (again, len(server.calls)) == (found, 8)


def test_known_pairs_are_of_all_kinds(serve: Serve, store: Store) -> None:
    """A judge that always prefers one text, and never the wrong one, would look perfect on pairs of which exactly one fits."""

    def one_fits(question: Question) -> str:
        told = json.loads(fenced_judge(1.0)(question))
        for entry in told["verdicts"]:
            entry["fits"] = {"both": "A", "neither": "B"}.get(entry["fits"], entry["fits"])
        return json.dumps(told)

    judge = judge_of(serve(models={"m": one_fits}), store)
    found = known_items(judge, words("dog", "cat"), pairs_of(world(400, 0.5, 0.5)), 160, 0)
    assert found.pairs == 160
    assert found.sensitivity == pytest.approx(0.75), "of a quarter of the pairs both fit, and one of them is missed"
    assert found.specificity == pytest.approx(0.75)


def test_nothing_is_known(serve: Serve, store: Store) -> None:
    server = serve(models={"m": fenced_judge(1.0)})
    pairs = pairs_of(world(10))
    for hypotheses, count in ((words("zebra"), 40), ([sentence()], 40), ([], 40), (words("dog"), 0)):
        found = known_items(judge_of(server, store), hypotheses, pairs, count, 0)
        assert (found.pairs, found.sensitivity, found.specificity) == (0, None, None)
    assert known_items(judge_of(server, store), words("dog"), [], 40, 0).pairs == 0
    assert not server.calls


def test_what_is_not_judged_counts_neither_way(serve: Serve, store: Store) -> None:
    server = serve(models={"m": lambda _: '{"verdicts": [{"pair": 1, "fits": "unclear", "sure": 50}]}'})
    found = known_items(judge_of(server, store, pairs_per_call=1), words("dog"), pairs_of(world(100)), 20, 0)
    assert (found.pairs, found.unjudged, found.sensitivity) == (20, 40, None)


# -- panels -------------------------------------------------------------------------------------------------------------------------


def test_a_panel_of_judges(serve: Serve, store: Store) -> None:
    models = {"own": fenced_judge(1.0), "a": fenced_judge(0.95, seed=1), "b": fenced_judge(0.0, 1.0)}
    server, given = serve(models=models), world(80, 0.2, 0.8)
    pairs, hypotheses = pairs_of(given), [sentence(DOG), sentence(FOG)]
    cells = np.zeros((2, 80), dtype=np.bool_)
    cells[0, :40] = cells[1, 40:60] = True
    own = Judges(PredicateJudge(), judge_of(server, store, "openai:own"), None, JudgeConfig(), 0).judge(hypotheses, pairs)
    calls = len(server.calls)
    told: Any = panel(
        [judge_of(server, store, "openai:a"), judge_of(server, store, "gemini:b")],
        hypotheses,
        pairs,
        cells,
        {"openai:own": (own.base, own.intervention)},
    )
    assert len(server.calls) == calls + 2 * (8 + 4)
    json.dumps(told, allow_nan=False)
    judges = {judge["judge"]: judge for judge in told[0]["judges"]}
    assert list(judges) == ["openai:own", "openai:a", "gemini:b"]
    truth = [has[:40].mean() * 0.9 + 0.05 for has in given.has("dog")]
    assert judges["openai:own"]["base_rate"] == pytest.approx(truth[0])
    assert judges["openai:own"]["intervention_rate"] == pytest.approx(truth[1])
    low, high = judges["openai:own"]["interval"]
    assert low < 0.54 < high, "0.6 by a judge that is 90% sure"
    assert low < judges["openai:a"]["difference"] < high
    assert abs(judges["gemini:b"]["difference"]) < 0.35, "it says A whatever it sees"
    kappas = {tuple(pair["judges"]): pair for pair in told[0]["agreement"]}
    assert len(kappas) == 3
    assert kappas["openai:own", "openai:a"]["kappa"] > 0.7
    assert abs(kappas["openai:own", "gemini:b"]["kappa"]) < 0.35
    assert [judge["pairs"] for judge in told[1]["judges"]] == [20, 20, 20]


def test_a_judge_of_the_panel_that_is_away_is_told(serve: Serve, store: Store) -> None:
    server = serve(models={"a": fenced_judge(1.0)}, script=[Fault("refuse", 404, message="no such model")])
    pairs = pairs_of(world(5))
    away, there = judge_of(server, store, "openai:gone", chat={"concurrency": 1}), judge_of(server, store, "openai:a")
    told: Any
    (told,) = panel([away, there], [sentence()], pairs, np.ones((1, 5), dtype=np.bool_))
    gone, here = told["judges"]
    assert gone["judge"] == "openai:gone"
    assert gone["failed"].startswith("not available: ")
    assert here["pairs"] == 5
    assert told["agreement"] == []
    with pytest.raises(BudgetSpent):
        panel([judge_of(server, store, "openai:c", budget=Budget(0.0))], [sentence()], pairs, np.ones((1, 5), dtype=np.bool_))


def test_the_record_without_verdicts() -> None:
    record = JudgeRecord("openai:m", "pairwise")
    assert record.as_dict()["position_bias"] is None
    assert proportion_interval(0, 0) == (0.0, 1.0)
    low, high = proportion_interval(0, 20)
    assert (low, round(high, 3)) == (0.0, 0.161)
