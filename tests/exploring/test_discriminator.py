from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from auto_interventions.exploring import Discriminator
from auto_interventions.exploring.discriminator import _DENSE
from auto_interventions.fingerprint import generator

ONE = np.array([1.0, 0, 0, 0, 0])


def differences(count: int, shift: np.ndarray, name: str = "") -> csr_matrix:
    """Differences of `count` pairs of normal texts, the intervention's moved by `shift`."""
    random = generator("test-discriminator", count, name)
    return csr_matrix(random.normal(size=(count, 5)) - random.normal(size=(count, 5)) + shift)


def marked(count: int, share: float, name: str = "", words: int = 400) -> tuple[csr_matrix, np.ndarray]:
    """Pairs of texts of words, each there or not; column 0 is a word that only the intervention has, in `share` of its texts."""
    random = generator("test-discriminator", "marked", count, name)
    base, intervention = (random.random((count, words)) < 0.05 for _ in range(2))
    base[:, 0], intervention[:, 0] = False, random.random(count) < share
    return csr_matrix((intervention.astype(np.float32) - base) * 0.15), intervention[:, 0]


def none(count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.int64)


def learned(pairs: csr_matrix, strata: np.ndarray | None = None, chunk: int = 50) -> Discriminator:
    rows, columns = pairs.shape
    strata = none(rows) if strata is None else strata
    found = Discriminator.start(columns)
    for begin in range(0, rows, chunk):
        found = found.learn(csr_matrix(pairs[begin : begin + chunk]), strata[begin : begin + chunk])
    return found


def test_one_chunk_is_conditional_logistic_regression() -> None:
    """The same problem given to scikit-learn: differences, half of them turned round, no intercept, C = 1/ridge."""
    pairs = differences(300, ONE)
    signs = np.where(np.arange(300) % 2 == 0, 1, -1)
    reference = LogisticRegression(C=1 / _DENSE, fit_intercept=False, tol=1e-8, max_iter=1000)
    reference.fit(pairs.toarray() * signs[:, None], signs)
    np.testing.assert_allclose(learned(pairs, chunk=300).weights, reference.coef_[0], atol=2e-3)


@pytest.mark.parametrize("chunk", [20, 100])
def test_chunk_after_chunk_says_nearly_what_all_at_once_says(chunk: int) -> None:
    pairs, new = differences(600, ONE), differences(400, ONE, "new")
    together = learned(pairs, chunk=600).payoffs_of(new, none(400))[0]
    streamed = learned(pairs, chunk=chunk).payoffs_of(new, none(400))[0]
    assert np.corrcoef(together, streamed)[0, 1] > 0.99
    assert streamed.mean() == pytest.approx(together.mean(), rel=0.1)


def test_swapping_flips_the_sign_of_new_pairs_and_of_nothing_else() -> None:
    pairs, new = differences(300, 2 * ONE), differences(200, 2 * ONE, "new")
    strata = np.arange(300) % 2
    found = learned(pairs, strata)
    payoffs = found.payoffs_of(new, np.arange(200) % 2)
    assert payoffs.shape == (2, 200)
    assert np.abs(payoffs).max() <= 1
    assert (payoffs[0] > 0).mean() > 0.85
    np.testing.assert_array_equal(found.payoffs_of(csr_matrix(-new), np.arange(200) % 2), -payoffs)
    other_way = learned(csr_matrix(-pairs), strata).payoffs_of(new, np.arange(200) % 2)
    np.testing.assert_allclose(other_way, -payoffs, atol=1e-6)


def test_a_rare_word_is_believed_after_few_sightings() -> None:
    """A word in 5% of the intervention's texts: pairs that show it are bet in full, the others hardly at all."""
    found = learned(marked(800, 0.05)[0])
    new, shows = marked(2000, 0.05, "new")
    payoffs = found.payoffs_of(new, none(2000))[0]
    assert payoffs[shows].mean() > 0.8
    assert np.median(np.abs(payoffs[~shows])) < 0.01
    assert (payoffs != 0).mean() > 0.9  # and yet has a sign: how often the order is guessed can be counted
    assert np.sqrt(np.mean(payoffs[~shows] ** 2)) < 0.15


def test_a_word_of_both_models_is_not_believed() -> None:
    random = generator("test-discriminator", "both")
    pairs = csr_matrix(random.choice([-0.15, 0.0, 0.15], (800, 300), p=[0.05, 0.9, 0.05]))
    payoffs = learned(pairs).payoffs_of(pairs, none(800))[0]  # even on pairs that it has seen
    assert np.sqrt(np.mean(payoffs**2)) < 0.1


def test_strata_that_go_the_other_way() -> None:
    """Stratum 1 goes the other way than stratum 0; a stratum not seen yet has the global payoffs."""
    strata = np.repeat([0, 1], [300, 200])
    pairs = csr_matrix(differences(500, 0 * ONE) + np.where(strata == 1, -1.5, 1.5)[:, None] * ONE)
    order = generator("test-discriminator", "order").permutation(500)
    found = learned(csr_matrix(pairs[order]), strata[order])
    new = differences(100, -1.5 * ONE, "new")
    overall, local = found.payoffs_of(new, np.ones(100, dtype=np.int64))
    assert local.mean() > 0.05 > 0 > overall.mean()
    overall, local = found.payoffs_of(new, np.full(100, 7))
    np.testing.assert_array_equal(overall, local)


def test_no_pairs_no_bet() -> None:
    start = Discriminator.start(5)
    pairs = differences(100, ONE)
    assert not start.payoffs_of(pairs, none(100)).any()
    assert start.learn(csr_matrix(pairs[:0]), none(0)) is start
    assert learned(pairs).payoffs_of(csr_matrix(pairs[:0]), none(0)).shape == (2, 0)


def test_learning_leaves_the_old_one_alone_and_is_deterministic() -> None:
    one, other = (learned(differences(200, ONE)) for _ in range(2))
    np.testing.assert_array_equal(one.weights, other.weights)
    before = one.payoffs_of(differences(50, ONE, "new"), none(50))
    one.learn(differences(80, -ONE, "more"), none(80))
    np.testing.assert_array_equal(one.payoffs_of(differences(50, ONE, "new"), none(50)), before)


def test_all_texts_alike() -> None:
    same = csr_matrix((50, 5))
    found = learned(same)
    assert not found.payoffs_of(same, none(50)).any()
    assert np.isfinite(found.payoffs_of(differences(50, ONE), none(50))).all()


def test_identical_models_learn_nothing_in_a_thousand_strata() -> None:
    random = generator("test-discriminator", "null")
    strata = np.repeat(np.arange(1000), 10)
    found = learned(csr_matrix(random.normal(size=(10_000, 20))), strata, 10_000)
    payoffs = found.payoffs_of(csr_matrix(random.normal(size=(2000, 20))), np.arange(2000) % 1000)
    assert np.abs(payoffs.mean(axis=1)).max() < 0.01
    assert payoffs[0].std() < 0.1


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_payoffs_are_on_the_likelihood_ratio_scale(shift: float) -> None:
    """Normal texts with a known shift: the log-odds of the order of a pair are shift·Δ, and half of that is the payoff."""
    random = generator("test-discriminator", "scale")
    pairs = csr_matrix(random.normal(size=(4000, 1)) - random.normal(size=(4000, 1)) + shift)
    assert learned(pairs, chunk=500).weights[0] == pytest.approx(shift, abs=0.1)
