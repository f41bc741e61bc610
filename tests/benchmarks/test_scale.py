"""The benchmark of scale: one tiny simulation with its tables, and that the paper's lines follow from their constants."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import scale
from benchmarks.scale import Constants, Job, fitted, paper, saving


def _figure(rows: list[tuple[str, str, str]], what: str) -> float:
    (row,) = [row for row in rows if row[0].startswith(what)]
    return float(re.sub(r"[^\d.]", "", row[1].split()[0]))


def test_twice_the_texts_take_twice_of_what_grows_with_them() -> None:
    by = replace(Constants(), own_growth=0.0)
    one, two = paper(Job(texts=4_000_000), by), paper(Job(texts=8_000_000), by)
    for what in ("generation", "the loop", "memory, flow", "embedded store", "Redis", "network", "Dask"):
        assert _figure(two, what) == pytest.approx(2 * _figure(one, what), rel=0.06), what
    for what in ("Prefect", "API money", "memory, a GPU", "strata"):
        assert _figure(two, what) == _figure(one, what), what
    assert _figure(paper(Job(strata=20_000), by), "strata") == pytest.approx(4 * _figure(paper(Job(), by), "strata"), rel=0.05)


def test_forty_times_fewer_texts_take_a_fortieth() -> None:
    rows = saving(Constants())
    for row in rows:
        assert int(row[1].replace(",", "")) == 40 * int(row[4].replace(",", ""))
    for row in rows[2:]:  # of the others little is left but rounding
        assert float(row[2].split()[-1]) == pytest.approx(40 * float(row[5].split()[-1]), rel=0.02)


def test_a_cost_that_grows_with_the_texts_behind_is_seen() -> None:
    """Rounds of 1,000 texts that take 2 s, and 1 ms more for each round behind."""
    costs = [dict.fromkeys(scale.OWN, (0.5 + 0.00025 * number, 0.0)) | {"features": (0.25, 0.3)} for number in range(10)]
    memory = [1e6 * (number + 1) for number in range(10)]
    by = fitted(Constants(), costs, memory, 1_000, 0)
    assert (by.own_seconds, by.own_growth, by.feature_seconds, by.bytes_in_process) == pytest.approx((2.0, 1.0, 0.25, 1_000.0))
    assert _figure(paper(Job(), by), "the loop") == pytest.approx(np.round(2_000 * (2 + 1) / 60))


def test_a_tiny_simulation_prints_both_tables(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = "--texts 800 --per-round 200 --strata 10 --dimension 8 --clusters 5 --stored 50 --made-strata 4"
    assert scale.main(tiny.split()) == 0
    told = capsys.readouterr().out
    assert "round 4 of 4: " in told
    assert "clustering: " in told
    assert re.search(r"bytes_of_vector \d", told)
    assert told.count("\n| --- |") == 2
    assert "| 70B | 2,000,000 |" in told
