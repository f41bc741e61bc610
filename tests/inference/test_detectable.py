from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.fingerprint import generator
from auto_interventions.inference import Wealth, smallest_detectable


def test_more_texts_see_less_and_more_hypotheses_see_more() -> None:
    sizes = [smallest_detectable(pairs, pairs, 40, 0.05) for pairs in (100, 300, 1000, 4000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.04 < 0.2 < sizes[0]
    assert smallest_detectable(300, 300, 400, 0.05) >= smallest_detectable(300, 300, 4, 0.05)
    assert smallest_detectable(1000, 20, 40, 0.05) > smallest_detectable(1000, 1000, 40, 0.05)  # samples of a prompt are not independent


@pytest.mark.parametrize(("pairs", "prompts"), [(0, 0), (5, 5), (100, 0)])
def test_nothing_could_be_seen(pairs: int, prompts: int) -> None:
    assert smallest_detectable(pairs, prompts, 40, 0.05) == 1.0


def test_deterministic() -> None:
    assert smallest_detectable(200, 100, 10, 0.05, seed=3) == smallest_detectable(200, 100, 10, 0.05, seed=3)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="alpha"):
        smallest_detectable(10, 10, 1, 0.0)


def test_the_real_test_has_the_promised_power_there() -> None:
    """Pairs drawn one by one and bet on by `Wealth`: power near 80% at the size that was promised, far less at half of it."""
    size = smallest_detectable(300, 300, 20, 0.05)
    random = generator("test-detectable")
    bar = np.log(20 * (3 / 0.05 - 2))

    def power(rise: float) -> float:
        wins = 0
        for _ in range(200):
            before, after = (random.random(300) < random.beta(9 * rate, 9 * (1 - rate), 300) for rate in (0.05, 0.05 + rise))
            wins += Wealth.start(two_sided=True).bet(after * 1.0 - before * 1.0).log_e >= bar
        return wins / 200

    assert 0.68 <= power(size) <= 0.92
    assert power(size / 2) < 0.3
