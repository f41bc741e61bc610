"""Sums of payoffs by stratum: what is counted where, of dense and of sparse payoffs alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from auto_interventions.confirming import payoff_sums

NAMES = ["sea", "town"]


def test_payoffs_are_counted_in_their_stratum() -> None:
    payoffs = np.array([[1.0, -1.0, 0.5, np.nan, 1.0]])
    found = payoff_sums(payoffs, ["sea", "sea", "town", "town", "elsewhere"], NAMES)
    np.testing.assert_array_equal(found, [[[2, 0, 2], [1, 0.5, 0.25]]])  # NaN and a stratum that is not asked for are left out
    np.testing.assert_array_equal(payoff_sums(payoffs, ["sea"] * 5, [""]), [[[4, 1.5, 3.25]]])  # one name: all pairs


@pytest.mark.parametrize("checks", [0, 1, 7])
@pytest.mark.parametrize("pairs", [0, 1, 60])
@pytest.mark.parametrize("names", [NAMES, [""]])
def test_sparse_payoffs_have_the_same_sums(checks: int, pairs: int, names: list[str]) -> None:
    random = np.random.default_rng(0)
    payoffs = random.choice([-1.0, 0.0, 0.0, 0.0, 1.0], size=(checks, pairs))
    strata = random.choice(["sea", "town", "elsewhere"], size=pairs).tolist()
    np.testing.assert_array_equal(payoff_sums(csr_matrix(payoffs), strata, names), payoff_sums(payoffs, strata, names))
