"""What the judges said of H sentences on n pairs: scores of the cheap and of the strong judge, and with what chance the strong was asked.

The record between whoever judges (`judging.cascade`) and whoever bets on it (`confirming`)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from auto_interventions.records import BoolArray, FloatArray, FloatMatrix


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores in [0, 1] of H sentences on the two texts of n pairs.

    A pair on which a sentence was not judged has NaN everywhere, asked False and chance 0.

    Attributes:
        cheap_base, cheap_intervention: (H, n) the cheap judge's scores (or those of a sentence's own check); NaN: not asked, abstained,
            failed.
        strong_base, strong_intervention: (H, n) the strong judge's; they count where `asked`. NaN there: abstained or failed.
        asked: (H, n) whether the strong judge was asked.
        chance: (H, n) with what chance it was, in (0, 1]; 0: no second judge for this sentence and pair.
    """

    cheap_base: FloatMatrix
    cheap_intervention: FloatMatrix
    strong_base: FloatMatrix
    strong_intervention: FloatMatrix
    asked: BoolArray
    chance: FloatArray

    @staticmethod
    def of_scores(base: FloatMatrix, intervention: FloatMatrix) -> Judged:
        """One judge alone: (H, n) scores of both texts, NaN = not judged."""
        # Views of one number: the second judge that is not there takes no memory.
        nothing = np.broadcast_to(np.float32(np.nan), base.shape)
        never, no_chance = np.broadcast_to(np.bool_(False), base.shape), np.broadcast_to(np.float64(0.0), base.shape)
        return Judged(base, intervention, nothing, nothing, never, no_chance)

    @staticmethod
    def empty(hypotheses: int) -> Judged:
        """Before the first pair."""
        none = np.zeros((hypotheses, 0), dtype=np.float32)
        return Judged.of_scores(none, none)

    def then(self, other: Judged) -> Judged:
        """These pairs, and then those of `other`.

        Raises:
            ValueError: of another number of sentences.
        """
        if self.alone and other.alone:
            bases, interventions = (self.cheap_base, other.cheap_base), (self.cheap_intervention, other.cheap_intervention)
            return Judged.of_scores(np.concatenate(bases, axis=1), np.concatenate(interventions, axis=1))
        both = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Judged(*(np.concatenate(parts, axis=1) for parts in both))

    def row(self, number: int) -> Judged:
        """What was said of sentence number `number` alone: (1, n)."""
        return Judged(*(getattr(self, field.name)[number : number + 1] for field in fields(self)))

    @property
    def shape(self) -> tuple[int, int]:
        """Sentences and pairs."""
        return self.cheap_base.shape[0], self.cheap_base.shape[1]

    @property
    def alone(self) -> bool:
        """Whether no sentence has a second judge."""
        return not any(self.chance.strides) or not bool(self.chance.any())

    @property
    def base(self) -> FloatMatrix:
        """(H, n) the best known scores of the base model's texts: the strong judge's where it gave them, else the cheap one's."""
        return self._best(self.cheap_base, self.strong_base)

    @property
    def intervention(self) -> FloatMatrix:
        """(H, n) the best known scores of the intervention's texts."""
        return self._best(self.cheap_intervention, self.strong_intervention)

    def _best(self, cheap: FloatMatrix, strong: FloatMatrix) -> FloatMatrix:
        if self.alone:
            return cheap
        # Both texts from one judge: scores of two judges on the two texts of a pair cannot be compared.
        known = self.asked & ~np.isnan(self.strong_base) & ~np.isnan(self.strong_intervention)
        return np.where(known, strong, cheap)
