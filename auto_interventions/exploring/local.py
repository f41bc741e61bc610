"""What a stratum says beyond the global discriminator: a direction of its own.

In each stratum the witness of what the global discriminator leaves unexplained, G_s = Σ (1 − p) Δ over its past pairs, in the columns that
differ in nearly all pairs (the embedding; a rare column needs more pairs than a stratum has, and the global discriminator learns it
anyway). What it adds to the half logit of a new pair is

    ½ Σ_j G_sj Δ_j / (ρ + n_s q_j √m),      q_j = mean of Δ_j² / 4 over all past pairs, m columns:

one cautious step of diagonal Newton from the global discriminator. √m allows for columns that move together; ρ keeps a stratum of few pairs
at the global score.

All strata at once, linear in the new pairs; what is kept is (strata × columns) numbers.

Source: Gretton et al. 2012, "A kernel two-sample test", JMLR 13, section 2.3 (witness function)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, IntArray

_RIDGE = 6.0


@dataclass(frozen=True, slots=True)
class Local:
    """Sums by stratum; S is the highest stratum number seen + 1.

    Attributes:
        columns: (m,) the columns that directions use.
        gradients: (S, m) float32 G_s.
        pairs: (S,) pairs learned.
        curvature: (m,) Σ Δ² / 4 over all pairs.
    """

    columns: IntArray
    gradients: FloatMatrix
    pairs: FloatArray
    curvature: FloatArray

    @staticmethod
    def start(usual: BoolArray) -> Local:
        """Before any pair; `usual` (d,) says which columns directions use."""
        columns = np.flatnonzero(usual)
        return Local(columns, np.zeros((0, len(columns)), dtype=np.float32), np.zeros(0), np.zeros(len(columns)))

    def corrections(self, differences: csr_matrix, strata: IntArray) -> FloatArray:
        """(n,) what the strata add to the half logits of new pairs; 0 in a stratum not seen yet."""
        added = np.zeros(len(strata))
        rows = np.flatnonzero(strata < len(self.pairs))
        own = strata[rows]
        present, place = np.unique(own, return_inverse=True)
        usual = self.curvature * math.sqrt(len(self.columns)) / max(self.pairs.sum(), 1.0)
        directions = self.gradients[present] / (_RIDGE + self.pairs[present, None] * usual).astype(np.float32)
        added[rows] = np.einsum("ij,ij->i", self._dense(csr_matrix(differences[rows])), directions[place]).astype(np.float64) / 2
        return added

    def learn(self, differences: csr_matrix, surprise: FloatArray, strata: IntArray) -> Local:
        """With these pairs too; `surprise` (n,) is the probability 1 − p that the global discriminator gave to the other order."""
        dense = self._dense(differences)
        present, place = np.unique(strata, return_inverse=True)
        member = csr_matrix((surprise.astype(np.float32), (place, np.arange(len(strata)))), shape=(len(present), len(strata)))
        missing = max(int(strata.max(initial=-1)) + 1 - len(self.pairs), 0)
        gradients = np.concatenate([self.gradients, np.zeros((missing, len(self.columns)), dtype=np.float32)])
        gradients[present] += np.asarray(member @ dense, dtype=np.float32)
        pairs = np.concatenate([self.pairs, np.zeros(missing)]) + np.bincount(strata, minlength=len(gradients))
        return Local(self.columns, gradients, pairs, self.curvature + np.square(dense, dtype=np.float64).sum(axis=0) / 4)

    def _dense(self, differences: csr_matrix) -> FloatMatrix:
        return np.asarray(differences[:, self.columns].todense(), dtype=np.float32)
