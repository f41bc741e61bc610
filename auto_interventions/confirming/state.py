"""Confirming as a fold: every hypothesis bets on fresh pairs of untouched prompts.

A hypothesis h earns from a pair the payoff x = score_h(text_intervention) − score_h(text_base) ∈ [−1, 1], betting both ways. If the
models show h equally often at each prompt, swapping the two texts changes nothing, x is symmetric around 0, and the capital is a test
martingale: the e-value may be read after every round, prompts may be chosen by it, and confirming may stop on it. No hypothesis is ever
dropped: e-BH runs over all that were proposed, each with its share of the error budget.

Scores of a judge that abstained on either text, or was not asked (NaN), are no bet and leave the pair out of the effect. The prompt is the
unit of effects: means over its pairs; the intervals go by the backbone (`confirming.plan`), prompts in the order in which it visited them.

A sentence that a language model judges is judged on some pairs only (`confirming.scheduling`), perhaps by two judges: bets and sizes then
take different payoffs (`confirming.payoffs`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from auto_interventions.confirming.focus import judged_by_model, local_stakes, shares_of, starting_wealth, support_of
from auto_interventions.confirming.payoffs import bets_of, counted, fresh_bets, payoff_sums, unbiased_scores
from auto_interventions.inference.betting import bet_many, log_e_values
from auto_interventions.inference.cascade import largest
from auto_interventions.inference.effects import Effect, estimate_effect
from auto_interventions.inference.fixed import paired_p_values
from auto_interventions.inference.intervals import confidence_sequence, e_by_level, mean_within
from auto_interventions.judging.judged import Judged
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, Hypothesis, IntArray, Pair

_AIM = 100  # prompts at which the interval of a sentence that a language model judges is narrowest: most stop near it


@dataclass(frozen=True, slots=True)
class ConfirmState:
    """What confirming knows so far.

    Attributes:
        hypotheses: all H ever proposed.
        planned_prompts: prompts of the backbone, which aims the intervals.
        strata: names of the S strata of the confirm pool; pool_sizes: (S,) their prompts in it.
        shares: (H,) of the error budget.
        log_wealth: (H, K) log-capital, two-sided.
        seen: (H, S, 3) number, sum and sum of squares of the payoffs in each stratum, explored and confirmed together: where to look.
        explored: (H, S, 3) the same of the explored pairs alone.
        judged: (H, N) what the judges said of all pairs so far.
        paid: (H, 3) number, sum and sum of squares of the payoffs that each sentence bet on.
        tried: (H,) pairs on which each sentence was judged, answered or not.
        pairs: the N pairs, without their order ever changing.
        prompt_of_pair: (N,) number of each pair's prompt, in order of first visit.
        backbone: (N,) whether a pair belongs to the backbone; the others are focused.
        drawn: pairs of each prompt id.
        fixed: whether a fixed-n test decides (exhaustive audits), not the e-values.
        least_chance: the smallest chance with which a strong judge is asked, as fixed beforehand; 1 where there is none.
        slices: where it was fixed anew for a block: how many pairs, and (H,) the smallest chance of each sentence; None: `least_chance`.
        rounds: rounds done.
    """

    hypotheses: tuple[Hypothesis, ...]
    planned_prompts: int
    strata: tuple[str, ...]
    pool_sizes: FloatArray
    shares: FloatArray
    log_wealth: FloatArray
    seen: FloatArray
    explored: FloatArray
    judged: Judged
    paid: FloatArray
    tried: IntArray
    prompt_of_pair: IntArray
    backbone: BoolArray
    pairs: tuple[Pair, ...] = ()
    drawn: Mapping[str, int] = field(default_factory=dict)
    fixed: bool = False
    least_chance: float = 1.0
    slices: tuple[tuple[int, FloatArray | None], ...] = ()
    rounds: int = 0

    @staticmethod
    def start(
        hypotheses: Sequence[Hypothesis],
        planned_prompts: int,
        pool: Mapping[str, int] | None = None,
        explored: FloatArray | None = None,
        fixed: bool = False,
        least_chance: float = 1.0,
    ) -> ConfirmState:
        """Before the first pair: every hypothesis has capital 1.

        Args:
            pool: prompts of the confirm pool by stratum; None: one stratum without a name.
            explored: (H, S, 3) number, sum and sum of squares of the payoffs while exploring, strata in the order of `pool`.
            least_chance: `judge.slice` where there is a strong judge.

        Raises:
            ValueError: `explored` of another shape.
        """
        sizes = pool or {"": 1}
        sums = np.zeros((len(hypotheses), len(sizes), 3)) if explored is None else explored
        if sums.shape != (len(hypotheses), len(sizes), 3):
            raise ValueError(f"explored payoffs must have shape {(len(hypotheses), len(sizes), 3)}, not {sums.shape}")
        return ConfirmState(
            hypotheses=tuple(hypotheses),
            planned_prompts=planned_prompts,
            strata=tuple(sizes),
            pool_sizes=np.array(list(sizes.values()), dtype=np.float64),
            shares=shares_of(hypotheses),
            log_wealth=starting_wealth(hypotheses, (sums * _stakes(hypotheses, sums)[..., None]).sum(axis=1)),
            seen=sums,
            explored=sums,
            judged=Judged.empty(len(hypotheses)),
            paid=np.zeros((len(hypotheses), 3)),
            tried=np.zeros(len(hypotheses), dtype=np.int64),
            prompt_of_pair=np.zeros(0, dtype=np.int64),
            backbone=np.zeros(0, dtype=np.bool_),
            fixed=fixed,
            least_chance=least_chance,
        )

    @property
    def scores_base(self) -> FloatMatrix:
        """(H, N) the best known scores of the base's texts; NaN = not judged."""
        return self.judged.base

    @property
    def scores_intervention(self) -> FloatMatrix:
        """(H, N) the best known scores of the intervention's texts."""
        return self.judged.intervention

    @property
    def by_model(self) -> BoolArray:
        """(H,) which sentences only a language model can judge."""
        return judged_by_model(self.hypotheses)

    @property
    def log_e(self) -> FloatArray:
        """(H,) log e-values."""
        return log_e_values(self.log_wealth)

    @property
    def support(self) -> FloatArray:
        """(H,) nats by which fresh pairs speak for each sentence (`focus.support_of`): where to look goes by it, no verdict."""
        return support_of(self.hypotheses, self.log_e, self.explored, self.seen)

    @property
    def sizing(self) -> bool:
        """Whether the strong judge is asked more often about sentences that lead (`confirming.scheduling`)."""
        return any(slices is not None for _, slices in self.slices)

    @property
    def prompts(self) -> int:
        """Prompts visited."""
        return int(self.prompt_of_pair.max(initial=-1)) + 1

    @property
    def backbone_prompts(self) -> int:
        """Prompts that the backbone visited."""
        return len(np.unique(self.prompt_of_pair[self.backbone]))

    @property
    def stratum_number(self) -> dict[str, int]:
        """Number of each stratum by name."""
        return {name: number for number, name in enumerate(self.strata)}

    @property
    def p_values(self) -> FloatArray:
        """(H,) p-values of the fixed-n test over prompts (`inference.fixed`); valid where all texts were drawn before any was judged."""
        every = np.ones(len(self.pairs), dtype=np.bool_)
        return paired_p_values(np.array([self._means(self._bets(number), every) for number in range(len(self.hypotheses))]))

    def judged_prompts(self, hypothesis: int) -> int:
        """Prompts that the interval of hypothesis number `hypothesis` rests on."""
        return len(np.unique(self.prompt_of_pair[self.backbone & counted(self.judged, hypothesis)]))

    def sized_prompts(self, hypothesis: int) -> int:
        """Those of them of which every verdict is the better judge's: that of the strong one where there are two."""
        reach = self._reach(hypothesis, self.backbone)
        judged = np.unique(self.prompt_of_pair[self.backbone & counted(self.judged, hypothesis)])
        return len(judged) if reach is None else int((reach[judged] == 1).sum())

    def effect(self, hypothesis: int, alpha: float, selected: int | None = None) -> Effect:
        """Size and place of the difference that hypothesis number `hypothesis` describes.

        `selected`: how many hypotheses were picked out, this one among them; its interval then bounds the false coverage rate
        (`e_by_level`). None: it was not picked.
        """
        base, intervention = unbiased_scores(self.judged, hypothesis)
        judged = ~(np.isnan(base) | np.isnan(intervention))
        number = self.stratum_number
        strata = np.zeros(self.prompts, dtype=np.int64)
        strata[self.prompt_of_pair] = [number.setdefault(pair.prompt.stratum, len(number)) for pair in self.pairs]
        focused = not self.backbone.all()
        reach, sample_reach = (self._reach(hypothesis, rows) for rows in (np.ones_like(self.backbone), self.backbone))
        return estimate_effect(
            self._prompt_means(base, judged),
            self._prompt_means(intervention, judged),
            strata,
            list(number),
            alpha if selected is None else e_by_level(selected, len(self.hypotheses), alpha),
            ordering=self._prompt_means(np.sign(self._best_known(hypothesis)), judged),
            planned=self._planned(hypothesis),
            strata_alpha=alpha,
            running=selected is None,
            pool_sizes=self.pool_sizes if focused and len(number) == len(self.strata) else None,
            random_sample=self._backbone_differences(hypothesis) if focused else None,
            reach=reach,
            sample_reach=sample_reach[self._backbone_order] if focused and sample_reach is not None else None,
        )

    def interval(self, hypothesis: int, alpha: float) -> tuple[float, float]:
        """The effect's interval alone, at level `alpha`."""
        values, planned = self._backbone_differences(hypothesis), self._planned(hypothesis)
        reach = self._reach(hypothesis, self.backbone)
        if reach is not None:
            return mean_within(values, reach[self._backbone_order], alpha, planned)
        return confidence_sequence(values, -1, 1, alpha, planned=planned)

    def _planned(self, hypothesis: int) -> int:
        """How many prompts the interval aims at."""
        planned = max(self.planned_prompts, 1)
        return planned if self.fixed or self.hypotheses[hypothesis].check is not None else min(planned, _AIM)

    def _reach(self, hypothesis: int, rows: BoolArray) -> FloatArray | None:
        """(prompts,) bound of the mean unbiased payoff of each prompt's pairs among `rows`, fixed before they were judged; None: 1."""
        twice = self.judged.chance[hypothesis] > 0
        if not twice.any():
            return None
        least = [(count, self.least_chance if slices is None else float(slices[hypothesis]) or 1.0) for count, slices in self.slices]
        bounds = np.concatenate([np.full(count, largest(np.array([smallest]))) for count, smallest in least])
        reach = np.ones(self.prompts)
        np.maximum.at(reach, self.prompt_of_pair[twice & rows], bounds[twice & rows])
        return reach

    def _best_known(self, hypothesis: int) -> FloatMatrix:
        """(N,) difference of the best known scores."""
        row = self.judged.row(hypothesis)
        return row.intervention[0] - row.base[0]

    def _bets(self, hypothesis: int) -> FloatArray | FloatMatrix:
        """(N,) the payoffs that evidence goes by."""
        return self._best_known(hypothesis) if self.judged.alone else bets_of(self.judged, hypothesis)

    @property
    def _backbone_order(self) -> IntArray:
        """Numbers of the backbone's prompts in its order."""
        _, first = np.unique(self.prompt_of_pair[self.backbone], return_index=True)
        return self.prompt_of_pair[self.backbone][np.sort(first)]

    def _backbone_differences(self, hypothesis: int) -> FloatArray:
        """Mean difference of each prompt's backbone pairs, in the backbone's order."""
        return self._differences(hypothesis, self.backbone)[self._backbone_order]

    def _differences(self, hypothesis: int, rows: BoolArray) -> FloatArray:
        """(prompts,) mean unbiased difference over each prompt's judged pairs among `rows`; NaN where there is none."""
        base, intervention = unbiased_scores(self.judged, hypothesis)
        return self._means(intervention - base, rows)

    def _means(self, payoffs: FloatArray | FloatMatrix, rows: BoolArray) -> FloatArray:
        """(prompts,) mean over each prompt's pairs among `rows` that paid; NaN where there is none."""
        return self._prompt_means(payoffs, rows & ~np.isnan(payoffs))

    def _prompt_means(self, values: FloatArray | FloatMatrix, judged: BoolArray) -> FloatArray:
        """(prompts,) mean over each prompt's judged pairs, NaN where none was judged."""
        where = self.prompt_of_pair[judged]
        sums = np.bincount(where, weights=values[judged].astype(np.float64), minlength=self.prompts)
        counts = np.bincount(where, minlength=self.prompts)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def confirm_round(
    state: ConfirmState,
    pairs: Sequence[Pair],
    scores_base: FloatMatrix | None = None,
    scores_intervention: FloatMatrix | None = None,
    backbone_pairs: int | None = None,
    *,
    judged: Judged | None = None,
    cells: BoolArray | None = None,
    slices: FloatArray | None = None,
) -> ConfirmState:
    """The state after one more round, or one more block of a round.

    Args:
        pairs: n fresh pairs of confirm-pool prompts, those of the backbone first, in the plan's order.
        scores_base, scores_intervention: (H, n) how well each sentence fits each text, in [0, 1]; NaN = abstained.
        backbone_pairs: how many belong to the backbone; None: all.
        judged: instead of the two, what one or two judges said.
        cells: (H, n) which sentence was to be judged on which pair, chosen before any of these pairs was judged (`next_block`): a choice
            that knows another sentence's verdict on the same pair is biased. None: every one.
        slices: (H, k) chances with which a strong judge was to be asked on these pairs, chosen before they were judged; None: as
            the state says.

    Raises:
        ValueError: scores of another shape or outside [0, 1], a chance below `slices`, or a pair that was bet on before.
    """
    if judged is None:
        if scores_base is None or scores_intervention is None:
            raise ValueError("give the scores of both texts, or `judged`")
        judged = Judged.of_scores(scores_base, scores_intervention)
    _check(state, pairs, judged, cells)
    chance = np.where(judged.chance > 0, judged.chance, 1.0).min(axis=1, initial=1.0) if not judged.alone else np.ones(1)
    slices = None if slices is None else slices.reshape(len(slices), -1).min(axis=1)
    if slices is not None and np.any(chance < slices):
        raise ValueError("the strong judge was asked with a smaller chance than was fixed beforehand")
    drawn = dict(state.drawn)
    for pair in pairs:
        drawn[pair.prompt.id] = drawn.get(pair.prompt.id, 0) + 1
    whole = state.judged.then(judged)
    payoffs, strata = fresh_bets(whole, judged), [pair.prompt.stratum for pair in pairs]
    stakes = np.append(_stakes(state.hypotheses, state.seen), np.ones((len(state.hypotheses), 1)), axis=1)
    number = state.stratum_number
    return replace(
        state,
        log_wealth=bet_many(state.log_wealth, payoffs * stakes[:, [number.get(name, -1) for name in strata]]),
        seen=state.seen + payoff_sums(payoffs, strata, state.strata),
        judged=whole,
        paid=state.paid + payoff_sums(payoffs, [""] * len(pairs), [""])[:, 0],
        tried=state.tried + (len(pairs) if cells is None else cells.sum(axis=1)),
        pairs=(*state.pairs, *pairs),
        prompt_of_pair=np.concatenate([state.prompt_of_pair, _numbered(state, pairs)]),
        backbone=np.concatenate([state.backbone, np.arange(len(pairs)) < (len(pairs) if backbone_pairs is None else backbone_pairs)]),
        drawn=drawn,
        least_chance=state.least_chance if slices is not None else min(state.least_chance, float(chance.min(initial=1.0))),
        slices=(*state.slices, (len(pairs), slices)),
        rounds=state.rounds + 1,
    )


def _stakes(hypotheses: Sequence[Hypothesis], seen: FloatArray) -> FloatArray:
    """(H, S) `local_stakes`; all of it everywhere where a language model judges: its verdicts are too few to tell strata apart."""
    return np.where(judged_by_model(hypotheses)[:, None], 1.0, local_stakes(seen))


def _check(state: ConfirmState, pairs: Sequence[Pair], judged: Judged, cells: BoolArray | None) -> None:
    expected = (len(state.hypotheses), len(pairs))
    texts = (judged.cheap_base, judged.cheap_intervention, judged.strong_base, judged.strong_intervention)
    for part in (*texts, judged.asked, judged.chance, *(() if cells is None else (cells,))):
        if part.shape != expected:
            raise ValueError(f"scores must have shape {expected}, not {part.shape}")
    if any(np.any((scores < 0) | (scores > 1)) for scores in (texts[:2] if judged.alone else texts)):
        raise ValueError("scores must lie in [0, 1] (NaN = the judge abstained)")
    seen = {(pair.prompt.id, pair.base.sample) for pair in state.pairs}
    fresh = {(pair.prompt.id, pair.base.sample) for pair in pairs}
    if len(fresh) < len(pairs) or fresh & seen:
        raise ValueError("a pair was judged before: each pair may be bet on once only")


def _numbered(state: ConfirmState, pairs: Sequence[Pair]) -> IntArray:
    number = {pair.prompt.id: int(index) for pair, index in zip(state.pairs, state.prompt_of_pair, strict=True)}
    return np.array([number.setdefault(pair.prompt.id, len(number)) for pair in pairs], dtype=np.int64)
