"""The discriminator: which of a prompt's two texts is the intervention's?  Trained on past pairs, it makes the payoffs of the next ones.

Formula.  For a pair with feature difference Δ = f(text_intervention) − f(text_base), conditional (paired) logistic regression:

    minimise over w:   Σ_pairs log(1 + exp(−o − w·Δ)) + ρ/2 · ‖w‖²

It has no intercept and looks at differences only, so it is balanced by construction (each pair votes once, either way round) and blind
to what the prompt alone explains. With g(text) = ½ w·f(text), half the logit, the payoff is

    x = clip(g(text_intervention) − g(text_base), −1, 1).

Given the two texts of a pair in unknown order, the likelihood-ratio bet is 1 + tanh(w·Δ/2); x equals its argument, so x is on the scale
on which betting everything would be best were the model right, and the mixture over fractions (`inference.betting`) guards against its
being wrong. Swapping the texts flips the sign of x: under the null x is symmetric around 0, whatever w, as long as w comes from other,
earlier pairs.

Global and local.  One w for all strata; and in each stratum with at least `LOCAL_PAIRS` past pairs a correction w_s fitted with the
global score as offset o and a stronger ρ (partial pooling: a stratum with little to say keeps the global discriminator).

Deterministic: the problem is strictly convex and solved by L-BFGS from a fixed start, in float64 on one thread.

Sources: Podkopaev & Ramdas 2023, arXiv:2305.00143 (betting on a classifier's scores); Breslow & Day 1980, vol. 1, ch. 7 (conditional
logistic regression for matched pairs); Kim, Ramdas, Singh & Wasserman 2021, arXiv:1602.02210 (classification accuracy as two-sample
test)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit

from auto_interventions.records import FloatArray, IntArray

LOCAL_PAIRS = 30
_RIDGE = 2.0
_LOCAL_RIDGE = 6.0
_ITERATIONS = 60


@dataclass(frozen=True, slots=True)
class Discriminator:
    """Weights of the global discriminator (d,) and the corrections of the strata that have one."""

    weights: FloatArray
    corrections: Mapping[int, FloatArray] = field(default_factory=dict)
    precisions: FloatArray | None = None

    @staticmethod
    def start(columns: int) -> Discriminator:
        """Before any pair, of `columns` features: never bets."""
        return Discriminator(np.zeros(columns), {}, np.full(columns, _RIDGE))

    def learn(self, differences: csr_matrix, strata: IntArray) -> Discriminator:
        """A discriminator that has also learned these pairs: (n, d) differences, (n,) strata. Costs time in proportion to n."""
        before = np.full(len(self.weights), _RIDGE) if self.precisions is None else self.precisions
        if not len(strata):
            return self
        weights = _fit(differences, np.zeros(len(strata)), before, self.weights, self.weights)
        chance = expit(np.asarray(differences @ weights, dtype=np.float64))
        squares = csr_matrix(differences.astype(np.float64).power(2).T)
        return Discriminator(weights, {}, before + np.asarray(squares @ (chance * (1 - chance)), dtype=np.float64))

    @staticmethod
    def fit(features_base: csr_matrix, features_intervention: csr_matrix, strata: IntArray) -> Discriminator:
        """Trains on past pairs: row i of both matrices is pair i, `strata` (n,) its stratum. No pairs: a discriminator that never bets."""
        return Discriminator.fit_differences(csr_matrix(features_intervention - features_base), strata)

    @staticmethod
    def fit_differences(differences: csr_matrix, strata: IntArray, start: Discriminator | None = None) -> Discriminator:
        """Trains on the pairs' feature differences (n, d), intervention − base; `start` only saves iterations."""
        nothing = np.zeros(width(differences))
        if not len(strata):
            return Discriminator(nothing)
        weights = _fit(differences, np.zeros(len(strata)), _RIDGE, nothing if start is None else start.weights)
        offsets = np.asarray(differences @ weights, dtype=np.float64)
        corrections: dict[int, FloatArray] = {}
        present, counts = np.unique(strata, return_counts=True)
        for stratum in present[counts >= LOCAL_PAIRS] if len(present) > 1 else []:
            rows = np.flatnonzero(strata == stratum)
            corrections[int(stratum)] = _fit(csr_matrix(differences[rows]), offsets[rows], _LOCAL_RIDGE, nothing)
        return Discriminator(weights, corrections)

    def payoffs(self, features_base: csr_matrix, features_intervention: csr_matrix, strata: IntArray) -> FloatArray:
        """(2, n) payoffs in [−1, 1] of new pairs: row 0 by the global discriminator, row 1 by the local ones (where there are)."""
        return self.payoffs_of(csr_matrix(features_intervention - features_base), strata)

    def payoffs_of(self, differences: csr_matrix, strata: IntArray) -> FloatArray:
        """As `payoffs`, of feature differences."""
        logits = np.asarray(differences @ self.weights, dtype=np.float64)
        local = logits.copy()
        for stratum, correction in self.corrections.items():
            rows = np.flatnonzero(strata == stratum)
            if rows.size:
                local[rows] += np.asarray(differences[rows] @ correction, dtype=np.float64)
        return np.clip(np.stack([logits, local]) / 2, -1.0, 1.0)


def width(matrix: csr_matrix) -> int:
    """Number of columns."""
    shape: Any = matrix.shape  # scipy's stubs allow None
    return int(shape[1])


def _fit(
    differences: csr_matrix, offsets: FloatArray, ridge: float | FloatArray, start: FloatArray, centre: FloatArray | float = 0.0
) -> FloatArray:
    matrix = differences.astype(np.float64)
    transposed = csr_matrix(matrix.T)

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        logits = offsets + matrix @ weights
        value = float(np.logaddexp(0.0, -logits).sum()) + float(np.sum(ridge * (weights - centre) ** 2)) / 2
        return value, ridge * (weights - centre) - transposed @ expit(-logits)

    solution = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "maxcor": 8, "gtol": 1e-3})
    return np.asarray(solution.x, dtype=np.float64)
