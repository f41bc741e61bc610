from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import pytest

from auto_interventions.examining import generalisation
from auto_interventions.fingerprint import generator
from auto_interventions.records import Pair
from tests.examining.making import pair

ALPHA = 0.05
STRATA = ["animals", "boats", "cities", "days"]


def world(seed: int, differences: list[float], prompts: int = 200, samples: int = 1) -> tuple[list[Pair], Any, Any]:
    """Yes/no scores with a base rate of 0.2, prompts spread evenly over as many strata as there are differences."""
    random = generator("test-generalising", seed)
    pairs = [
        pair(number, "a", "b", STRATA[number % len(differences)], sample=sample) for number in range(prompts) for sample in range(samples)
    ]
    gains = np.array([differences[STRATA.index(one.prompt.stratum)] for one in pairs])
    base = (random.random(len(pairs)) < 0.2 + np.maximum(-gains, 0)).astype(np.float32)
    intervention = (random.random(len(pairs)) < 0.2 + np.maximum(gains, 0)).astype(np.float32)
    return pairs, base, intervention


def look(pairs: list[Pair], base: Any, intervention: Any, more_in: Any = "intervention", **given: Any) -> dict[str, Any]:
    return cast(dict[str, Any], generalisation(pairs, base, intervention, more_in, ALPHA, **given))


def test_a_finding_of_one_stratum_does_not_stand_without_it() -> None:
    told = look(*world(0, [0.0, 0.0, 0.7, 0.0]))
    assert told["strongest"] == "cities"
    assert told["each"][0]["stratum"] == "cities"
    assert told["each"][0]["interval"][0] > 0
    assert (told["strata"], told["clear"], told["opposite"]) == (4, 1, 0)
    assert told["without_strongest"]["stands"] is False
    assert told["without_strongest"]["prompts"] == 150
    json.dumps(told)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_finding_of_all_strata_stands_without_its_best(sign: int) -> None:
    told = look(*world(1, [sign * 0.5] * 4), more_in="intervention" if sign > 0 else "base")
    assert (told["same_sign"], told["clear"], told["opposite"]) == (4, 4, 0)
    assert told["without_strongest"]["stands"] is True
    lo, hi = told["without_strongest"]["interval"]
    assert lo <= told["without_strongest"]["difference"] <= hi
    wrong = look(*world(1, [sign * 0.5] * 4), more_in="base" if sign > 0 else "intervention")
    assert (wrong["same_sign"], wrong["clear"], wrong["opposite"], wrong["without_strongest"]["stands"]) == (0, 0, 4, False)


def test_intervals_hold_for_all_strata_at_once_and_nothing_stands_by_chance() -> None:
    """300 audits whose only difference is in one stratum: all four intervals cover, and the rest stands, at their rates."""
    covered = stands = 0
    truth = [0.5, 0.0, 0.0, 0.0]
    for seed in range(300):
        told = look(*world(seed + 10, truth, prompts=120))
        truths = dict(zip(STRATA, truth, strict=True))
        covered += all(one["interval"][0] <= truths[one["stratum"]] <= one["interval"][1] for one in told["each"])
        stands += told["without_strongest"]["stands"]
    assert covered / 300 >= 1 - ALPHA - 3 * np.sqrt(ALPHA / 300)
    assert stands / 300 <= ALPHA / 2 + 3 * np.sqrt(ALPHA / 2 / 300)


def test_prompts_are_the_unit_and_only_the_random_sample_speaks_for_the_pool() -> None:
    pairs, base, intervention = world(2, [0.5, 0.5], prompts=60, samples=4)
    told = look(pairs, base, intervention)
    assert [one["prompts"] for one in told["each"]] == [30, 30]
    backbone = np.arange(len(pairs)) < 80  # twenty prompts
    assert look(pairs, base, intervention, random_sample=backbone)["without_strongest"]["prompts"] == 10
    intervention[:8] = np.nan  # two prompts
    assert sorted(one["prompts"] for one in look(pairs, base, intervention)["each"]) == [29, 29]


def test_small_worlds() -> None:
    pairs, base, intervention = world(3, [0.5], prompts=30)
    assert look(pairs, base, intervention)["without_strongest"] is None
    nothing = look(pairs, np.full(30, np.nan), intervention)
    assert nothing == {"not_available": "no stratum has two judged prompts"}
    lone = [pair(number, "a", "b", f"stratum {number}") for number in range(9)]
    assert "not_available" in look(lone, np.zeros(9), np.ones(9))
    assert look([], np.zeros(0), np.zeros(0)) == nothing
    with pytest.raises(ValueError, match="as many scores"):
        look(pairs, base[:-1], intervention)
