"""A language model as a judge: verdicts, batches, and what goes wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from auto_interventions.stores import Store
from tests.judging.conftest import DOG, FOG, World, fits, judge_of, world
from tests.llm.conftest import Serve
from tests.llm.judges import fenced_judge, read_question
from tests.llm.protocols import Answer, Question
from tests.llm.server import Fault

TRUE = fenced_judge(1.0)


def changed(
    change: Callable[[list[dict[str, Any]], Question], object], honest: Callable[[Question], str] = TRUE
) -> Callable[[Question], str]:
    """A model whose entries `change` edits in place before they are sent."""

    def model(question: Question) -> str:
        told = json.loads(honest(question))
        change(next(iter(told.values())), question)
        return json.dumps(told)

    return model


@pytest.mark.parametrize("provider", ["openai", "gemini", "anthropic"])
@pytest.mark.parametrize("mode", ["pairwise", "graded"])
def test_scores_are_what_the_model_says(mode: str, provider: str, serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": TRUE}), world(23)
    judge = judge_of(server, store, f"{provider}:m", mode=mode)
    scores = judge.score([DOG], given.left, given.right, given.keys, given.all)
    low, high = (0.05, 0.95) if mode == "pairwise" else (0.1, 0.9)
    for side, has in zip(scores, given.has("dog"), strict=True):
        assert side.dtype == np.float32
        np.testing.assert_allclose(side[0], np.where(has, high, low), atol=1e-6)
    assert len(server.calls) == (5 if mode == "pairwise" else 10), "five pairs a call, or five texts"
    assert judge.record.asked == (23 if mode == "pairwise" else 46)
    told = json.loads(json.dumps(judge.record.as_dict()))
    assert told["failed"] == {}
    assert told["statements"][DOG]["calls"] == len(server.calls)
    both, neither = (int(np.sum(np.logical_and(*given.has(word)))) for word in ("dog", "cat"))
    if mode == "pairwise":
        assert (told["both"], told["neither"], told["first"] + told["second"]) == (both, neither, 23 - both - neither)


def test_sure_is_in_the_score(serve: Serve, store: Store) -> None:
    def change(entries: list[dict[str, Any]], _: Question) -> None:
        for entry, (said, sure) in zip(entries, [("A", 20), ("both", 0), ("neither", 100), ("unclear", 60), ("B", 100)], strict=True):
            entry |= {"fits": said, "sure": sure}

    given = world(5)
    judge = judge_of(serve(models={"m": changed(change)}), store)
    scores = np.sort(np.concatenate(judge.score([DOG], given.left, given.right, given.keys, given.all)), axis=0)
    np.testing.assert_allclose(scores[:, :3], [[0.4, 0.5, 0.0], [0.6, 0.5, 0.0]], atol=1e-6)
    assert np.isnan(scores[:, 3]).all(), "unclear is an abstention"
    np.testing.assert_allclose(scores[:, 4], [0, 1])
    assert (judge.record.unclear, judge.record.failed) == (1, {})


def test_a_text_that_cannot_be_scored_is_an_abstention(serve: Serve, store: Store) -> None:
    def change(entries: list[dict[str, Any]], question: Question) -> None:
        for entry, (text,) in zip(entries, read_question(question).items, strict=True):
            entry["score"] = None if "one 3:" in text else entry["score"]

    given = world(10)
    judge = judge_of(serve(models={"m": changed(change)}), store, mode="graded")
    left, right = judge.score([DOG], given.left, given.right, given.keys, given.all)
    assert np.flatnonzero(np.isnan(left[0])).tolist() == [3]
    assert not np.isnan(right).any()
    assert judge.record.unclear == 1


def test_who_is_shown_first_is_a_coin(serve: Serve, store: Store) -> None:
    seen: list[Question] = []

    def model(question: Question) -> str:
        seen.append(question)
        return TRUE(question)

    given = world(200)
    server = serve(models={"m": model})
    judge_of(server, store).score([DOG, FOG], given.left, given.right, given.keys, np.ones((2, 200), dtype=np.bool_))
    first = {(shown.sentence, pair[0]) for shown in map(read_question, seen) for pair in shown.items}
    left = np.array([[(statement, text) in first for text in given.left] for statement in (DOG, FOG)])
    right = np.array([[(statement, text) in first for text in given.right] for statement in (DOG, FOG)])
    assert (left != right).all(), "each pair once, one of its texts first"
    assert abs(left.mean() - 0.5) < 0.1
    assert 0.3 < (left[0] == left[1]).mean() < 0.7, "another coin for each sentence"
    seen.clear()
    swapped = judge_of(server, store).score([DOG], given.right, given.left, given.keys, given.all)
    again = {pair[0] for shown in map(read_question, seen) for pair in shown.items}
    assert [text in again for text in given.right] == left[0].tolist(), "the coin knows sides, not texts"
    np.testing.assert_array_equal(fits(swapped[0][0]), given.has("dog")[1])


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_position_bias_is_measured_and_does_not_move_the_difference(bias: float, serve: Serve, store: Store) -> None:
    given = world(600, 0.4, 0.4)
    judge = judge_of(serve(models={"m": fenced_judge(0.9, bias)}), store)
    left, right = judge.score([DOG], given.left, given.right, given.keys, given.all)
    assert judge.record.position_bias is not None
    measured, low, high = judge.record.position_bias
    preferred = 0.9 * 0.48 + 0.1 * 0.52 * 2 / 3 + 0.1 * 0.48 / 3  # said A or B, where not by bias
    expected = bias / (bias + (1 - bias) * preferred)
    assert low < expected < high
    assert (low > 0) == (bias > 0)
    assert high - low < 0.25
    assert measured == (judge.record.first - judge.record.second) / (judge.record.first + judge.record.second)
    payoffs = (right - left)[0]
    assert abs(payoffs.mean()) < 3 * payoffs.std() / np.sqrt(600)


def test_graded_texts_are_not_seen_beside_their_other(serve: Serve, store: Store) -> None:
    seen: list[Question] = []

    def model(question: Question) -> str:
        seen.append(question)
        return TRUE(question)

    given = world(60)
    judge_of(serve(models={"m": model}), store, mode="graded").score([DOG], given.left, given.right, given.keys, given.all)
    calls = [{text for (text,) in read_question(question).items} for question in seen]
    lefts = [sum(text in call for text in given.left) for call in calls]
    assert not any({left, right} <= call for left, right in zip(given.left, given.right, strict=True) for call in calls)
    assert len(set(lefts)) > 2, "which text goes into which call is a coin"


def test_same_texts_are_not_preferred(serve: Serve, store: Store) -> None:
    given = world(20)
    judge = judge_of(serve(models={"m": fenced_judge(0.0, 1.0)}), store)
    left, right = judge.score([DOG], given.left, given.left, given.keys, given.all)
    np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(left, 0.5)


def test_long_texts_are_cut(serve: Serve, store: Store) -> None:
    server = serve(models={"m": TRUE})
    judge = judge_of(server, store, max_characters=300)
    left, right = judge.score([DOG], ["x" * 500_000], ["dog" + "y" * 500_000], ["p/0"], np.ones((1, 1), dtype=np.bool_))
    assert (left[0, 0] < 0.5, right[0, 0] > 0.5) == (True, True)
    assert server.calls[0].tokens[0] < 900


# -- batches ------------------------------------------------------------------------------------------------------------------------


def test_cells_added_later_do_not_change_earlier_batches(serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": TRUE}), world(30)
    cells = np.zeros((2, 30), dtype=np.bool_)
    cells[0, :12] = True
    judge = judge_of(server, store)
    arguments = ([DOG, FOG], given.left, given.right, given.keys)
    left, _ = judge.score(*arguments, cells)
    assert (~np.isnan(left) == cells).all()
    assert len(server.calls) == 3
    cells[0, 3::2] = cells[1, :5] = True
    more, _ = judge.score(*arguments, cells)
    assert (~np.isnan(more) == cells).all()
    np.testing.assert_array_equal(more[0, :12], left[0, :12])
    assert len(server.calls) == 3 + 2 + 1
    assert judge.record.asked == cells.sum()


def test_a_rerun_asks_nothing(serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": fenced_judge(0.8)}), world(64)
    first, second = judge_of(server, store), judge_of(server, store)
    scores = first.score([DOG], given.left, given.right, given.keys, given.all)
    calls = len(server.calls)
    again = second.score([DOG], given.left, given.right, given.keys, given.all)
    np.testing.assert_array_equal(scores, again)
    assert len(server.calls) == calls
    cost = second.record.statements[DOG]
    assert (cost.calls, cost.cached, cost.dollars) == (0, calls, 0.0)
    assert first.record.position_bias == second.record.position_bias


def drop(entries: list[dict[str, Any]], _: Question) -> None:
    if len(entries) > 1:
        del entries[1]


def double(entries: list[dict[str, Any]], _: Question) -> None:
    if len(entries) > 1:
        entries[2]["pair"] = 1


def shift(entries: list[dict[str, Any]], _: Question) -> None:
    """As if something inside a text had been counted as a pair."""
    if len(entries) > 1:
        for entry in entries:
            entry["pair"] += 1


@pytest.mark.parametrize(("change", "again"), [(drop, 1), (double, 2), (shift, 5)])
def test_numbers_that_do_not_fit_are_asked_again_singly(change: Any, again: int, serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": changed(change)}), world(20)
    judge = judge_of(server, store)
    scores = judge.score([DOG], given.left, given.right, given.keys, given.all)
    for side, has in zip(scores, given.has("dog"), strict=True):
        np.testing.assert_array_equal(fits(side[0]), has)
    assert judge.record.asked_again == 4 * again
    assert len(server.calls) == 4 + 4 * again
    assert (judge.record.asked, judge.record.failed) == (20, {})


def test_order_in_the_reply_does_not_matter(serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": changed(lambda entries, _: entries.reverse())}), world(20)
    judge = judge_of(server, store)
    left, right = judge.score([DOG], given.left, given.right, given.keys, given.all)
    np.testing.assert_array_equal([fits(left[0]), fits(right[0])], given.has("dog"))
    assert len(server.calls) == 4


def test_batches_are_given_up_where_a_model_cannot_keep_them_apart(serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": changed(drop)}), world(400)
    judge = judge_of(server, store)
    left, right = judge.score([DOG], given.left, given.right, given.keys, given.all)
    np.testing.assert_array_equal([fits(left[0]), fits(right[0])], given.has("dog"))
    assert judge.record.as_dict()["batches_given_up"] is True
    assert len(server.calls) == 8 + 360 + 8, "forty pairs in batches, a fifth of them without use"
    more = World([f"{text} 1" for text in given.left[:50]], [f"{text} 2" for text in given.right[:50]], given.keys[:50])
    judge.score([DOG], more.left, more.right, more.keys, more.all)
    assert len(server.calls) == 376 + 50
    rerun = judge_of(server, store)
    np.testing.assert_array_equal(rerun.score([DOG], given.left, given.right, given.keys, given.all), (left, right))
    assert len(server.calls) == 426, "a re-run gives up at the same place"


def test_a_call_holds_fifty_items_at_most(serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": TRUE}), world(120)
    judge = judge_of(server, store, pairs_per_call=1_000)
    left, right = judge.score([DOG], given.left, given.right, given.keys, given.all)
    np.testing.assert_array_equal([fits(left[0]), fits(right[0])], given.has("dog"))
    assert len(server.calls) == 3


def test_a_few_bad_batches_are_borne(serve: Serve, store: Store) -> None:
    def change(entries: list[dict[str, Any]], question: Question) -> None:
        if "Tale one 7:" in question.text:
            drop(entries, question)

    judge, given = judge_of(serve(models={"m": changed(change)}), store), world(100)
    judge.score([DOG], given.left, given.right, given.keys, given.all)
    assert (judge.record.reliable, judge.record.asked_again) == (True, 1)


@pytest.mark.parametrize(("finish", "kind"), [("blocked", "blocked"), ("length", "cut"), ("stop", "malformed")])
def test_a_text_that_spoils_a_call_costs_only_its_own_pair(finish: str, kind: str, serve: Serve, store: Store) -> None:
    def model(question: Question) -> Answer:
        bad = "Tale one 7:" in question.text
        return Answer("I would rather not." if bad else TRUE(question), finish if bad else "stop")

    server, given = serve(models={"m": model}), world(100)
    judge = judge_of(server, store)
    left, right = judge.score([DOG], given.left, given.right, given.keys, given.all)
    assert np.flatnonzero(np.isnan(left[0])).tolist() == np.flatnonzero(np.isnan(right[0])).tolist() == [7]
    assert judge.record.failed == {kind: 1}
    assert judge.record.asked_again == 5
    assert judge.record.as_dict()["failed"] == {kind: 1}


def test_a_service_that_fails_is_not_asked_five_times_instead(serve: Serve, store: Store) -> None:
    server, given = serve(models={"m": TRUE}, script=[None, Fault("error", 503)]), world(20)
    judge = judge_of(server, store, chat={"retries": 0, "concurrency": 1})
    left, _ = judge.score([DOG], given.left, given.right, given.keys, given.all)
    assert np.flatnonzero(np.isnan(left[0])).tolist() == [5, 6, 7, 8, 9]
    assert judge.record.failed == {"unavailable": 5}
    assert (len(server.calls), judge.record.reliable) == (4, True)
    again, _ = judge_of(server, store).score([DOG], given.left, given.right, given.keys, given.all)
    assert not np.isnan(again).any(), "failures are not kept"
    assert len(server.calls) == 5


def test_shapes_must_fit(serve: Serve, store: Store) -> None:
    judge = judge_of(serve(), store)
    with pytest.raises(ValueError, match="keys"):
        judge.score([DOG], ["a"], ["b", "c"], ["k"], np.ones((1, 1), dtype=np.bool_))
    assert judge.score([], [], [], [], np.zeros((0, 0), dtype=np.bool_))[0].shape == (0, 0)
