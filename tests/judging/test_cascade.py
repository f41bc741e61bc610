"""Who judges what, and that the two judges' scores are what `inference.cascade` needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from auto_interventions.config import JudgeConfig
from auto_interventions.inference.cascade import cascade_payoffs, rectified
from auto_interventions.judging import Judges, LanguageJudge, PredicateJudge
from auto_interventions.records import FloatArray
from auto_interventions.stores import Store
from tests.judging.conftest import DOG, FOG, judge_of, pairs_of, sentence, world
from tests.llm.conftest import Serve
from tests.llm.judges import fenced_judge
from tests.llm.protocols import Answer, Question
from tests.llm.server import ChatServer

FREE = sentence("mentions “cat”", {"kind": "phrase", "phrases": ["cat"]})


def opened(server: ChatServer, store: Store, strong: bool = True, **given: Any) -> tuple[Judges, LanguageJudge, LanguageJudge | None]:
    cheap = judge_of(server, store, "openai:cheap", **given)
    second = judge_of(server, store, "openai:strong", **given) if strong else None
    return Judges(PredicateJudge(), cheap, second, JudgeConfig(**given), 0), cheap, second


def test_checks_run_everywhere_and_cost_nothing(serve: Serve, store: Store) -> None:
    server, given = serve(models={"cheap": fenced_judge(1.0)}), world(20)
    judges, _, _ = opened(server, store, strong=False)
    hypotheses, pairs = [FREE, sentence(DOG), sentence(FOG)], pairs_of(given)
    cells = np.zeros((3, 20), dtype=np.bool_)
    cells[1, :7] = True
    judged = judges.judge(hypotheses, pairs, cells)
    np.testing.assert_array_equal(judged.base[0], given.has("cat")[0])
    np.testing.assert_array_equal(judged.intervention[0], given.has("cat")[1])
    assert (~np.isnan(judged.base[1:]) == cells[1:]).all()
    np.testing.assert_array_equal(judged.base[1, :7] > 0.5, given.has("dog")[0][:7])
    np.testing.assert_array_equal(judged.intervention[1, :7] > 0.5, given.has("dog")[1][:7])
    assert (len(server.calls), judged.asked.any(), judged.chance.any()) == (2, False, False)
    assert not cells[0].any(), "the caller's cells stay as they are"
    assert not np.isnan(judges.judge(hypotheses, pairs).base).any(), "None is all of them"
    assert judges.names == ("predicate", "openai:cheap")
    assert judges.judges_of(FREE) == ("predicate",)
    assert judges.judges_of(sentence()) == ("openai:cheap",)


def test_without_language_models(serve: Serve, store: Store) -> None:
    judges = Judges(PredicateJudge(), None, None, JudgeConfig(), 0)
    judged = judges.judge([FREE, sentence()], pairs_of(world(5)))
    assert np.isnan(judged.base).all(axis=1).tolist() == [False, True]
    assert judges.cost_per_pair([FREE, sentence()], pairs_of(world(5))).tolist() == [0, 0]
    assert (judges.names, judges.judges_of(sentence())) == (("predicate",), ())
    with pytest.raises(ValueError, match="cheap"):
        Judges(PredicateJudge(), None, judge_of(serve(), store), JudgeConfig(), 0)


def test_the_strong_judge_sees_the_undecided_and_a_slice(serve: Serve, store: Store) -> None:
    cheap = fenced_judge(0.8, doubt=0.5)
    server = serve(models={"cheap": cheap, "strong": fenced_judge(1.0)})
    judges, _, strong = opened(server, store, slice=0.25)
    given = world(400)
    pairs, hypotheses = pairs_of(given), [FREE, sentence(DOG), sentence(FOG)]
    cells = np.ones((3, 400), dtype=np.bool_)
    cells[2, 100:] = False
    judged = judges.judge(hypotheses, pairs, cells)
    unsure = np.abs(judged.cheap_base - 0.5) <= 0.1001
    assert 0.08 < unsure[1].mean() < 0.3
    assert judged.asked[unsure & cells].all()
    np.testing.assert_array_equal(judged.chance, np.where([[False], [True], [True]] & cells, np.where(unsure, 1, 0.25), 0))
    clear = ~unsure[1]
    assert judged.asked[1, clear].mean() == pytest.approx(0.25, abs=0.07)
    both_clear = clear[:100] & ~unsure[2, :100]
    together = (judged.asked[1] & judged.asked[2])[:100][both_clear].mean()
    assert together < 0.17, "each sentence has coins of its own: a sixteenth, and not a quarter"
    assert (np.isnan(judged.strong_base) == ~judged.asked).all()
    assert strong is not None
    assert strong.record.asked == judged.asked.sum()
    truth = given.has("dog")
    np.testing.assert_array_equal(judged.strong_base[1, judged.asked[1]] > 0.5, truth[0][judged.asked[1]])
    assert judges.judges_of(sentence()) == ("openai:cheap", "openai:strong")
    calls = len(server.calls)
    again, _, _ = opened(server, store, slice=0.25)
    np.testing.assert_array_equal(again.judge(hypotheses, pairs, cells).chance, judged.chance)
    assert len(server.calls) == calls


def test_a_trial_asks_the_cheap_judge_alone(serve: Serve, store: Store) -> None:
    server = serve(models={"cheap": fenced_judge(0.0, doubt=1.0), "strong": fenced_judge(1.0)})
    judges, cheap, strong = opened(server, store)
    pairs = pairs_of(world(60))
    before = judges.cost_per_pair([sentence(), sentence(FOG)], pairs)
    judged = judges.judge([sentence()], pairs, second=False)
    assert not np.isnan(judged.cheap_base).any()
    assert not judged.asked.any()
    assert not judged.chance.any()
    assert strong is not None
    assert (cheap.record.asked, strong.record.asked) == (60, 0)
    after = judges.cost_per_pair([sentence(), sentence(FOG)], pairs)
    assert after[0] > 1.2 * before[0], "the strong judge will see most of these pairs"
    assert after[1] == before[1], "another sentence has not been tried"


def test_each_sentence_may_have_a_slice_of_its_own(serve: Serve, store: Store) -> None:
    server = serve(models={"cheap": fenced_judge(1.0), "strong": fenced_judge(1.0)})
    judges, _, _ = opened(server, store, slice=0.2)
    judged = judges.judge([FREE, sentence(DOG), sentence(FOG)], pairs_of(world(300)), slices=np.array([0.5, 0.9, 0.05]))
    np.testing.assert_allclose(judged.chance, np.array([[0.0], [0.9], [0.05]]) * np.ones((3, 300)))
    assert judged.asked.mean(axis=1) == pytest.approx([0, 0.9, 0.05], abs=0.05)


def payoffs(judged: Any, row: int = 0) -> tuple[FloatArray, FloatArray, Any, FloatArray]:
    cheap = (judged.cheap_intervention - judged.cheap_base)[row].astype(np.float64)
    strong = (judged.strong_intervention - judged.strong_base)[row].astype(np.float64)
    return cheap, strong, judged.asked[row], judged.chance[row]


def test_the_two_make_one_estimate_without_bias(serve: Serve, store: Store) -> None:
    """A cheap judge that calls every other dog a cat halves the difference; with the strong one's slice it is whole again."""

    def blind(statement: str, text: str) -> bool:
        return "dog" in text and int(text.split(":")[0].split()[-1]) % 2 == 0

    server = serve(models={"cheap": fenced_judge(1.0, fits=blind), "strong": fenced_judge(1.0)})
    judges, _, _ = opened(server, store, slice=0.4)
    given = world(900, 0.1, 0.7)
    judged = judges.judge([sentence()], pairs_of(given))
    cheap, strong, asked, chance = payoffs(judged)
    truth = 0.9 * float(np.subtract(*np.array(given.has("dog")[::-1], dtype=float)).mean())
    estimates = rectified(cheap, strong, asked, chance)
    error = estimates.std() / np.sqrt(900)
    assert abs(estimates.mean() - truth) < 2.5 * error
    assert abs(cheap.mean() - truth) > 5 * error, "the cheap one alone is wrong"
    assert np.abs(cascade_payoffs(cheap, strong, asked, chance)).max() <= 1


def broken(honest: Callable[[Question], str], mark: str) -> Callable[[Question], Answer]:
    return lambda question: Answer(honest(question), "blocked" if mark in question.text else "stop")


def test_failures_of_either_are_values(serve: Serve, store: Store) -> None:
    true = fenced_judge(1.0)
    server = serve(models={"cheap": broken(true, "Tale one 3:"), "strong": broken(true, "Tale one 5:")})
    judges, _, _ = opened(server, store, slice=0.999999, pairs_per_call=1)
    judged = judges.judge([sentence()], pairs_of(world(10)))
    assert np.isnan(judged.cheap_base[0]).nonzero()[0].tolist() == [3]
    assert judged.chance[0, 3] == 1, "what the cheap judge could not judge is undecided"
    assert judged.asked.all()
    assert np.isnan(judged.strong_base[0]).nonzero()[0].tolist() == [5]
    assert not np.isnan(judged.base).any(), "the best known of each pair"
    estimates = rectified(*payoffs(judged))
    assert np.isnan(estimates).nonzero()[0].tolist() == [5]


def test_dollars_of_a_pair_beforehand(serve: Serve, store: Store) -> None:
    def priced(honest: Callable[[Question], str]) -> Callable[[Question], Answer]:
        def model(question: Question) -> Answer:
            said = honest(question)
            return Answer(said, output_tokens=len(said) // 2)

        return model

    server = serve(models={"cheap": priced(fenced_judge(0.8, doubt=0.5)), "strong": priced(fenced_judge(1.0))})
    hypotheses = [FREE, sentence()]
    cheap = judge_of(server, store, "openai:cheap")
    dear: dict[str, Any] = {"chat": {"price": {"input": 10.0, "output": 100.0}}}
    strong = judge_of(server, store, "openai:strong", **dear)
    judges = Judges(PredicateJudge(), cheap, strong, JudgeConfig(slice=0.2), 0)
    pairs = pairs_of(world(300))
    before = judges.cost_per_pair(hypotheses, pairs)
    judges.judge(hypotheses, pairs)
    spent = cheap.record.statements[DOG].dollars + strong.record.statements[DOG].dollars
    assert before[0] == 0
    assert before[1] == pytest.approx(spent / 300, rel=0.3)
    after = judges.cost_per_pair(hypotheses, pairs)
    assert abs(after[1] - spent / 300) < 0.25 * spent / 300
    alone = Judges(PredicateJudge(), cheap, None, JudgeConfig(), 0).cost_per_pair(hypotheses, pairs)
    assert alone[1] == pytest.approx(cheap.record.statements[DOG].dollars / 300, rel=0.25)


@pytest.mark.parametrize("fits", ["A", "B", "both", "neither"])
def test_a_verdict_on_the_border_is_undecided(fits: str, serve: Serve, store: Store) -> None:
    """Also where 0.6 in float32 is above 0.6."""
    for sure, asked in ((20, True), (21, False)):
        name = f"sure{sure}"
        said = f'{{"verdicts": [{{"pair": 1, "fits": "{fits}", "sure": {sure}}}]}}'
        server = serve(models={name: lambda _, said=said: said, "strong": fenced_judge(1.0)})
        cheap, strong = judge_of(server, store, f"openai:{name}"), judge_of(server, store, "openai:strong")
        judges = Judges(PredicateJudge(), cheap, strong, JudgeConfig(slice=1e-9), 0)
        judged = judges.judge([sentence()], pairs_of(world(1)))
        assert judged.asked[0, 0] == asked
