"""Blocks: who is judged on which pairs next, and when a sentence is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from auto_interventions.confirming import (
    ConfirmState,
    confirm_round,
    judge_round,
    next_block,
    next_round,
    plan_confirmation,
    shares_of,
    standing,
    why_stop_confirming,
)
from auto_interventions.confirming.focus import starting_wealth
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import betting_grid
from auto_interventions.judging.judged import Judged
from auto_interventions.records import BoolArray, Pair
from auto_interventions.subjects.base import Request

from . import worlds
from .readers import STRATA, Readers, certain, confirm, pairs_of, sentences, settings

CONFIG = settings()
NO_MORE = {"max_pairs": 0}


def drawn(prompts: int, samples: int = 1) -> list[Pair]:
    return pairs_of([Request(prompt, 0, samples) for prompt in worlds.bank(prompts, STRATA)])


def after(payoffs: list[list[float]], planned: int = 300) -> ConfirmState:
    """The state after verdicts that paid so much, one pair a prompt."""
    paid = np.array(payoffs, dtype=np.float32)
    start = ConfirmState.start(sentences(len(paid)), planned, dict.fromkeys(STRATA, 150))
    said = Judged.of_scores(np.maximum(-paid, 0), np.maximum(paid, 0))
    return confirm_round(start, drawn(paid.shape[1]), judged=said, cells=~np.isnan(paid))


def test_the_first_block_is_the_first_twenty_pairs_of_every_sentence_and_blocks_grow() -> None:
    start = ConfirmState.start(sentences(3), 300, dict.fromkeys(STRATA, 150))
    block = next_block(start, certain(), CONFIG, np.ones(3), drawn(60), 60)
    assert (block.pairs, block.backbone_pairs) == (20, 20)
    assert block.cells.all()
    sizes = []
    judges = Readers(generator("test-blocks"), (0.08,) * 3)
    state = judge_round(
        start, certain(), settings(max_pairs=10_000), drawn(300), 300, np.ones(3), judges, lambda now: sizes.append(len(now.pairs))
    )
    steps = np.diff([0, *sizes])
    assert steps[1] == 10
    assert steps[:-1].max() <= 50
    assert len(state.pairs) <= 300


def test_checks_are_judged_on_every_pair_in_one_block_where_nothing_else_is() -> None:
    start = ConfirmState.start(worlds.hypotheses(3), 300)
    block = next_block(start, certain(), CONFIG, np.zeros(3), drawn(60), 45)
    assert (block.pairs, block.backbone_pairs) == (60, 45)
    assert block.cells.all()


def test_of_a_visit_so_many_samples_are_judged_as_it_takes_and_it_is_never_divided() -> None:
    mixed = [*worlds.hypotheses(1), *sentences(2)[1:]]
    start = ConfirmState.start(mixed, 200, dict.fromkeys(STRATA, 100))  # 400 pairs over 200 prompts: two samples of each
    block = next_block(start, certain(), settings(max_pairs=400), np.array([0.0, 1.0]), drawn(60, samples=5), 300)
    assert block.pairs == 50  # ten prompts of five samples
    assert block.cells[0].all()
    assert block.cells[1].reshape(10, 5).tolist() == [[True, True, False, False, False]] * 10


def test_money_goes_where_it_buys_evidence() -> None:
    clear, faint = [1.0, 1.0, -1.0, 1.0, 0.0] * 5, [1.0, 0.0, -1.0, 0.0, 0.0] * 5
    state = after([clear, faint, clear])
    block = next_block(state, certain(), CONFIG, np.array([1.0, 1.0, 1.0]), drawn(340)[40:], 300)
    assert block.cells.any(axis=1).tolist() == [True, False, True], "what hardly grows waits"
    dear = next_block(state, certain(), CONFIG, np.array([1.0, 1.0, 50.0]), drawn(340)[40:], 300)
    assert dear.cells.any(axis=1).tolist() == [True, False, False], "what costs fifty times as much waits"
    young = after([clear, clear[:10] + [float("nan")] * 15])
    block = next_block(young, certain(), CONFIG, np.array([1.0, 90.0]), drawn(340)[40:], 300)
    assert block.cells.any(axis=1).all(), "everyone gets its first pairs"


def test_standing() -> None:
    won, nothing, even = [1.0, 1.0, 1.0, 0.0] * 15, [0.0] * 60, [1.0, -1.0, 0.0, 0.0] * 15
    leans = [1.0, 1.0, 0.0, -1.0] * 15
    state = after([won, nothing, even, leans, [float("nan")] * 60])
    assert standing(state, certain(), CONFIG) == ("validated", "hopeless", "hopeless", "open", "open")
    assert standing(state, certain(), settings({"smallest_effect": 0.1}))[1] == "small"
    assert standing(state, certain(), settings(max_pairs=60))[2] == "capped"
    assert standing(after([won[:12]]), certain(), CONFIG) == ("open",), "twenty prompts for the interval"
    assert standing(after([won[:12]], planned=12), certain(), CONFIG) == ("validated",), "where there are so many"


def test_a_bar_that_rises_opens_a_validated_sentence_again() -> None:
    strong, weak = [1.0] * 30, [1.0] * 14 + [-1.0] * 2 + [0.0] * 14
    both, alone = after([strong, weak]), after([[0.0] * 30, weak])
    assert standing(both, certain(), CONFIG) == ("validated", "validated")
    assert standing(alone, certain(), CONFIG)[1] != "validated"


def test_it_stops_drawing_as_soon_as_nothing_is_open_and_says_how_sentences_ended() -> None:
    judges = Readers(generator("test-stop"), (0.7, 0.0, 0.0))
    states = confirm(judges, CONFIG, sentences(3), certain())
    why = str(why_stop_confirming(states[-1], certain(), CONFIG))
    assert "1 validated" in why
    assert "2 out of reach within 500 judged pairs" in why or "undecided after" in why
    assert all(why_stop_confirming(state, certain(), CONFIG) is None for state in states[:-1])
    early = why_stop_confirming(states[0], certain(), settings(max_pairs=len(states[0].pairs) // 2), exhausted=True)
    assert "judge.max_pairs" in str(early)
    spent = str(why_stop_confirming(states[0], certain(), settings().model_copy(update={"judge": CONFIG.judge.model_copy(update=NO_MORE)})))
    assert "undecided as the money is spent" in spent


def test_plans_of_language_models_are_small() -> None:
    bank = worlds.bank(900, STRATA)
    plan = plan_confirmation(bank, 0, 5, settings(max_pairs=200), checks=0)
    assert plan.pairs == 400
    assert {request.samples for request in plan.backbone} == {1}
    assert sum(request.samples for request in plan.backbone) == 400
    state = ConfirmState.start(sentences(5), len(plan.backbone), dict.fromkeys(STRATA, 450))
    assert len(next_round(plan, state, certain(), CONFIG).requests) == 50
    whole = plan_confirmation(bank, 0, 5, CONFIG, checks=2)
    assert whole == plan_confirmation(bank, 0, 5, CONFIG)


def test_a_small_pool_is_asked_again_until_all_is_settled() -> None:
    """40 prompts, sentences that need more than 40 pairs; what comes after the backbone carries evidence."""
    last = confirm(Readers(generator("test-small"), (0.35, 0.0)), CONFIG, sentences(2), certain(), prompts=40)[-1]
    assert last.backbone_prompts == 40
    assert last.backbone.sum() == 40
    assert len(last.pairs) > 40
    assert "open" not in standing(last, certain(), CONFIG)


def test_exhaustive_audits_judge_the_first_pairs_of_every_prompt() -> None:
    exhaustive = settings(max_pairs=60).model_copy(update={"sampling": worlds.config(strategy="exhaustive").sampling})
    mixed = [*worlds.hypotheses(1), *sentences(2)[1:]]
    start = ConfirmState.start(mixed, 50, dict.fromkeys(STRATA, 25), fixed=True)
    pairs = drawn(50, samples=4)
    judges = Readers(generator("test-exhaustive"), (0.9, 0.9), accuracy=0.9)
    state = judge_round(start, certain(), exhaustive, pairs, len(pairs), np.ones(2), judges)
    assert state.tried.tolist() == [200, 60]
    assert (state.p_values < 0.01).all()


def test_what_a_judge_raises_loses_only_the_block_at_work() -> None:
    class SpentError(Exception):
        pass

    judges, kept = Readers(generator("test-spent"), (0.05,) * 2), []

    def until_spent(pairs: Sequence[Pair], cells: BoolArray) -> Judged:
        if judges.calls["cheap"] > 60:
            raise SpentError
        return judges(pairs, cells)

    start = ConfirmState.start(sentences(2), 300, dict.fromkeys(STRATA, 150))
    with pytest.raises(SpentError):
        judge_round(start, certain(), CONFIG, drawn(200), 200, np.ones(2), until_spent, kept.append)
    assert kept
    assert kept[-1].tried.sum() == judges.calls["cheap"]


def test_judged_sentences_do_not_starve_beside_lexical_ones() -> None:
    lexical = [replace(one, evidence=300.0) for one in worlds.hypotheses(60)]
    read = [replace(one, evidence=evidence) for one, evidence in zip(sentences(8), (3.0, *[0.0] * 7), strict=True)]
    shares = shares_of([*lexical, *read])
    assert shares.sum() == pytest.approx(1.0)
    assert shares[60:].sum() == pytest.approx(0.5)
    assert shares[60] > 3 * shares[61] > 0.01
    own = shares_of([*lexical, *read, replace(read[1], statement="mine", source="own")])
    assert own[-1] == pytest.approx(own[60:].max())


def test_twelve_screened_pairs_give_a_sensible_stake() -> None:
    """Eight of twelve gained, two lost: most of the capital bets forward at about the best stake; against nothing it stays small."""
    grid = betting_grid(two_sided=True)
    wealth = np.exp(starting_wealth(sentences(2), np.array([[12.0, 6.0, 10.0], [12.0, 0.0, 2.0]])))
    assert 0.3 < float(wealth[0] @ grid) < 0.6
    assert abs(grid[wealth[0].argmax()]) == pytest.approx(0.6)
    assert float(wealth[1] @ grid) < 0.4
    assert wealth[:, grid < 0].sum(axis=1) == pytest.approx([0.15, 0.15])


def test_the_strong_judge_sees_all_of_a_sentence_that_leads() -> None:
    leads, faint = [1.0, 1.0, 1.0, 1.0, -1.0, 0.0] * 4, [1.0, 0.0, -1.0, 0.0, 0.0, 0.0] * 4
    dumb = [0.5, -0.5] * 12  # one of the two scores is in the borderline, every time
    config = settings(strong="openai:strong", slice=0.1)
    block = next_block(after([leads, faint, dumb]), certain(), config, np.ones(3), drawn(340)[40:], 300)
    assert block.slices.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.1, 1.0]], "all; nothing yet; what the cheap judge cannot say"
    start = ConfirmState.start(sentences(2), 300, dict.fromkeys(STRATA, 150), least_chance=0.1)
    said = Readers(generator("test-leads"), (0.5, 0.5))(drawn(30), np.ones((2, 30), dtype=np.bool_), np.array([1.0, 0.1]))
    state = confirm_round(start, drawn(30), judged=said, slices=np.array([1.0, 0.1]))
    assert state.sized_prompts(0) > 20 > 10 > state.sized_prompts(1)
    with pytest.raises(ValueError, match="chance"):
        confirm_round(start, drawn(30), judged=said, slices=np.array([1.0, 0.5]))


def test_sizes_rest_on_the_pairs_that_had_a_second_judge() -> None:
    """Forty verdicts of the cheap judge alone, all for the intervention, and thirty of both, the strong one's all even."""
    start = ConfirmState.start(sentences(1), 300, dict.fromkeys(STRATA, 150), least_chance=0.2)
    zeros, ones = np.zeros((1, 40), dtype=np.float32), np.ones((1, 40), dtype=np.float32)
    state = confirm_round(start, drawn(40), judged=Judged.of_scores(zeros, ones), slices=np.zeros((1, 2)))
    assert (state.judged_prompts(0), state.sized_prompts(0)) == (40, 40)
    few = np.ones((1, 30), dtype=np.float32)
    said = Judged(0 * few, few, few, few, np.ones((1, 30), dtype=np.bool_), np.ones((1, 30)))
    state = confirm_round(state, drawn(70)[40:], judged=said, slices=np.ones((1, 2)))
    assert (state.judged_prompts(0), state.sized_prompts(0)) == (30, 30)
    effect = state.effect(0, 0.05)
    assert effect.difference == 0
    assert effect.interval[0] < 0 < effect.interval[1] < 0.6
    assert state.paid[0].tolist() == [70, 40, 40]
