"""Confirming as a fold: every hypothesis bets on fresh pairs of untouched prompts.

A hypothesis h earns from a pair the payoff x = score_h(text_intervention) − score_h(text_base) ∈ [−1, 1], betting both ways. If the
models show h equally often at each prompt, swapping the two texts changes nothing, x is symmetric around 0, and the capital is a test
martingale: the e-value may be read after every round, and confirming may stop on it. No hypothesis is ever dropped: e-BH runs over all
that were proposed.

Scores of a judge that abstained on either text (NaN) are no bet and leave the pair out of the effect. The prompt is the unit of
effects: means over its pairs, prompts in the order in which they were first asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.state import RoundState
from auto_interventions.inference.betting import bet_many, log_e_values, start_log_wealth
from auto_interventions.inference.ebh import e_bh, gate_is_open, overall_log_e
from auto_interventions.inference.effects import Effect, estimate_effect
from auto_interventions.inference.intervals import e_by_level
from auto_interventions.records import BoolArray, FloatArray, FloatMatrix, Hypothesis, IntArray, Pair

_AT_LEAST_PROMPTS = 20  # no stop before so many prompts: intervals of fewer say nothing


@dataclass(frozen=True, slots=True)
class ConfirmState:
    """What confirming knows so far.

    Attributes:
        hypotheses: all H ever proposed.
        planned_prompts: prompts of the plan (`confirming.plan`), which aims the intervals.
        log_wealth: (H, K) log-capital, two-sided.
        scores_base, scores_intervention: (H, N) scores of all pairs so far, NaN = abstained.
        pairs: the N pairs, without their order ever changing.
        prompt_of_pair: (N,) number of each pair's prompt, in order of first visit.
        rounds: rounds done.
    """

    hypotheses: tuple[Hypothesis, ...]
    planned_prompts: int
    log_wealth: FloatArray
    scores_base: FloatMatrix
    scores_intervention: FloatMatrix
    prompt_of_pair: IntArray
    pairs: tuple[Pair, ...] = ()
    rounds: int = 0

    @staticmethod
    def start(hypotheses: Sequence[Hypothesis], planned_prompts: int) -> ConfirmState:
        """Before the first pair: every hypothesis has capital 1."""
        none = np.zeros((len(hypotheses), 0), dtype=np.float32)
        return ConfirmState(
            tuple(hypotheses), planned_prompts, start_log_wealth(len(hypotheses), True), none, none, np.zeros(0, dtype=np.int64)
        )

    @property
    def log_e(self) -> FloatArray:
        """(H,) log e-values."""
        return log_e_values(self.log_wealth)

    @property
    def prompts(self) -> int:
        """Prompts visited."""
        return int(self.prompt_of_pair.max(initial=-1)) + 1

    def effect(self, hypothesis: int, alpha: float, selected: int | None = None) -> Effect:
        """Size and place of the difference that hypothesis number `hypothesis` describes.

        `selected`: how many hypotheses were picked out, this one among them; its interval then bounds the false coverage rate
        (`e_by_level`). None: it was not picked.
        """
        base, intervention = self.scores_base[hypothesis], self.scores_intervention[hypothesis]
        judged = ~(np.isnan(base) | np.isnan(intervention))
        names = sorted({pair.prompt.stratum for pair in self.pairs})
        strata = np.zeros(self.prompts, dtype=np.int64)
        strata[self.prompt_of_pair] = [names.index(pair.prompt.stratum) for pair in self.pairs]
        signs = np.sign(intervention - base)
        return estimate_effect(
            self._prompt_means(base, judged),
            self._prompt_means(intervention, judged),
            strata,
            names,
            alpha if selected is None else e_by_level(selected, len(self.hypotheses), alpha),
            ordering=self._prompt_means(signs, judged),
            planned=max(self.planned_prompts, 1),
            strata_alpha=alpha,
            running=selected is None,
        )

    def _prompt_means(self, values: FloatMatrix, judged: BoolArray) -> FloatArray:
        """(prompts,) mean over each prompt's judged pairs, NaN where none was judged."""
        where = self.prompt_of_pair[judged]
        sums = np.bincount(where, weights=values[judged].astype(np.float64), minlength=self.prompts)
        counts = np.bincount(where, minlength=self.prompts)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def confirm_round(state: ConfirmState, pairs: Sequence[Pair], scores_base: FloatMatrix, scores_intervention: FloatMatrix) -> ConfirmState:
    """The state after one more round.

    Args:
        pairs: n fresh pairs of confirm-pool prompts, in the plan's order.
        scores_base, scores_intervention: (H, n) how well each sentence fits each text, in [0, 1]; NaN = abstained.

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
    return replace(
        state,
        log_wealth=bet_many(state.log_wealth, payoffs),
        scores_base=np.concatenate([state.scores_base, scores_base], axis=1),
        scores_intervention=np.concatenate([state.scores_intervention, scores_intervention], axis=1),
        pairs=(*state.pairs, *pairs),
        prompt_of_pair=np.concatenate([state.prompt_of_pair, _numbered(state, pairs)]),
        rounds=state.rounds + 1,
    )


def log_e_overall(state: ConfirmState, explored: RoundState) -> float:
    """Log of the gatekeeper's e-value with everything seen so far, exploring and confirming."""
    return overall_log_e(explored.overall.log_e, explored.log_e_strata, state.log_e)


def validated(state: ConfirmState, explored: RoundState, alpha: float) -> BoolArray:
    """(H,) which hypotheses are validated now: e-BH over all of them, if the gatekeeper lets anything through."""
    if not gate_is_open(log_e_overall(state, explored), alpha):
        return np.zeros(len(state.hypotheses), dtype=np.bool_)
    return e_bh(state.log_e, alpha)


def why_stop_confirming(state: ConfirmState, explored: RoundState, config: AuditConfig, exhausted: bool = False) -> str | None:
    """Why confirming should end now, as a clause for the report; None to go on.

    It ends early only when more pairs could not change what the report says at the resolution that was asked for: every hypothesis is
    either validated with an interval no wider than ± the smallest effect of interest, or its interval lies within ± that effect.
    """
    if not state.hypotheses:
        return "no hypothesis was proposed"
    if exhausted or state.prompts >= state.planned_prompts:
        return f"all {state.prompts} planned prompts were judged ({len(state.pairs)} pairs)"
    if state.prompts < _AT_LEAST_PROMPTS:
        return None
    smallest, passed = config.inference.smallest_effect, validated(state, explored, config.inference.alpha)
    for number, is_validated in enumerate(passed):
        lo, hi = state.effect(number, config.inference.alpha).interval
        if not (hi - lo <= 2 * smallest if is_validated else -smallest <= lo and hi <= smallest):
            return None
    return f"all hypotheses are decided: validated, or shown to differ by less than {smallest:g} ({len(state.pairs)} pairs)"


def _numbered(state: ConfirmState, pairs: Sequence[Pair]) -> IntArray:
    number = {pair.prompt.id: int(index) for pair, index in zip(state.pairs, state.prompt_of_pair, strict=True)}
    return np.array([number.setdefault(pair.prompt.id, len(number)) for pair in pairs], dtype=np.int64)
