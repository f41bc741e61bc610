"""The discriminator: which of a prompt's two texts is the intervention's?  It learns past pairs and makes the payoffs of the next ones.

Formula.  For a pair with feature difference Δ = f(text_intervention) − f(text_base), conditional (paired) logistic regression:
P(this order | Δ) = 1 / (1 + exp(−w·Δ)), no intercept: balanced by construction (each pair votes once, either way round) and blind to what
the prompt alone explains. Streaming and Bayesian: of all past pairs only a Gaussian with diagonal precision D is kept. New pairs give

    w ← minimise over w:   Σ_new pairs log(1 + exp(−w·Δ)) + ½ Σ_j (D_j + P_j) (w_j − m_j)²,      m = the mean so far
    D ← D + Σ_new pairs p (1 − p) Δ²                                                          (Laplace, assumed density)

so that learning costs time in proportion to the new pairs. P is the prior's precision, another one for each column:
- columns that differ in nearly all pairs (`_USUAL`: embedding, length): `_DENSE`;
- columns that differ in fewer (a word, a line break): a spike at 0 (`_SPIKE`) or a slab as wide as what is seen there (`_SLAB`), the
  posterior variances mixed by how sure the column's own past is that it leans one way: n₊ pairs against n₋, Beta-binomial against coin,
  prior `_LEANING`. A word is ignored until about ten texts of one model have it and the other's have not; then it is believed at once.
  P may change with every chunk; the data's part of the posterior, D and D·m + P·m, stays.

With g(text) = ½ w·f(text), half the logit, and h = g(text_intervention) − g(text_base), the payoff is

    x = clip(h · h² / (h² + `_DOUBT`²), −1, 1).

Given the two texts of a pair in unknown order, the likelihood-ratio bet is 1 + tanh(h): h is on the scale on which betting everything would
be best were the model right, and the mixture over fractions (`inference.betting`) guards against its being wrong. Small h is mostly
noise that would only make evidence shake, so it is made smaller still: a pair that shows nothing is hardly a bet, and the wealth grows
where something is seen. Swapping the texts flips the sign of x: under the null x is symmetric around 0, whatever w, as long as w comes
from other, earlier pairs.

The local payoff has the stratum's own correction added (`exploring.local`).

Deterministic: the problem is strictly convex and solved by L-BFGS from a fixed start, in float64 on one thread.

Sources: Podkopaev & Ramdas 2023, arXiv:2305.00143 (betting on a classifier's scores); Breslow & Day 1980, vol. 1, ch. 7 (conditional
logistic regression for matched pairs); Chapelle & Li 2011, "An empirical evaluation of Thompson sampling", algorithm 3 (streaming
logistic regression with a diagonal posterior); George & McCulloch 1993, JASA 88 (spike and slab)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import betaln, expit, logit

from auto_interventions.exploring.local import Local
from auto_interventions.records import BoolArray, FloatArray, IntArray

_DENSE = 8.0
_SPIKE = 20.0
_SLAB = 0.5  # precision of one sighting's logit: standard deviation 1.4
_LEANING = 5e-3  # share of rare columns that are expected to matter
_USUAL = 0.95
_HALF = 0.5  # Jeffreys prior of the share of a leaning column's pairs that lean to one side
_DOUBT = 0.2
_ITERATIONS = 60


@dataclass(frozen=True, slots=True)
class Discriminator:
    """What was learned of `pairs` pairs with d features.

    Attributes:
        weights: (d,) posterior mean w.
        precisions: (d,) D, the data's part of the posterior precision.
        leanings: (2, d) number of pairs in which the intervention's text had more of the column, and less.
        squares: (d,) sum of Δ².
        local: what the strata say beyond it.
    """

    weights: FloatArray
    precisions: FloatArray
    leanings: FloatArray
    squares: FloatArray
    pairs: int = 0
    local: Local | None = None

    @staticmethod
    def start(columns: int) -> Discriminator:
        """Before any pair, of `columns` features: never bets."""
        nothing = np.zeros(columns)
        return Discriminator(nothing, nothing, np.zeros((2, columns)), nothing)

    def payoffs_of(self, differences: csr_matrix, strata: IntArray) -> FloatArray:
        """(2, n) payoffs in [−1, 1] of new pairs: row 0 by the global discriminator, row 1 by the local ones.

        Args:
            differences: (n, d) features, intervention − base.
            strata: (n,) numbers ≥ 0 of the pairs' strata; new ones may appear at any time.
        """
        halves = self._halves(differences)
        own = halves + self.local.corrections(differences, strata) if self.local is not None else halves
        return np.stack([_doubted(halves), _doubted(own)])

    def learn(self, differences: csr_matrix, strata: IntArray) -> Discriminator:
        """A discriminator that has also learned these pairs; shapes as in `payoffs_of`. Costs time in proportion to n."""
        if not len(strata):
            return self
        data = csr_matrix(differences, dtype=np.float64)
        squares = data.data**2
        more, less, sums = (_per_column(data, values) for values in (data.data > 0, data.data < 0, squares))
        leanings = self.leanings + np.stack([more, less])
        now = replace(self, leanings=leanings, squares=self.squares + sums, pairs=self.pairs + len(strata))
        precisions = self.precisions + now.prior
        centre = self.weights * (self.precisions + self.prior) / precisions
        weights = _fit(data, precisions, centre, sums)
        chance = expit(data @ weights)
        curvature = _per_column(data, squares * np.repeat(chance * (1 - chance), np.diff(data.indptr)))
        surprise = expit(-2 * self._halves(differences))
        local = (self.local or Local.start(_usual(leanings, now.pairs))).learn(differences, surprise, strata)
        return replace(now, weights=weights, precisions=self.precisions + curvature, local=local)

    @property
    def prior(self) -> FloatArray:
        """(d,) prior precision P of each column, as its own past tells."""
        seen = self.leanings.sum(axis=0)
        rare = np.flatnonzero((seen > 0) & ~_usual(self.leanings, self.pairs))
        prior = np.where(_usual(self.leanings, self.pairs), _DENSE, _SPIKE)
        more, less = self.leanings[:, rare]
        evidence = betaln(more + _HALF, less + _HALF) - betaln(_HALF, _HALF) + (more + less) * np.log(2)
        leans = expit(logit(_LEANING) + evidence)
        slab = _SLAB * np.maximum(self.squares[rare] / seen[rare], 1e-6)
        data = self.squares[rare] / 4
        prior[rare] = np.maximum(1 / (leans / (data + slab) + (1 - leans) / (data + _SPIKE)) - data, slab)
        return prior

    def _halves(self, differences: csr_matrix) -> FloatArray:
        """(n,) half of each pair's logit."""
        return np.asarray(differences @ self.weights, dtype=np.float64) / 2


def width(matrix: csr_matrix) -> int:
    """Number of columns."""
    shape: Any = matrix.shape  # scipy's stubs allow None
    return int(shape[1])


def _usual(leanings: FloatArray, pairs: int) -> BoolArray:
    """(d,) which columns differ in nearly all pairs."""
    return leanings.sum(axis=0) > _USUAL * pairs


def _per_column(matrix: csr_matrix, values: NDArray[Any]) -> FloatArray:
    """(d,) sum of `values`, one for each stored entry of the matrix."""
    return np.bincount(matrix.indices, weights=values, minlength=width(matrix)).astype(np.float64)


def _doubted(halves: FloatArray) -> FloatArray:
    """Payoffs from half logits: small ones are made much smaller, but keep their sign; large ones stay."""
    return np.clip(halves * halves**2 / (halves**2 + _DOUBT**2), -1.0, 1.0)


def _fit(differences: csr_matrix, precisions: FloatArray, centre: FloatArray, squares: FloatArray) -> FloatArray:
    """The posterior mode, sought in the columns that these pairs have, each in units of its own curvature: others stay at `centre`."""
    columns = np.flatnonzero(squares)
    scale = 1 / np.sqrt(precisions[columns] + squares[columns] / 4)
    place = np.zeros(len(centre), dtype=np.int64)
    place[columns] = np.arange(len(columns))
    places = place[differences.indices]
    scaled = csr_matrix((differences.data * scale[places], places, differences.indptr), shape=(len(differences.indptr) - 1, len(columns)))
    transposed = scaled.T  # a view
    offsets = np.asarray(differences @ centre, dtype=np.float64)
    ridge = precisions[columns] * scale**2

    def loss(steps: FloatArray) -> tuple[float, FloatArray]:
        logits = offsets + scaled @ steps
        value = float(np.logaddexp(0.0, -logits).sum()) + float(ridge @ steps**2) / 2
        return value, ridge * steps - transposed @ expit(-logits)

    start = np.zeros(len(columns))
    solution = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "maxcor": 8, "gtol": 1e-3})
    weights = centre.copy()
    weights[columns] += np.asarray(solution.x, dtype=np.float64) * scale
    return weights
