from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from auto_interventions.exploring import Discriminator
from auto_interventions.exploring.discriminator import _RIDGE, LOCAL_PAIRS
from auto_interventions.fingerprint import generator


def sides(count: int, shift: np.ndarray, name: str = "") -> tuple[csr_matrix, csr_matrix]:
    random = generator("test-discriminator", count, name)
    prompt = random.normal(0, 3, (count, 5))  # what a prompt's two texts share, far larger than what differs
    return csr_matrix(prompt + random.normal(size=(count, 5))), csr_matrix(prompt + random.normal(size=(count, 5)) + shift)


ONE = np.array([1.0, 0, 0, 0, 0])


def test_weights_are_those_of_conditional_logistic_regression() -> None:
    """The same problem given to scikit-learn: differences, half of them turned round, no intercept, C = 1/ridge."""
    base, intervention = sides(300, ONE)
    fitted = Discriminator.fit(base, intervention, np.zeros(300, dtype=np.int64))
    signs = np.where(np.arange(300) % 2 == 0, 1, -1)
    reference = LogisticRegression(C=1 / _RIDGE, fit_intercept=False, tol=1e-8, max_iter=1000)
    reference.fit((intervention - base).toarray() * signs[:, None], signs)
    np.testing.assert_allclose(fitted.weights, reference.coef_[0], atol=1e-3)


def test_unseen_pairs_are_told_apart_and_swapping_flips_the_sign() -> None:
    base, intervention = sides(300, 2 * ONE)
    strata = np.arange(300) % 2
    fitted = Discriminator.fit(base, intervention, strata)
    new_base, new_intervention = sides(200, 2 * ONE, "new")
    payoffs = fitted.payoffs(new_base, new_intervention, np.arange(200) % 2)
    assert payoffs.shape == (2, 200)
    assert np.abs(payoffs).max() <= 1
    assert (payoffs[0] > 0).mean() > 0.85
    np.testing.assert_array_equal(fitted.payoffs(new_intervention, new_base, np.arange(200) % 2), -payoffs)


def test_local_corrections_only_where_there_are_enough_pairs() -> None:
    """Stratum 1 goes the other way than stratum 0; stratum 2 has too few pairs for a word of its own."""
    strata = np.repeat([0, 1, 2], [150, 100, LOCAL_PAIRS - 1])
    base, intervention = sides(len(strata), np.zeros(5))
    intervention = csr_matrix(intervention + np.where(strata == 1, -1.5, 1.5)[:, None] * ONE)
    fitted = Discriminator.fit(base, intervention, strata)
    assert set(fitted.corrections) == {0, 1}
    new_base, new_intervention = sides(100, -1.5 * ONE, "new")
    overall, local = fitted.payoffs(new_base, new_intervention, np.ones(100, dtype=np.int64))
    assert local.mean() > overall.mean() + 0.2
    overall, local = fitted.payoffs(new_base, new_intervention, np.full(100, 2))
    np.testing.assert_array_equal(overall, local)


def test_one_stratum_needs_no_correction_and_no_pairs_no_bet() -> None:
    base, intervention = sides(100, ONE)
    assert not Discriminator.fit(base, intervention, np.zeros(100, dtype=np.int64)).corrections
    untrained = Discriminator.fit(base[:0], intervention[:0], np.zeros(0, dtype=np.int64))
    assert not untrained.payoffs(base, intervention, np.zeros(100, dtype=np.int64)).any()


def test_deterministic_and_from_any_start() -> None:
    base, intervention = sides(200, ONE)
    differences, strata = csr_matrix(intervention - base), np.zeros(200, dtype=np.int64)
    one, two = (Discriminator.fit_differences(differences, strata) for _ in range(2))
    np.testing.assert_array_equal(one.weights, two.weights)
    elsewhere = Discriminator(np.full(5, 3.0))
    np.testing.assert_allclose(Discriminator.fit_differences(differences, strata, elsewhere).weights, one.weights, atol=1e-3)


def test_all_texts_alike() -> None:
    same = csr_matrix(np.ones((50, 5)))
    fitted = Discriminator.fit(same, same, np.zeros(50, dtype=np.int64))
    assert not fitted.payoffs(same, same, np.zeros(50, dtype=np.int64)).any()


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_payoffs_are_on_the_likelihood_ratio_scale(shift: float) -> None:
    """Normal texts with a known shift: the log-odds of the order of a pair are shift·Δ, and half of that is the payoff."""
    random = generator("test-discriminator", "scale")
    base, intervention = random.normal(size=(4000, 1)), random.normal(size=(4000, 1)) + shift
    fitted = Discriminator.fit(csr_matrix(base), csr_matrix(intervention), np.zeros(4000, dtype=np.int64))
    assert fitted.weights[0] == pytest.approx(shift, abs=0.1)
