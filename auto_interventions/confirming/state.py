"""Confirming as a fold: every hypothesis bets on fresh pairs of untouched prompts.

A hypothesis h earns from a pair the payoff x = score_h(text_intervention) − score_h(text_base) ∈ [−1, 1], betting both ways. If the
models show h equally often at each prompt, swapping the two texts changes nothing, x is symmetric around 0, and the capital is a test
martingale: the e-value may be read after every round, prompts may be chosen by it, and confirming may stop on it. No hypothesis is ever
dropped: e-BH runs over all that were proposed, each with its share of the error budget.

Scores of a judge that abstained on either text (NaN) are no bet and leave the pair out of the effect. The prompt is the unit of
effects: means over its pairs; the intervals go by the backbone (`confirming.plan`), prompts in the order in which it visited them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.config import AuditConfig
from auto_interventions.confirming.focus import shares_of, starting_wealth
from auto_interventions.exploring.state import RoundState
from auto_interventions.inference.betting import bet_many, log_e_values
from auto_interventions.inference.ebh import e_bh, gate_is_open
from auto_interventions.inference.effects import Effect, estimate_effect
from auto_interventions.inference.fixed import benjamini_hochberg, paired_p_values
from auto_interventions.inference.intervals import confidence_sequence, e_by_level
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, Hypothesis, IntArray, Pair

_AT_LEAST_PROMPTS = 20  # no stop before so many prompts: intervals of fewer say nothing


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
        scores_base, scores_intervention: (H, N) scores of all pairs so far, NaN = abstained.
        pairs: the N pairs, without their order ever changing.
        prompt_of_pair: (N,) number of each pair's prompt, in order of first visit.
        backbone: (N,) whether a pair belongs to the backbone; the others are focused.
        drawn: pairs of each prompt id.
        fixed: whether a fixed-n test decides (exhaustive audits), not the e-values.
        rounds: rounds done.
    """

    hypotheses: tuple[Hypothesis, ...]
    planned_prompts: int
    strata: tuple[str, ...]
    pool_sizes: FloatArray
    shares: FloatArray
    log_wealth: FloatArray
    seen: FloatArray
    scores_base: FloatMatrix
    scores_intervention: FloatMatrix
    prompt_of_pair: IntArray
    backbone: BoolArray
    pairs: tuple[Pair, ...] = ()
    drawn: Mapping[str, int] = field(default_factory=dict)
    fixed: bool = False
    rounds: int = 0

    @staticmethod
    def start(
        hypotheses: Sequence[Hypothesis],
        planned_prompts: int,
        pool: Mapping[str, int] | None = None,
        explored: FloatArray | None = None,
        fixed: bool = False,
    ) -> ConfirmState:
        """Before the first pair: every hypothesis has capital 1.

        Args:
            pool: prompts of the confirm pool by stratum; None: one stratum without a name.
            explored: (H, S, 3) number, sum and sum of squares of the payoffs while exploring, strata in the order of `pool`.

        Raises:
            ValueError: `explored` of another shape.
        """
        sizes = pool or {"": 1}
        sums = np.zeros((len(hypotheses), len(sizes), 3)) if explored is None else explored
        if sums.shape != (len(hypotheses), len(sizes), 3):
            raise ValueError(f"explored payoffs must have shape {(len(hypotheses), len(sizes), 3)}, not {sums.shape}")
        none = np.zeros((len(hypotheses), 0), dtype=np.float32)
        return ConfirmState(
            hypotheses=tuple(hypotheses),
            planned_prompts=planned_prompts,
            strata=tuple(sizes),
            pool_sizes=np.array(list(sizes.values()), dtype=np.float64),
            shares=shares_of(hypotheses),
            log_wealth=starting_wealth(hypotheses, sums.sum(axis=1)),
            seen=sums,
            scores_base=none,
            scores_intervention=none,
            prompt_of_pair=np.zeros(0, dtype=np.int64),
            backbone=np.zeros(0, dtype=np.bool_),
            fixed=fixed,
        )

    @property
    def log_e(self) -> FloatArray:
        """(H,) log e-values."""
        return log_e_values(self.log_wealth)

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
        return paired_p_values(np.array([self._differences(number, every) for number in range(len(self.hypotheses))]))

    def effect(self, hypothesis: int, alpha: float, selected: int | None = None) -> Effect:
        """Size and place of the difference that hypothesis number `hypothesis` describes.

        `selected`: how many hypotheses were picked out, this one among them; its interval then bounds the false coverage rate
        (`e_by_level`). None: it was not picked.
        """
        base, intervention = self.scores_base[hypothesis], self.scores_intervention[hypothesis]
        judged = ~(np.isnan(base) | np.isnan(intervention))
        number = self.stratum_number
        strata = np.zeros(self.prompts, dtype=np.int64)
        strata[self.prompt_of_pair] = [number.setdefault(pair.prompt.stratum, len(number)) for pair in self.pairs]
        focused = not self.backbone.all()
        return estimate_effect(
            self._prompt_means(base, judged),
            self._prompt_means(intervention, judged),
            strata,
            list(number),
            alpha if selected is None else e_by_level(selected, len(self.hypotheses), alpha),
            ordering=self._prompt_means(np.sign(intervention - base), judged),
            planned=max(self.planned_prompts, 1),
            strata_alpha=alpha,
            running=selected is None,
            pool_sizes=self.pool_sizes if focused and len(number) == len(self.strata) else None,
            random_sample=self._backbone_differences(hypothesis) if focused else None,
        )

    def interval(self, hypothesis: int, alpha: float) -> tuple[float, float]:
        """The effect's interval alone, at level `alpha`."""
        return confidence_sequence(self._backbone_differences(hypothesis), -1, 1, alpha, planned=max(self.planned_prompts, 1))

    def _backbone_differences(self, hypothesis: int) -> FloatArray:
        """Mean difference of each prompt's backbone pairs, in the backbone's order."""
        _, first = np.unique(self.prompt_of_pair[self.backbone], return_index=True)
        order = self.prompt_of_pair[self.backbone][np.sort(first)]
        return self._differences(hypothesis, self.backbone)[order]

    def _differences(self, hypothesis: int, rows: BoolArray) -> FloatArray:
        """(prompts,) mean difference over each prompt's judged pairs among `rows`; NaN where there is none."""
        payoffs = self.scores_intervention[hypothesis] - self.scores_base[hypothesis]
        return self._prompt_means(payoffs, rows & ~np.isnan(payoffs))

    def _prompt_means(self, values: FloatMatrix, judged: BoolArray) -> FloatArray:
        """(prompts,) mean over each prompt's judged pairs, NaN where none was judged."""
        where = self.prompt_of_pair[judged]
        sums = np.bincount(where, weights=values[judged].astype(np.float64), minlength=self.prompts)
        counts = np.bincount(where, minlength=self.prompts)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def confirm_round(
    state: ConfirmState,
    pairs: Sequence[Pair],
    scores_base: FloatMatrix,
    scores_intervention: FloatMatrix,
    backbone_pairs: int | None = None,
) -> ConfirmState:
    """The state after one more round.

    Args:
        pairs: n fresh pairs of confirm-pool prompts, those of the backbone first, in the plan's order.
        scores_base, scores_intervention: (H, n) how well each sentence fits each text, in [0, 1]; NaN = abstained.
        backbone_pairs: how many belong to the backbone; None: all.

    Raises:
        ValueError: scores of another shape or outside [0, 1], or a pair that was bet on before.
    """
    expected = (len(state.hypotheses), len(pairs))
    if scores_base.shape != expected or scores_intervention.shape != expected:
        raise ValueError(f"scores must have shape {expected}, not {scores_base.shape} and {scores_intervention.shape}")
    if any(np.any((scores < 0) | (scores > 1)) for scores in (scores_base, scores_intervention)):
        raise ValueError("scores must lie in [0, 1] (NaN = the judge abstained)")
    seen = {(pair.prompt.id, pair.base.sample) for pair in state.pairs}
    fresh = {(pair.prompt.id, pair.base.sample) for pair in pairs}
    if len(fresh) < len(pairs) or fresh & seen:
        raise ValueError("a pair was judged before: each pair may be bet on once only")
    payoffs = scores_intervention.astype(np.float64) - scores_base.astype(np.float64)
    drawn = dict(state.drawn)
    for pair in pairs:
        drawn[pair.prompt.id] = drawn.get(pair.prompt.id, 0) + 1
    return replace(
        state,
        log_wealth=bet_many(state.log_wealth, payoffs),
        seen=state.seen + payoff_sums(payoffs, [pair.prompt.stratum for pair in pairs], state.strata),
        scores_base=np.concatenate([state.scores_base, scores_base], axis=1),
        scores_intervention=np.concatenate([state.scores_intervention, scores_intervention], axis=1),
        pairs=(*state.pairs, *pairs),
        prompt_of_pair=np.concatenate([state.prompt_of_pair, _numbered(state, pairs)]),
        backbone=np.concatenate([state.backbone, np.arange(len(pairs)) < (len(pairs) if backbone_pairs is None else backbone_pairs)]),
        drawn=drawn,
        rounds=state.rounds + 1,
    )


def payoff_sums(payoffs: FloatArray, strata: Sequence[str], names: Sequence[str]) -> FloatArray:
    """(H, S, 3) number, sum and sum of squares of payoffs (H, n) by stratum; NaN is left out, and so are strata not in `names`."""
    number = {name: place for place, name in enumerate(names)}
    where = np.array([number.get(name, 0 if len(names) == 1 else -1) for name in strata], dtype=np.int64)
    known = np.flatnonzero(where >= 0)
    members = csr_matrix((np.ones(len(known)), (where[known], known)), shape=(len(names), len(strata)))
    paid = np.nan_to_num(payoffs, nan=0.0)
    moments = ((~np.isnan(payoffs)).astype(np.float64), paid, paid**2)
    return np.stack([np.asarray(members @ moment.T, dtype=np.float64).T for moment in moments], axis=-1)


def log_e_overall(state: ConfirmState, explored: RoundState) -> float:
    """Log of the gatekeeper's e-value with everything seen so far, exploring and confirming."""
    return explored.log_e_with(state.log_e, state.shares if len(state.hypotheses) else None)


def validated(state: ConfirmState, explored: RoundState, alpha: float) -> BoolArray:
    """(H,) which hypotheses are validated now: e-BH over all of them, if the gatekeeper lets anything through.

    Exhaustive audits: Benjamini & Hochberg on the fixed-n p-values.
    """
    if state.fixed:
        return benjamini_hochberg(state.p_values, alpha)
    if not gate_is_open(log_e_overall(state, explored), alpha):
        return np.zeros(len(state.hypotheses), dtype=np.bool_)
    return e_bh(state.log_e, alpha, state.shares)


def nats_needed(state: ConfirmState, explored: RoundState, alpha: float) -> FloatArray:
    """(H,) how much each log e-value has to grow to be the next that e-BH rejects; ≤ 0 for those that are validated."""
    passed = validated(state, explored, alpha)
    bar = -np.log(alpha * state.shares * (int(passed.sum()) + 1))
    return np.where(passed, 0.0, np.maximum(bar - state.log_e, 1e-3))


def why_stop_confirming(state: ConfirmState, explored: RoundState, config: AuditConfig, exhausted: bool = False) -> str | None:
    """Why confirming should end now, as a clause for the report; None to go on.

    It ends early only when more pairs could not change what the report says at the resolution that was asked for: every hypothesis is
    either validated with an interval no wider than ± the smallest effect of interest, or its interval lies within ± that effect.

    Args:
        exhausted: the plan has nothing left to ask.
    """
    if not state.hypotheses:
        return "no hypothesis was proposed"
    if exhausted:
        visited = state.backbone_prompts
        judged = f"planned prompts were judged ({len(state.pairs)} pairs)"
        missing = visited < state.planned_prompts
        return f"max_texts is spent; {visited} of {state.planned_prompts} {judged}" if missing else f"all {visited} {judged}"
    if state.backbone_prompts < _AT_LEAST_PROMPTS:
        return None
    smallest, passed = config.inference.smallest_effect, validated(state, explored, config.inference.alpha)
    for number, is_validated in enumerate(passed):
        lo, hi = state.interval(number, config.inference.alpha)
        if not (hi - lo <= 2 * smallest if is_validated else -smallest <= lo and hi <= smallest):
            return None
    return f"all hypotheses are decided: validated, or shown to differ by less than {smallest:g} ({len(state.pairs)} pairs)"


def _numbered(state: ConfirmState, pairs: Sequence[Pair]) -> IntArray:
    number = {pair.prompt.id: int(index) for pair, index in zip(state.pairs, state.prompt_of_pair, strict=True)}
    return np.array([number.setdefault(pair.prompt.id, len(number)) for pair in pairs], dtype=np.int64)
