"""What more texts would buy is said in figures that follow from the evidence."""

from __future__ import annotations

import re

from scipy.sparse import csr_matrix

from auto_interventions.confirming import ConfirmState, confirm_round, outlook, plan_confirmation, validated
from auto_interventions.exploring import RoundBatch, RoundState, run_round
from auto_interventions.fingerprint import generator
from auto_interventions.inference import smallest_detectable

from .worlds import STRATA, World, bank, config, explored, hypotheses

CONFIG = config()


def confirmed(name: str, rises: tuple[float, ...], prompts: int) -> ConfirmState:
    world = World(generator("test-outlook", name), rises)
    plan = plan_confirmation(bank(prompts), 0, len(rises), CONFIG, {prompt.id: 1 for prompt in bank(prompts)})
    return confirm_round(ConfirmState.start(hypotheses(len(rises)), len(plan.backbone)), *world.round(list(plan.backbone)))


def test_twice_the_texts_see_smaller_differences() -> None:
    state = confirmed("twice", (0.0, 0.0), 200)
    text = outlook(state, explored(), CONFIG)
    before, after = (float(value) for value in re.findall(r"from ([\d.]+) to ([\d.]+) points", text)[0])
    assert after < before
    assert abs(before - 100 * smallest_detectable(200, 200, 2, 0.05)) < 0.6
    assert "400 more texts" in text


def test_a_sentence_that_leans_is_extrapolated() -> None:
    state = confirmed("leaning", (0.25, *(0.0,) * 19), 40)
    assert not validated(state, explored(), 0.05).any()
    assert state.log_e[0] > 1
    found = re.findall(
        r"(?:one more sentence|the first of \d+ more sentences) would be validated after about ([\d,]+) more",
        outlook(state, explored(), CONFIG),
    )
    assert found
    assert 100 <= int(found[0].replace(",", "")) <= 2000


def looked_once(strata: tuple[str, ...]) -> RoundState:
    """Exploring after a round that drew nothing: all is open."""
    return run_round(RoundState.start(strata), RoundBatch((), csr_matrix((0, 4))), CONFIG)


def test_kinds_and_their_parts_are_counted_as_what_they_are() -> None:
    """The report's verdict counts kinds of prompts; the outlook's number is of all that is decided by itself, so it says of what."""
    whole = looked_once(STRATA)
    nothing = ConfirmState.start([], 0)
    assert outlook(nothing, whole, CONFIG).startswith("More exploring: 3 of 3 kinds of prompts are")
    split = whole.split(0, [("a › x", bank(3)[:1]), ("a › rest", bank(3)[1:2])])
    told = outlook(nothing, split, CONFIG)
    assert told.startswith(
        "More exploring: 4 of 4 kinds and parts of kinds of prompts (2 whole kinds and 2 parts of 1 kind) are undecided; "
    )
    assert "would look at each of them often enough." in told
    again = split.split(3, [("a › x › y", bank(3)[:1]), ("a › x › rest", bank(3)[:1])])
    assert "5 of 5 kinds and parts of kinds of prompts (2 whole kinds and 3 parts of 1 kind) are" in outlook(nothing, again, CONFIG)


def test_one_that_is_undecided_is_told_in_the_singular() -> None:
    one = looked_once(("all",))
    told = outlook(ConfirmState.start([], 0), one, CONFIG)
    assert told.startswith("More exploring: 1 of 1 kind of prompts is undecided; about ")
    assert told.endswith(" more texts would look at it often enough.")
    parts = one.split(0, [("all › x", bank(2, ("all",))[:1]), ("all › rest", bank(2, ("all",))[1:])])
    assert "2 of 2 parts of 1 kind of prompts are undecided" in outlook(ConfirmState.start([], 0), parts, CONFIG)


def test_nothing_judged_says_nothing() -> None:
    assert outlook(ConfirmState.start([], 0), explored(), CONFIG) == ""
