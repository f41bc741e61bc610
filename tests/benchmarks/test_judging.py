"""The benchmark of judging: what is true of its worlds, what its judges make of a difference, and one audit of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.subjects.base import Request
from benchmarks.judging import tables
from benchmarks.judging.arms import ARMS, run, settings
from benchmarks.judging.models import CHEAP, PRICES, Simulated
from benchmarks.judging.world import TRUE, World, plants


def test_differences_are_as_planted_and_null_sentences_have_none() -> None:
    world = World(plants(2), 0)
    assert world.true_difference[: len(TRUE)] == pytest.approx([one.rise for one in TRUE], abs=0.04)
    assert (world.true_difference[len(TRUE) :] == 0).all()
    pair = world.pairs([Request(world.confirm[3], 0, 1)])[0]
    assert World(plants(2), 0).pairs([Request(world.confirm[3], 0, 1)])[0] == pair
    assert world.fits(world.hypotheses[0].statement, pair.base.text) in (True, False)


def test_what_a_judge_makes_of_a_difference_is_known() -> None:
    world = World(plants(1), 1)
    pairs = world.pairs([Request(prompt, 0, 1) for prompt in world.confirm[:300]])
    config = settings(ARMS["b cheap alone"], 400, 1).judge
    judge = Simulated(PRICES[0][0], CHEAP, world.fits, config, 1)
    statement = world.hypotheses[5].statement
    base, intervention = [one.base.text for one in pairs], [one.intervention.text for one in pairs]
    scores = judge.judge.score([statement], base, intervention, [one.prompt.id for one in pairs], np.ones((1, 300), dtype=np.bool_))
    fits = np.array([[world.fits(statement, text) for text in texts] for texts in (base, intervention)], dtype=np.float64)
    payoffs = (scores[1] - scores[0])[0]
    assert payoffs.mean() == pytest.approx(CHEAP.slope * (fits[1] - fits[0]).mean(), abs=3.5 * float(payoffs.std()) / np.sqrt(300))
    assert judge.counts.calls == 60
    assert judge.counts.input_tokens > 60 * 5 * 2 * 100


def test_the_cascade_finds_the_large_differences_for_a_fraction_of_the_money() -> None:
    worlds = [World(plants(2), seed) for seed in (2, 3, 4)]
    found = [run(name, world, 200) for name in ("a published, strong", "c cascade") for world in worlds]
    rows = tables.rows(found)
    assert all(all(one.found[4 : len(TRUE)]) for one in found)
    published, cascade = rows[0], rows[-1]
    assert published.calls == (0, 200 * len(worlds[0].hypotheses))
    assert cascade.price[0] < published.price[0] / 2
    assert "| c cascade | 200 |" in tables.table(rows)
