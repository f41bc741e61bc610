"""Who judges what: a sentence's own check where it has one, else a cheap language model, and a strong one where that matters.

The strong judge sees what the cheap one is undecided about, and a random slice of the rest (`inference.cascade` makes one estimate of
both). Its chance treats both texts of a pair alike, and its coin depends on seed, sentence and pair alone.
What it does not know: which pairs are worth judging (`confirming.scheduling`), evidence, money.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auto_interventions.config import JudgeConfig
from auto_interventions.fingerprint import seed_of
from auto_interventions.inference.cascade import strong_chance, undecided
from auto_interventions.judging.judged import Judged
from auto_interventions.judging.judges import Judge
from auto_interventions.judging.language import LanguageJudge
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, Hypothesis, Pair

_UNDECIDED, _WORTH = 0.15, 20.0  # share of pairs that a cheap judge is undecided about, believed as firmly as if seen on so many pairs


class Judges:
    """The judges of an audit."""

    def __init__(self, predicate: Judge, cheap: LanguageJudge | None, strong: LanguageJudge | None, config: JudgeConfig, seed: int) -> None:
        """Asks nothing yet.

        Args:
            predicate: runs the checks.
            cheap: judges the sentences without a check; None: nobody does.
            strong: judges again; None: nobody does.
            config: `borderline` and `slice`.
            seed: of the coins of the slice.

        Raises:
            ValueError: a strong judge without a cheap one.
        """
        if strong is not None and cheap is None:
            raise ValueError("a strong judge judges what a cheap one has judged before")
        self._predicate, self._cheap, self._strong = predicate, cheap, strong
        self._config, self._seed = config, seed
        self._doubts: dict[str, tuple[int, int]] = {}

    @property
    def language(self) -> tuple[LanguageJudge, ...]:
        """The language models, the cheap one first."""
        return tuple(judge for judge in (self._cheap, self._strong) if judge is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all judges: predicate, cheap, strong."""
        return (self._predicate.name, *(judge.name for judge in self.language))

    def judges_of(self, hypothesis: Hypothesis) -> tuple[str, ...]:
        """Names of those that judge `hypothesis`."""
        return self.names[:1] if hypothesis.check is not None else self.names[1:]

    def judge(
        self,
        hypotheses: Sequence[Hypothesis],
        pairs: Sequence[Pair],
        cells: BoolArray | None = None,
        second: bool = True,
        slices: FloatArray | None = None,
    ) -> Judged:
        """What the judges say of H sentences on n pairs.

        Args:
            hypotheses: with and without checks.
            pairs: both models' texts.
            cells: (H, n) which pairs a language model judges for which sentence; None: all. Checks, which are free, run everywhere.
            second: whether the strong judge is asked too.
            slices: (H, 2) share of the pairs that the strong judge sees, of those that the cheap one is sure about and of the others; (H,):
                all of the others; None: `judge.slice` of the first. (0, 0): none of this sentence's pairs.

        Returns:
            (H, n) scores; see `Judged`.

        Raises:
            BudgetSpent, ChatError, Interrupted: see `LanguageJudge.score`; nothing of these pairs is told then.
        """
        shape = (len(hypotheses), len(pairs))
        wanted = np.ones(shape, dtype=np.bool_) if cells is None else cells.copy()
        wanted[[hypothesis.check is not None for hypothesis in hypotheses]] = False
        texts = [pair.base.text for pair in pairs], [pair.intervention.text for pair in pairs]
        base, intervention = (self._predicate.score(hypotheses, side) for side in texts)
        if self._cheap is None or not wanted.any():
            return Judged.of_scores(base, intervention)
        cheap = _judged(self._cheap, hypotheses, pairs, wanted)
        base, intervention = np.where(wanted, cheap[0], base), np.where(wanted, cheap[1], intervention)
        unsure = _undecided(base, intervention, self._config.borderline) & wanted
        self._count(hypotheses, unsure, wanted)
        if self._strong is None or not second:
            return Judged.of_scores(base, intervention)
        share = np.full(len(hypotheses), self._config.slice) if slices is None else slices
        each = share.reshape(len(hypotheses), -1).tolist()
        chance = np.where(wanted, np.stack([strong_chance(row, *shares) for row, shares in zip(unsure, each, strict=True)]), 0.0)
        asked = self._coins(hypotheses, pairs, wanted) < chance
        strong = _judged(self._strong, hypotheses, pairs, asked)
        return Judged(base, intervention, *strong, asked, chance)

    def cost_per_pair(self, hypotheses: Sequence[Hypothesis], pairs: Sequence[Pair]) -> FloatArray:
        """(H,) expected dollars of judging one more pair like these: 0 where a check does it.

        The strong judge counts with the share of pairs that it will see: the slice, and what the cheap one has been undecided about.
        """
        base, intervention = [pair.base.text for pair in pairs], [pair.intervention.text for pair in pairs]
        costs = [judge.cost_per_pair(base, intervention) for judge in self.language]
        if not costs:
            return np.zeros(len(hypotheses))
        shares = [self._strong_share(hypothesis) if len(costs) > 1 else 0.0 for hypothesis in hypotheses]
        dollars = [costs[0] + share * costs[-1] for share in shares]
        return np.array([0.0 if h.check is not None else cost for h, cost in zip(hypotheses, dollars, strict=True)], dtype=np.float64)

    def _strong_share(self, hypothesis: Hypothesis) -> float:
        unsure, seen = self._doubts.get(hypothesis.id, (0, 0))
        share = (_UNDECIDED * _WORTH + unsure) / (_WORTH + seen)
        return share + (1 - share) * self._config.slice

    def _count(self, hypotheses: Sequence[Hypothesis], unsure: BoolArray, wanted: BoolArray) -> None:
        for hypothesis, doubts, pairs in zip(hypotheses, unsure.sum(axis=1).tolist(), wanted.sum(axis=1).tolist(), strict=True):
            before = self._doubts.get(hypothesis.id, (0, 0))
            self._doubts[hypothesis.id] = (before[0] + doubts, before[1] + pairs)

    def _coins(self, hypotheses: Sequence[Hypothesis], pairs: Sequence[Pair], wanted: BoolArray) -> FloatArray:
        """(H, n) uniform numbers in [0, 1); 1 where nothing is wanted."""
        coins = np.ones(wanted.shape)
        ids, keys = [hypothesis.id for hypothesis in hypotheses], [key_of(pair) for pair in pairs]
        for row, column in np.argwhere(wanted).tolist():
            coins[row, column] = seed_of("strong judge", self._seed, ids[row], keys[column]) / 2**63
        return coins


def key_of(pair: Pair) -> str:
    """Prompt and sample: what names a pair within an audit."""
    return f"{pair.prompt.id}/{pair.base.sample}"


def _judged(
    judge: LanguageJudge, hypotheses: Sequence[Hypothesis], pairs: Sequence[Pair], cells: BoolArray
) -> tuple[FloatMatrix, FloatMatrix]:
    statements = [hypothesis.statement for hypothesis in hypotheses]
    base, intervention = [pair.base.text for pair in pairs], [pair.intervention.text for pair in pairs]
    return judge.score(statements, base, intervention, [key_of(pair) for pair in pairs], cells)


def _undecided(base: FloatMatrix, intervention: FloatMatrix, borderline: tuple[float, float]) -> BoolArray:
    """`inference.cascade.undecided` of matrices."""
    # Rounded: (1 + 0.2) / 2 in float32 lies above 0.6 in float64, and a score on the border is undecided.
    flat = [np.round(scores.astype(np.float64).ravel(), 6) for scores in (base, intervention)]
    return undecided(flat[0], flat[1], borderline).reshape(base.shape)
