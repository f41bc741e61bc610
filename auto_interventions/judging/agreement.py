"""How far judges agree, and how often one is right where the machine knows the truth. Beside the evidence: none of it decides.

Two judges on the same pairs are compared by what they prefer: the left text, the right one, or neither (alike: their scores differ by
less than `MARGIN`). Cohen's κ = (p_o − p_e) / (1 − p_e) is agreement beyond what their own shares of the three verdicts give by chance.

Where a second judge saw some pairs rather than others (`Judged.chance`), each counts 1/chance: κ is then that of all pairs, not of those
that were chosen for being difficult (Horvitz & Thompson 1952).

Sensitivity and specificity come from sentences that have a check, whose truth on every text is known: half of the texts shown fit.
A text's score above 1/2 is a yes. Texts of a pair are not independent, so intervals count pairs (Wilson).

Sources: Cohen 1960, "A coefficient of agreement for nominal scales"; Wilson 1927.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_interventions.fingerprint import generator
from auto_interventions.inference.proportion import proportion_interval
from auto_interventions.judging.cascade import key_of
from auto_interventions.judging.judged import Judged
from auto_interventions.judging.judges import PredicateJudge
from auto_interventions.judging.language import LanguageJudge
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, Hypothesis, IntArray, Pair

MARGIN = 0.2
"""Scores of a pair's two texts that differ by less are alike: a preference of which a judge is hardly sure is none."""
_DRAWS = 200
_VERDICTS = (-1, 0, 1)
_SENTENCES = 8  # known sentences at most: batches are of one sentence, so many sentences make many calls


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two judges on `pairs` pairs and sentences that both judged. `kappa`: None where both always said the same one thing."""

    pairs: int
    agreement: float | None
    kappa: float | None
    interval: tuple[float, float] | None
    """95%, by drawing pairs again."""

    def as_dict(self) -> dict[str, object]:
        """JSON-native."""
        interval = None if self.interval is None else list(self.interval)
        return {"pairs": self.pairs, "agreement": self.agreement, "kappa": self.kappa, "interval": interval}


def preferences(left: FloatMatrix, right: FloatMatrix) -> FloatArray:
    """−1 left, 0 alike, 1 right, in the shape of the scores; NaN where either is missing.

    >>> preferences(np.array([0.9, 0.5, np.nan], np.float32), np.array([0.1, 0.6, 1.0], np.float32)).tolist()
    [-1.0, 0.0, nan]
    """
    difference = np.round(right.astype(np.float64) - left, 6)
    return np.where(np.isnan(difference), np.nan, np.sign(difference) * (np.abs(difference) >= MARGIN))


def agreement(one: FloatArray, other: FloatArray, weights: FloatArray | None = None, seed: int = 0) -> Agreement:
    """Of two judges' `preferences`, (n,) each; pairs that either did not judge are left out. `weights`: (n,), 1/chance of being here."""
    both = ~np.isnan(one) & ~np.isnan(other)
    first, second = one[both].astype(np.int64), other[both].astype(np.int64)
    weight = np.ones(len(first)) if weights is None else weights[both]
    if not len(first):
        return Agreement(0, None, None, None)
    share = float(np.average(first == second, weights=weight))
    return Agreement(len(first), share, _kappa(first, second, weight), _kappa_interval(first, second, weight, seed))


def doubly_judged(judged: Judged, row: int | None = None, seed: int = 0) -> Agreement:
    """Of the cheap and the strong judge on the pairs that the strong one saw: of one sentence, or of all together (None)."""
    asked = judged.asked.copy()
    if row is not None:
        asked[np.arange(len(asked)) != row] = False
    cheap = preferences(judged.cheap_base, judged.cheap_intervention)[asked]
    strong = preferences(judged.strong_base, judged.strong_intervention)[asked]
    return agreement(cheap, strong, 1 / judged.chance[asked], seed)


def _kappa(first: IntArray, second: IntArray, weights: FloatArray) -> float | None:
    if len(np.union1d(first, second)) < 2:  # nothing beyond chance can be seen
        return None
    from sklearn.metrics import cohen_kappa_score  # half a second that a run taken from the store does without

    kappa = float(cohen_kappa_score(first, second, labels=list(_VERDICTS), sample_weight=weights))
    return None if math.isnan(kappa) else kappa


def _kappa_interval(first: IntArray, second: IntArray, weights: FloatArray, seed: int) -> tuple[float, float] | None:
    """Percentiles of κ over resampled pairs."""
    rng, size = generator("kappa", seed, len(first)), len(first)
    cells, tables = 3 * (first + 1) + second + 1, np.empty((_DRAWS, 3, 3))
    for draw in range(_DRAWS):
        drawn = rng.integers(0, size, size)
        tables[draw] = np.bincount(cells[drawn], weights[drawn], 9).reshape(3, 3)
    tables /= tables.sum(axis=(1, 2), keepdims=True)
    observed = np.trace(tables, axis1=1, axis2=2)
    expected = np.sum(tables.sum(axis=1) * tables.sum(axis=2), axis=1)
    usable = expected < 1 - 1e-12
    if not usable.any():
        return None
    low, high = np.quantile((observed[usable] - expected[usable]) / (1 - expected[usable]), (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class KnownItems:
    """A judge on texts whose truth is known. `pairs`, `sentences`: shown; `unjudged`: texts without a verdict, or exactly undecided."""

    judge: str
    pairs: int
    sentences: int
    sensitivity: float | None
    sensitivity_interval: tuple[float, float]
    specificity: float | None
    specificity_interval: tuple[float, float]
    unjudged: int

    def as_dict(self) -> dict[str, object]:
        """JSON-native."""
        rates = (("sensitivity", self.sensitivity, self.sensitivity_interval), ("specificity", self.specificity, self.specificity_interval))
        told: dict[str, object] = {name: {"value": value, "interval": list(interval)} for name, value, interval in rates}
        return {"judge": self.judge, "pairs": self.pairs, "sentences": self.sentences, "unjudged": self.unjudged} | told


def known_items(judge: LanguageJudge, hypotheses: Sequence[Hypothesis], pairs: Sequence[Pair], count: int, seed: int) -> KnownItems:
    """Lets `judge` say what the machine knows: on about `count` pairs, of which texts that fit the sentence are as many as not.

    Args:
        judge: asked in its own form; its record counts these pairs too.
        hypotheses: those without a check are left out.
        pairs: any of the audit's; explored ones do.
        count: pairs at most, over all sentences; fewer where there are not enough that fit.
        seed: which.

    Raises:
        BudgetSpent, ChatError, Interrupted: see `LanguageJudge.score`.
    """
    known = [hypothesis for hypothesis in hypotheses if hypothesis.check is not None]
    base, intervention = [pair.base.text for pair in pairs], [pair.intervention.text for pair in pairs]
    truth = np.stack([PredicateJudge().score(known, texts) for texts in (base, intervention)])
    cells = _balanced(truth, count, seed)
    rows = np.flatnonzero(cells.any(axis=1)).tolist()
    keys = [f"known {key_of(pair)}" for pair in pairs]
    said = np.stack(judge.score([known[row].statement for row in rows], base, intervention, keys, cells[rows]))
    decided = ~np.isnan(said) & (said != 0.5)
    shown = np.broadcast_to(cells[rows], said.shape)
    true = truth[:, rows]
    right = [_rate(np.where(said > 0.5, value, 1 - value), decided & shown & (true == value)) for value in (1, 0)]
    return KnownItems(*(judge.name, int(cells.sum()), len(rows)), *right[0], *right[1], unjudged=int(np.sum(shown & ~decided)))


def _rate(correct: FloatMatrix, counted: BoolArray) -> tuple[float | None, tuple[float, float]]:
    """Share of `correct` (2, H, n) where `counted`, and an interval that counts pairs."""
    if not counted.any():
        return None, (0.0, 1.0)
    share = float(correct[counted].mean())
    pairs = int(counted.any(axis=0).sum())
    return share, proportion_interval(share * pairs, pairs)


def _balanced(truth: FloatMatrix, count: int, seed: int) -> BoolArray:
    """(H, n) cells: half of one text that fits and one that does not, a quarter of two that fit, a quarter of none.

    Sentences are taken by seed, as many as fill batches; each gives what it has of each kind, and what one kind lacks is left away, so
    that the texts stay balanced.
    """
    rng = generator("known items", seed, count)
    fitting = truth.sum(axis=0)  # NaN: a text that gives nothing to judge
    cells = np.zeros(fitting.shape, dtype=np.bool_)
    useful = np.flatnonzero(np.any(fitting == 1, axis=1) | (np.any(fitting == 2, axis=1) & np.any(fitting == 0, axis=1)))
    rows = rng.permutation(useful)[:_SENTENCES]
    left = count
    for place, row in enumerate(rows):
        share = -(-left // (len(rows) - place))
        one, two, none = (rng.permutation(np.flatnonzero(fitting[row] == fits)) for fits in (1, 2, 0))
        alike = min(len(two), len(none), max(share // 4, (share - len(one)) // 2))
        chosen = np.concatenate([two[:alike], none[:alike], one[: max(0, share - 2 * alike)]]).astype(np.int64)
        cells[row, chosen] = True
        left -= len(chosen)
    return cells
