"""What more texts would buy is said in figures that follow from the evidence."""

from __future__ import annotations

import re

from auto_interventions.confirming import ConfirmState, confirm_round, outlook, plan_confirmation, validated
from auto_interventions.fingerprint import generator
from auto_interventions.inference import smallest_detectable

from .worlds import World, bank, config, explored, hypotheses

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
    state = confirmed("leaning", (0.35, *(0.0,) * 19), 40)
    assert not validated(state, explored(), 0.05).any()
    assert state.log_e[0] > 1
    found = re.findall(
        r"(?:one more sentence|the first of \d+ more sentences) would be validated after about ([\d,]+) more",
        outlook(state, explored(), CONFIG),
    )
    assert found
    assert 100 <= int(found[0].replace(",", "")) <= 2000


def test_nothing_judged_says_nothing() -> None:
    assert outlook(ConfirmState.start([], 0), explored(), CONFIG) == ""
