from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from auto_interventions.fingerprint import generator
from auto_interventions.inference.classical import published_tests, rank_p_values, saffron, sign_p_values
from auto_interventions.records import FloatArray

ALPHA = 0.05


@given(st.lists(st.sampled_from([-1.0, -0.2, 0.0, 0.7, np.nan]), max_size=40))
def test_the_sign_test_is_scipys_binomial_test_without_ties(payoffs: list[float]) -> None:
    gained, lost = sum(x > 0 for x in payoffs), sum(x < 0 for x in payoffs)
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert sign_p_values(np.array([payoffs]).reshape(1, -1))[0] == pytest.approx(expected, rel=1e-9)


def test_mann_whitney_of_yes_and_no_is_nearly_the_two_sample_z_test() -> None:
    base, intervention = np.repeat([0.0, 1.0], [160, 40])[None], np.repeat([0.0, 1.0], [130, 70])[None]
    pooled = 110 / 400
    z = 30 / 200 / np.sqrt(pooled * (1 - pooled) * 2 / 200)
    assert rank_p_values(base, intervention)[0] == pytest.approx(2 * 0.5 * np.exp(-0.717 * z - 0.416 * z**2), rel=0.1)
    assert rank_p_values(intervention, base)[0] == rank_p_values(base, intervention)[0]


def test_scores_in_single_precision_keep_their_small_p_values() -> None:
    random = generator("single", "precision")
    base, intervention = (random.random((1, 360)) < rate for rate in (0.01, 0.7))
    p_values = [rank_p_values(base.astype(kind), intervention.astype(kind))[0] for kind in (np.float32, np.float64)]
    assert 1e-100 < p_values[0] == p_values[1] < 1e-50


def test_nothing_judged_or_nothing_but_ties_is_no_evidence() -> None:
    for empty in (np.zeros((2, 0)), np.full((2, 5), np.nan), np.full((2, 5), 0.3)):
        assert rank_p_values(empty, empty).tolist() == [1, 1]
        assert sign_p_values(empty - empty).tolist() == [1, 1]
    assert rank_p_values(np.full((1, 3), np.nan), np.ones((1, 3))).tolist() == [1]
    assert published_tests(np.zeros((0, 4)), np.zeros((0, 4)), [], ALPHA) == []


def test_p_values_stay_above_zero() -> None:
    assert 0 < sign_p_values(np.ones((1, 5000)))[0] < 1e-200
    assert 0 < rank_p_values(np.zeros((1, 9000)), np.ones((1, 9000)))[0] < 1e-200


def levels_by_definition(p_values: list[float], alpha: float) -> list[float]:
    """α_t as written in the paper, with its sums; γ from a long enough series."""
    series = np.arange(1, 2_000_000, dtype=np.float64) ** -1.6
    gamma = np.concatenate([[0.0], series / (series.sum() + len(series) ** -0.6 / 0.6)])
    levels: list[float] = []
    candidate = [p <= 0.5 for p in p_values]
    times: list[int] = []  # 1-based times of rejections
    for t in range(1, len(p_values) + 1):
        wealth = alpha / 2 * gamma[t - sum(candidate[: t - 1])]
        for number, tau in enumerate(times):
            amount = alpha / 2 if number == 0 else alpha
            wealth += amount * gamma[t - tau - sum(candidate[tau : t - 1])]
        levels.append(min(0.5, 0.5 * wealth))
        if p_values[t - 1] <= levels[-1]:
            times.append(t)
    return levels


STREAM = st.lists(st.one_of(st.floats(0, 1), st.floats(0, 0.01)), max_size=40)


def test_saffron_is_its_definition() -> None:
    random = generator("test-saffron", "definition")
    for number in range(20):
        stream = np.where(random.random(60) < 0.3, random.random(60) * 0.004, random.random(60)).tolist()
        rejected, levels = saffron(stream, 0.05 * (1 + number % 3))
        np.testing.assert_allclose(levels, levels_by_definition(stream, 0.05 * (1 + number % 3)), rtol=1e-6)
        assert rejected.tolist() == [p <= level for p, level in zip(stream, levels, strict=True)]


@given(STREAM, st.sampled_from([0.01, 0.05, 0.3]))
def test_saffron_never_estimates_more_false_discoveries_than_alpha(stream: list[float], alpha: float) -> None:
    rejected, levels = saffron(stream, alpha)
    paid = np.cumsum(np.where(np.array(stream) > 0.5, levels / 0.5, 0.0))
    assert np.all(paid <= alpha * np.maximum(1, np.cumsum(rejected)) + 1e-12)


@given(STREAM, st.floats(0, 1))
def test_saffron_never_looks_ahead(stream: list[float], last: float) -> None:
    rejected, levels = saffron(stream, ALPHA)
    more_rejected, more_levels = saffron([*stream, last], ALPHA)
    assert more_levels[:-1].tolist() == levels.tolist()
    assert more_rejected[:-1].tolist() == rejected.tolist()


def audits(simulation: int, planted: int, pairs: int = 120, sentences: int = 40) -> tuple[FloatArray, FloatArray]:
    """Yes/no scores of `sentences` sentences, the first `planted` of them real, on pairs from one prompt each."""
    random = generator("test-classical", planted, simulation)
    rates = random.uniform(0.05, 0.4, (sentences, 1)) + np.zeros((1, pairs))
    after = rates.copy()
    after[:planted] += 0.35
    return (random.random(rates.shape) < rates).astype(float), (random.random(rates.shape) < after).astype(float)


def test_false_discovery_rates_and_power_on_a_fixed_number_of_texts() -> None:
    """400 audits of 40 sentences, 5 planted late in the order of birth: realised FDR ≤ α + 3 standard errors for all three; power."""
    proportions, powers = np.zeros((400, 3)), np.zeros((400, 3))
    for simulation in range(400):
        base, intervention = audits(simulation, 5)
        told = published_tests(base, intervention, [2] * 5 + [1] * 35, ALPHA)
        kept = np.array(
            [
                [one["binomial"]["benjamini_hochberg"], one["mann_whitney"]["benjamini_hochberg"], one["saffron"]["rejected"]]  # pyright: ignore
                for one in told
            ]
        )
        proportions[simulation] = kept[5:].sum(axis=0) / np.maximum(1, kept.sum(axis=0))
        powers[simulation] = kept[:5].mean(axis=0)
    assert np.all(proportions.mean(axis=0) <= ALPHA + 3 * proportions.std(axis=0) / 20)
    assert powers.mean(axis=0)[:2].min() > 0.9
    assert powers.mean(axis=0)[2] > 0.5


def test_identical_models_say_nothing_unless_somebody_peeks() -> None:
    """600 audits of one sentence: the sign test keeps its level on all texts, and loses it when it is looked at every 25."""
    hits = peeked = 0
    for simulation in range(600):
        base, intervention = audits(simulation, 0, pairs=1000, sentences=1)
        payoffs = intervention - base
        hits += int(sign_p_values(payoffs)[0] <= ALPHA)
        looks = [sign_p_values(payoffs[:, :seen])[0] for seen in range(25, 1001, 25)]
        peeked += min(looks) <= ALPHA
    assert hits / 600 <= ALPHA + 3 * np.sqrt(ALPHA / 600)
    assert peeked / 600 > 0.15


def test_saffron_goes_by_birth_and_unjudged_pairs_are_left_out() -> None:
    base, intervention = audits(0, 3)
    intervention[4, :30] = np.nan
    born = [3, 3, 1, 0, 2] + [4] * 35
    told = published_tests(base, intervention, born, ALPHA)
    order = np.argsort(born, kind="stable")
    p_values = sign_p_values(intervention - base)
    rejected, levels = saffron(p_values[order], ALPHA)
    assert [told[row]["saffron"] for row in order] == [
        {"level": float(level), "rejected": bool(hit)} for level, hit in zip(levels, rejected, strict=True)
    ]
    assert [one["pairs"] for one in told] == [120] * 4 + [90] + [120] * 35
    assert told[4]["mann_whitney"]["p_value"] == rank_p_values(base[4:5, 30:], intervention[4:5, 30:])[0]  # pyright: ignore


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="shape"):
        sign_p_values(np.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        rank_p_values(np.zeros((2, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="one shape"):
        published_tests(np.zeros((2, 3)), np.zeros((2, 4)), [0, 0], ALPHA)
    for bad in ([np.nan], [1.5]):
        with pytest.raises(ValueError, match="p-values"):
            saffron(bad, ALPHA)
    with pytest.raises(ValueError, match="alpha"):
        saffron([0.5], 1.0)
