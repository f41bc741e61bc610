"""The strata that exploring bets on: those of the bank, and the parts that mixed ones were split into.

A part has a wealth of its own, fresh at its birth; what is drawn in it feeds the wealths of its parents too. All strata that ever were
stay in the family that e-BH runs over. So that the family may grow while it is tested, the strata of the bank hold 90% of the error
budget evenly, and the parts of the k-th split share 10% / (k (k + 1)): whatever is split, and however often, the shares add up to 1 at
most (`inference.ebh`, shares)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from auto_interventions.records import BoolArray, FloatArray, IntArray, Prompt

FOR_PARTS = 0.1


@dataclass(frozen=True)
class Strata:
    """A forest of strata, numbered 0 … S − 1; the bank's own come first.

    Attributes:
        names: S distinct names.
        parents: (S,) number of the stratum that each is a part of, −1 for the bank's own.
        shares: (S,) of the error budget.
        part_of: the part that a prompt id of a split stratum belongs to (the smallest one).
        splits: how many strata were split.
    """

    names: tuple[str, ...]
    parents: IntArray
    shares: FloatArray
    part_of: Mapping[str, int] = field(default_factory=dict)
    splits: int = 0

    @staticmethod
    def start(names: Sequence[str]) -> Strata:
        """The bank's own strata.

        Raises:
            ValueError: no stratum, or one named twice.
        """
        if not names or len(set(names)) < len(names):
            raise ValueError(f"strata must be distinct names, at least one, not {tuple(names)}")
        count = len(names)
        return Strata(tuple(names), np.full(count, -1, dtype=np.int64), np.full(count, (1 - FOR_PARTS) / count))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def roots(self) -> int:
        """How many strata the bank has."""
        return int((self.parents < 0).sum())

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def root_of(self, prompts: Sequence[Prompt]) -> IntArray:
        """(n,) numbers of the prompts' strata in the bank.

        Raises:
            ValueError: a stratum that exploring did not start with.
        """
        unknown = sorted({prompt.stratum for prompt in prompts} - self._number.keys())
        if unknown:
            raise ValueError(f"stratum {unknown[0]!r} is not one of the strata that exploring started with")
        return np.array([self._number[prompt.stratum] for prompt in prompts], dtype=np.int64)

    def leaf_of(self, prompts: Sequence[Prompt]) -> IntArray:
        """(n,) numbers of the smallest strata that hold the prompts."""
        if not self.part_of:
            return self.root_of(prompts)
        roots = self.root_of(prompts)
        return np.array([self.part_of.get(prompt.id, root) for prompt, root in zip(prompts, roots.tolist(), strict=True)], dtype=np.int64)

    def levels(self, leaves: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
        """The strata that hold each of the leaves (n,), from the leaf up: (rows, strata) level by level."""
        rows, strata = np.arange(len(leaves)), leaves
        while len(rows):
            yield rows, strata
            above = self.parents[strata]
            rows, strata = rows[above >= 0], above[above >= 0]

    @property
    def is_split(self) -> BoolArray:
        """(S,) whether a stratum has parts."""
        split = np.zeros(len(self), dtype=np.bool_)
        split[self.parents[self.parents >= 0]] = True
        return split

    def split(self, stratum: int, parts: Sequence[tuple[str, Sequence[Prompt]]]) -> Strata:
        """The strata after `stratum` was split into `parts` (name and prompts of each); their numbers follow the last one.

        Raises:
            ValueError: fewer than two parts, a name that is taken, or a stratum that is split already.
        """
        if len(parts) < 2 or self.is_split[stratum]:
            raise ValueError(f"stratum {self.names[stratum]!r} can be split once, into two parts or more")
        names = (*self.names, *(name for name, _ in parts))
        if len(set(names)) < len(names):
            raise ValueError(f"the parts of {self.names[stratum]!r} need names that no stratum has")
        place = self.splits + 1
        share = FOR_PARTS / (place * (place + 1)) / len(parts)
        fresh = {prompt.id: len(self) + number for number, (_, prompts) in enumerate(parts) for prompt in prompts}
        return replace(
            self,
            names=names,
            parents=np.concatenate([self.parents, np.full(len(parts), stratum, dtype=np.int64)]),
            shares=np.concatenate([self.shares, np.full(len(parts), share)]),
            part_of={**self.part_of, **fresh},
            splits=place,
        )
