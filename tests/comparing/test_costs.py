from __future__ import annotations

import pytest

from auto_interventions.comparing.costs import Cost, costs_of

ACTIVE = {
    "stages": {
        "prepare": {"seconds": 1.0},
        "scan: generate": {"seconds": 2.0, "texts": 100, "tokens": 3000},
        "focus: generate": {"seconds": 3.0, "texts": 50, "tokens": 1500},
        "confirm: generate": {"seconds": 5.0, "texts": 50, "tokens": 1500},
        "confirm: judge": {"seconds": 0.5, "judge_calls": 10, "judge_calls_cached": 30},
    },
    "all": {"texts": 200, "tokens": 6000, "seconds": 11.5, "embeddings_computed": 90, "embeddings_cached": 10,
            "judge_calls": 10, "judge_calls_cached": 30},
}  # fmt: skip
EXHAUSTIVE = {
    "stages": {"scan: generate": {"seconds": 400.0}, "something new": {"seconds": 1.0}},
    "all": {"texts": 10_000, "texts_reused": 7, "tokens": 300_000, "seconds": 401.0, "embeddings_computed": 5000, "judge_calls": 4000},
}


def test_ratios_of_totals() -> None:
    costs = costs_of(ACTIVE, EXHAUSTIVE)
    assert costs.of("texts").ratio == 50
    assert costs.of("tokens").ratio == 50
    assert costs.of("embeddings").ratio == 50, "what the store held was asked for too"
    assert costs.of("judge calls").ratio == 100
    assert costs.of("dollars").ratio is None
    assert costs.seconds.ratio == pytest.approx(401 / 11.5)
    assert costs.reused == (0, 7)


def test_seconds_by_kind_of_work_fold_the_rounds() -> None:
    stages = {cost.name: cost for cost in costs_of(ACTIVE, EXHAUSTIVE).stages}
    assert list(stages) == ["prepare", "generate", "judge", "something new"]
    assert stages["generate"] == Cost("generate", 10.0, 400.0)
    assert sum(cost.active for cost in stages.values()) == pytest.approx(11.5)


def test_empty_ledgers_cost_nothing() -> None:
    costs = costs_of({}, {})
    assert all(cost.active == cost.exhaustive == 0 and cost.ratio is None for cost in (*costs.totals, costs.seconds))
    assert costs.stages == ()
