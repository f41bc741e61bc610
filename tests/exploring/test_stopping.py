from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from auto_interventions.exploring import RoundState, why_stop
from auto_interventions.inference import Wealth
from auto_interventions.records import RoundEvidence

from .audits import STRATA, config

SETTINGS = config(max_texts=100_000, rounds=10)


def explored(divergent: list[tuple[int, ...]], stability: float = 0.95, evidence: float = 1.0) -> RoundState:
    history = tuple(RoundEvidence(number + 1, 100, 0.0, (), found, 0.6, stability) for number, found in enumerate(divergent))
    wealth = Wealth.start(two_sided=False, bettors=2).bet(np.full((2, 40), evidence))
    return replace(RoundState.start(STRATA), history=history, overall=wealth, texts=100 * len(divergent))


def test_settled_evidence_stops() -> None:
    assert "settled" in str(why_stop(explored([(0,), (0, 1), (0, 1), (0, 1)]), SETTINGS))
    assert "settled" in str(why_stop(explored([(0, 1)] * 3, stability=math.nan), SETTINGS))


@pytest.mark.parametrize(
    "state",
    [
        explored([(0, 1)] * 2),
        explored([(0,), (0, 1), (0, 1)]),
        explored([(0, 1)] * 3, stability=0.4),
        explored([()] * 5, evidence=0.0),  # nothing found is not settled: it may still come
    ],
)
def test_unsettled_evidence_goes_on(state: RoundState) -> None:
    assert why_stop(state, SETTINGS) is None


def test_other_ends_say_which() -> None:
    quiet = explored([()] * 10, evidence=0.0)
    assert "10 rounds" in str(why_stop(quiet, SETTINGS))
    assert "max_texts" in str(why_stop(explored([()] * 5, evidence=0.0), config(max_texts=1000)))
    assert "no prompt" in str(why_stop(explored([()], evidence=0.0), SETTINGS, exhausted=True))
    assert why_stop(RoundState.start(STRATA), SETTINGS) is None


def test_nothing_left_stops() -> None:
    state = explored([()] * 2, evidence=0.0)
    quiet = np.tile([400.0, 0.0, 4.0], (len(STRATA), 1))
    assert "nothing is left" in str(why_stop(replace(state, payoffs_by_stratum=quiet), SETTINGS))
    loud = quiet.copy()
    loud[2] = [400.0, 30.0, 20.0]
    assert why_stop(replace(state, payoffs_by_stratum=loud), SETTINGS) is None


def test_a_settled_difference_that_has_no_name_goes_on() -> None:
    settled = explored([(0, 1)] * 3)
    assert why_stop(settled, SETTINGS, named=lambda: False) is None
    assert "settled" in str(why_stop(settled, SETTINGS, named=lambda: True))
    quiet = replace(explored([()] * 2, evidence=0.0), payoffs_by_stratum=np.tile([400.0, 0.0, 4.0], (len(STRATA), 1)))
    assert "nothing is left" in str(why_stop(quiet, SETTINGS, named=lambda: False)), "there is nothing to name"


def test_exhaustive_has_one_round() -> None:
    state = replace(explored([()], evidence=0.0), texts=5000)
    assert "at once" in str(why_stop(state, config(strategy="exhaustive", max_texts=100_000)))
    assert why_stop(RoundState.start(STRATA), config(strategy="exhaustive")) is None
