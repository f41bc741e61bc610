"""What docs/guarantee.md says of looking often: p-values give way, the e-value does not, and it still finds what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.peeking import ALPHA, differences, draw, first_alarm

RUNS = 400
LOOKS = np.arange(25, 401, 25)


def test_under_the_null_only_the_e_value_keeps_its_word() -> None:
    alarms = first_alarm(*differences(RUNS, 400, (0.2, 0.2), seed=7), LOOKS)
    wrong = {way: float(np.mean(np.isfinite(when))) for way, when in alarms.items()}
    assert wrong["e-value"] <= ALPHA
    assert wrong["z-test"] > 2 * ALPHA  # at one look it would be alpha
    assert wrong["t-test"] > 2 * ALPHA


def test_at_one_look_a_p_value_is_honest() -> None:
    """So the test above fails p-values for the looking, not for being badly computed."""
    alarms = first_alarm(*differences(4 * RUNS, 400, (0.2, 0.2), seed=8), np.array([400]))
    three_errors = 3 * np.sqrt(ALPHA * (1 - ALPHA) / (4 * RUNS))
    for way in ("z-test", "t-test"):
        assert abs(float(np.mean(np.isfinite(alarms[way]))) - ALPHA) < three_errors


def test_a_difference_is_said() -> None:
    alarms = first_alarm(*differences(100, 400, (0.2, 0.6), seed=9), LOOKS)
    assert np.isfinite(alarms["e-value"]).all()
    assert np.median(alarms["e-value"]) <= 100


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    alarms = first_alarm(*differences(20, 100, (0.2, 0.2), seed=1), np.array([50, 100]))
    draw(alarms, np.array([50, 100]), tmp_path / "peeking.svg")
    assert (tmp_path / "peeking.svg").read_text(encoding="utf-8").startswith("<svg")
