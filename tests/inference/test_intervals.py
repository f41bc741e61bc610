from __future__ import annotations

import time

import numpy as np
import pytest

from auto_interventions.fingerprint import generator
from auto_interventions.inference import confidence_sequence, e_by_level
from auto_interventions.inference.intervals import mean_within

# name: (draw n values, bounds, true mean)
LAWS = {
    "coin 0.3": (lambda random, n: (random.random(n) < 0.3) * 1.0, (0, 1), 0.3),
    "rare 0.01": (lambda random, n: (random.random(n) < 0.01) * 1.0, (0, 1), 0.01),
    "skewed beta": (lambda random, n: random.beta(0.3, 3, n), (0, 1), 0.3 / 3.3),
    "difference 0.35": (lambda random, n: (random.random(n) < 0.4) * 1.0 - (random.random(n) < 0.05), (-1, 1), 0.35),
    "difference of means of 4": (lambda random, n: (random.binomial(4, 0.2, n) - random.binomial(4, 0.1, n)) / 4, (-1, 1), 0.1),
    "no difference": (lambda random, n: (random.random(n) < 0.02) * 1.0 - (random.random(n) < 0.02), (-1, 1), 0.0),
}
LOOKS = (5, 20, 60, 150, 300)


@pytest.mark.parametrize("planned", [300, 100, None])
@pytest.mark.parametrize("law", LAWS)
def test_covers_at_every_look(law: str, planned: int | None) -> None:
    """P(the mean is outside at any look) ≤ α, with and without a plan, also when the plan is overrun."""
    draw, (lower, upper), mean = LAWS[law]
    random = generator("test-intervals", law, str(planned))
    simulations, missed = 250, 0
    for _ in range(simulations):
        values = draw(random, LOOKS[-1])
        intervals = [confidence_sequence(values[:look], lower, upper, 0.05, planned=planned) for look in LOOKS]
        missed += any(not lo <= mean <= hi for lo, hi in intervals)
    assert missed / simulations <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / simulations)


@pytest.mark.parametrize("law", ["coin 0.3", "difference 0.35", "difference of means of 4"])
def test_width_is_near_the_central_limit(law: str) -> None:
    draw, (lower, upper), _ = LAWS[law]
    random = generator("test-intervals", "width", law)
    ratios = []
    for _ in range(30):
        values = draw(random, 300)
        lo, hi = confidence_sequence(values, lower, upper, 0.05, planned=300)
        ratios.append((hi - lo) / 2 / (1.96 * values.std() / np.sqrt(300)))
    assert 1.0 < np.mean(ratios) < 1.35


def test_a_fixed_n_interval_fails_where_this_one_holds() -> None:
    """The coverage test can fail: peeking at central-limit intervals misses far too often."""
    random = generator("test-intervals", "clt")
    missed = 0
    for _ in range(300):
        values = random.normal(0.5, 0.1, 300)
        means = np.cumsum(values) / np.arange(1, 301)
        half = 1.96 * 0.1 / np.sqrt(np.arange(1, 301))
        missed += bool((np.abs(means - 0.5) > half)[4:].any())
    assert missed / 300 > 0.2


def test_edges() -> None:
    assert confidence_sequence(np.array([]), 0, 1, 0.05) == (0, 1)
    assert confidence_sequence(np.array([np.nan, np.nan]), -1, 1, 0.05) == (-1, 1)
    lo, hi = confidence_sequence(np.array([1.0]), 0, 1, 0.05)
    assert lo < 0.1
    assert hi == 1
    lo, hi = confidence_sequence(np.zeros(300), -1, 1, 0.05, planned=300)
    assert lo < 0 < hi
    assert hi - lo < 0.12
    values = (generator("test-intervals", "nan").random(100) < 0.3) * 1.0
    padded = np.insert(values, [0, 50, 100], np.nan)
    assert confidence_sequence(padded, 0, 1, 0.05) == confidence_sequence(values, 0, 1, 0.05)


def test_mirror_and_scale() -> None:
    values = (generator("test-intervals", "mirror").random(200) < 0.2) * 1.0
    lo, hi = confidence_sequence(values, 0, 1, 0.05, planned=200)
    mirrored = confidence_sequence(1 - values, 0, 1, 0.05, planned=200)
    np.testing.assert_allclose(mirrored, (1 - hi, 1 - lo), atol=1e-6)
    np.testing.assert_allclose(confidence_sequence(10 * values - 5, -5, 5, 0.05, planned=200), (10 * lo - 5, 10 * hi - 5), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.array([1.2]), 0, 1, 0.05), "lie in"),
        ((np.array([0.2]), 1, 0, 0.05), "below"),
        ((np.array([0.2]), 0, 1, 1.0), "alpha"),
        ((np.array([0.2]), 0, 1, 0.05, np.array([-1.0])), "weights"),
        ((np.array([0.2]), 0, 1, 0.05, np.array([1.0, 1.0])), "weights"),
    ],
)
def test_bad_input(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confidence_sequence(*arguments)  # pyright: ignore[reportArgumentType]


def test_weights_undo_unequal_sampling() -> None:
    """A stratum of 20% of the pool is drawn half the time; weighted intervals cover the pool's mean, unweighted ones miss it."""
    random = generator("test-intervals", "weights")
    missed = unweighted = 0
    for _ in range(200):
        small = random.random(400) < 0.5
        values = (random.random(400) < np.where(small, 0.8, 0.1)) * 1.0
        weights = np.where(small, 0.2 / 0.5, 0.8 / 0.5)
        lo, hi = confidence_sequence(values, 0, 1, 0.05, weights=weights, planned=400)
        missed += not lo <= 0.24 <= hi
        lo, hi = confidence_sequence(values, 0, 1, 0.05, planned=400)
        unweighted += not lo <= 0.24 <= hi
    assert missed / 200 <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 200)
    assert unweighted > 190


def test_selected_intervals_keep_their_false_coverage_rate() -> None:
    """40 means, those whose interval leaves out 0 are selected: at level α·selected/tested few of them miss; at α many more would."""
    random = generator("test-intervals", "fcr")
    adjusted, plain = [], []
    for _ in range(120):
        means = np.where(np.arange(40) < 36, 0.0, 0.3)
        samples = [(random.random(100) < 0.3 + mean) * 1.0 - (random.random(100) < 0.3) for mean in means]
        intervals = [confidence_sequence(values, -1, 1, 0.3, running=False, planned=100) for values in samples]
        chosen = [number for number, (lo, hi) in enumerate(intervals) if not lo <= 0 <= hi]
        if chosen:
            plain.append(np.mean([not intervals[number][0] <= means[number] <= intervals[number][1] for number in chosen]))
            level = e_by_level(len(chosen), 40, 0.3)
            wide = [confidence_sequence(samples[number], -1, 1, level, running=False, planned=100) for number in chosen]
            adjusted.append(np.mean([not lo <= means[number] <= hi for number, (lo, hi) in zip(chosen, wide, strict=True)]))
    assert np.sum(adjusted) / 120 <= 0.3
    assert np.mean(plain) > np.mean(adjusted) + 0.1
    with pytest.raises(ValueError, match="selected"):
        e_by_level(0, 3, 0.05)


def test_fast_enough() -> None:
    values = generator("test-intervals", "speed").random(1000)
    start = time.process_time()
    for _ in range(10):
        confidence_sequence(values, 0, 1, 0.05, planned=1000)
    assert (time.process_time() - start) / 10 < 0.05


def test_values_of_unequal_reach_cover_at_every_look_though_the_past_chose_the_reach() -> None:
    """Rare checks (0 or ±1 weighed by 1/π) until the sum leans, then direct values; the mean stays 0.2."""
    random, missed = generator("mean within"), 0
    for _ in range(300):
        values, reach = np.zeros(120), np.ones(120)
        for place in range(120):
            value = random.choice([1.0, 0.0, -1.0], p=[0.4, 0.4, 0.2])
            if place < 20 or abs(values[:place].mean()) < 0.2:
                reach[place] = 9.0
                value = value / 0.2 if random.random() < 0.2 else 0.0
            values[place] = value
        ends = [mean_within(values[:look], reach[:look], 0.05, planned=100) for look in (20, 50, 120)]
        missed += any(not lo <= 0.2 <= hi for lo, hi in ends)
    assert missed / 300 <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 300)


def test_equal_reach_is_the_plain_interval() -> None:
    values = generator("mean within", "plain").choice([1.0, 0.0, -1.0], 150)
    values[3] = np.nan
    plain = confidence_sequence(values, -1, 1, 0.05, planned=100)
    assert mean_within(values, np.ones(150), 0.05, planned=100) == pytest.approx(plain, abs=1e-5)
    assert mean_within(values[:0], np.ones(0), 0.05) == (-1.0, 1.0)


@pytest.mark.parametrize(("value", "reach", "alpha"), [(2.0, 1.5, 0.05), (0.1, 0.5, 0.05), (0.1, 1.0, 0.0)])
def test_values_beyond_their_reach_are_refused(value: float, reach: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"reach|alpha"):
        mean_within(np.array([value]), np.array([reach]), alpha)
