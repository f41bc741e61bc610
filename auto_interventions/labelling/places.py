"""Places where the models differ, and how far the labeller has read in each.

What it does not know: what was found there.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

from auto_interventions.fingerprint import generator
from auto_interventions.labelling.prompting import Shown
from auto_interventions.records import Hypothesis, Pair

_SILENT = 2  # visits in a row that bring nothing new: a site is given up


@dataclass(frozen=True, slots=True)
class Site:
    """A place where the models differ, such as a stratum or a cluster: explored pairs, and lexical hypotheses about them.

    `name` must be the same when a run is started again; the labeller does not see it.
    """

    name: str
    pairs: tuple[Pair, ...]
    hints: tuple[Hypothesis, ...] = ()


class Place:
    """A site and how far it has been read."""

    def __init__(self, site: Site, at_once: int, seed: int) -> None:
        """`at_once`: pairs that a visit shows."""
        self.site = site
        self.visits = self.silent = 0
        self.at_once = at_once
        self._seed = seed
        self._pairs = _in_order(site, seed)
        self._next = 0

    @property
    def worth(self) -> bool:
        """Whether another visit may bring something."""
        return bool(self._pairs) and (self.silent == 0 or (self.silent < _SILENT and self._next < len(self._pairs)))

    def visit(self) -> tuple[list[Shown], bool]:
        """The next pairs, from the beginning again after the last; and whether X is the base."""
        turned = itertools.islice(itertools.cycle(self._pairs), self._next % len(self._pairs), None)
        pairs = list(itertools.islice(turned, min(self.at_once, len(self._pairs))))
        asked = [[pair.prompt.id, pair.base.sample] for pair in pairs]  # sites may share a name: each still throws its own coin
        rng = generator("labelling", self._seed, self.site.name, self.visits, asked)
        x_is_base = bool(rng.random() < 0.5)
        shown: list[Shown] = []
        for pair in pairs:
            sides = (pair.base.text, pair.intervention.text)
            x, y = sides if x_is_base else sides[::-1]
            shown.append(Shown(pair.prompt.whole, x, y, bool(rng.random() < 0.5)))
        self.visits += 1
        self._next += len(shown)
        return shown, x_is_base

    def learn(self, news: int, too_long: bool) -> None:
        """After a visit: `news` sentences that were not there before; `too_long`: it was more than the model takes."""
        if too_long and self.at_once > 1:
            self._next -= min(self.at_once, len(self._pairs))
            self.at_once = min(self.at_once, len(self._pairs)) // 2 or 1
        else:
            self.silent = 0 if news else self.silent + 1


def _in_order(site: Site, seed: int) -> list[Pair]:
    """The pairs that differ at all, in random order, each prompt once before any comes again."""
    pairs = sorted(
        (pair for pair in site.pairs if pair.base.text != pair.intervention.text),
        key=lambda pair: (pair.prompt.id, pair.base.sample, pair.base.id, pair.base.text, pair.intervention.text),
    )
    order = generator("labelling pairs", seed, site.name).permutation(len(pairs)).tolist()
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for place in order:
        prompt = pairs[place].prompt.id
        turns.append((seen[prompt], place))
        seen[prompt] += 1
    return [pairs[place] for _, place in sorted(turns, key=lambda turn: turn[0])]
