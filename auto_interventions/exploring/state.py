"""Exploring as a fold: `state = run_round(state, batch, config)`.

A state is immutable and holds all that the next round needs: the wealths, the differences of past pairs (to train on), what was drawn,
and the history for the report. One wealth bets on all pairs, one in each stratum; in each of them two bettors (global and local
discriminator) share the capital of 1 evenly.

Within a round the pairs are bet in chunks: a discriminator is trained on everything before the chunk and only then is the chunk bet on,
so each bet is a function of the past. The very first chunk only trains. Chunks hold whole prompts in a seeded random order and are at
most as large as what was learned before; so a first round wastes an eighth of its pairs and not all of them, and later rounds are one
chunk.

Validity (design section 4): given all earlier pairs, the two texts of a pair are exchangeable if the models agree on its prompt. Which
prompt was asked, how often, and when one stops may depend on the past in any way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_matrix, vstack

from auto_interventions.clustering.threads import one_thread
from auto_interventions.config import AuditConfig
from auto_interventions.exploring.discriminator import Discriminator, width
from auto_interventions.exploring.features import text_features
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import Wealth, bet_grouped, log_e_values, start_log_wealth
from auto_interventions.inference.ebh import e_bh, gate_is_open, overall_log_e
from auto_interventions.records import FloatArray, FloatMatrix, IntArray, Pair, RoundEvidence

BETTORS = 2  # global and local discriminator
_FIRST_CHUNK = 8  # the first round trains on one part in 8 before it bets
_SMALLEST_CHUNK = 16


@dataclass(frozen=True, slots=True)
class RoundBatch:
    """The new pairs of a round: `differences` (n, d) = features of the intervention's texts − features of the base's, row i for pair i."""

    pairs: tuple[Pair, ...]
    differences: csr_matrix
    cluster_stability: float = math.nan

    @staticmethod
    def of(
        pairs: Sequence[Pair], vectors_base: FloatMatrix, vectors_intervention: FloatMatrix, cluster_stability: float = math.nan
    ) -> RoundBatch:
        """From pairs and the (n, d) embeddings of their texts.

        `cluster_stability` is the partition's agreement with the previous round's; NaN = not measured.

        Raises:
            ValueError: not one vector a text, or a vector that is not finite.
        """
        base = text_features([pair.base.text for pair in pairs], vectors_base)
        intervention = text_features([pair.intervention.text for pair in pairs], vectors_intervention)
        return RoundBatch(tuple(pairs), csr_matrix(intervention - base), cluster_stability)


@dataclass(frozen=True, slots=True)
class RoundState:
    """What exploring knows after `round` rounds.

    Attributes:
        strata: names of the strata; arrays by stratum are in this order.
        texts: texts drawn so far, both models together.
        drawn: samples drawn so far of each prompt, by prompt id.
        overall: wealth of all pairs.
        log_wealth_strata: (S, bettors, K) log-capital per stratum.
        history: one `RoundEvidence` a round.
        differences, pair_strata: feature differences (n, d) of all past pairs and their strata, in order of betting.
        pairs_by_stratum: (S,) pairs drawn; bets_by_stratum, wins_by_stratum: (S,) pairs bet on, and how often (ties half) the local
            discriminator ordered them rightly.
        seed: of the order of betting.
    """

    strata: tuple[str, ...]
    overall: Wealth
    log_wealth_strata: FloatArray
    pairs_by_stratum: IntArray
    bets_by_stratum: IntArray
    wins_by_stratum: FloatArray
    pair_strata: IntArray
    differences: csr_matrix | None = None
    discriminator: Discriminator | None = None
    seed: int = 0
    texts: int = 0
    drawn: Mapping[str, int] = field(default_factory=dict)
    history: tuple[RoundEvidence, ...] = ()

    @staticmethod
    def start(strata: Sequence[str], seed: int = 0) -> RoundState:
        """Before the first round; `strata` are the names of all strata of the explore pool.

        Raises:
            ValueError: no stratum, or one named twice.
        """
        names = tuple(strata)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"strata must be distinct names, at least one, not {names}")
        fresh = start_log_wealth(BETTORS, two_sided=False)
        return RoundState(
            strata=names,
            overall=Wealth.start(two_sided=False, bettors=BETTORS),
            log_wealth_strata=np.tile(fresh, (len(names), 1, 1)),
            pairs_by_stratum=np.zeros(len(names), dtype=np.int64),
            bets_by_stratum=np.zeros(len(names), dtype=np.int64),
            wins_by_stratum=np.zeros(len(names)),
            pair_strata=np.zeros(0, dtype=np.int64),
            seed=seed,
        )

    @property
    def round(self) -> int:
        """Rounds done."""
        return len(self.history)

    @property
    def log_e_strata(self) -> FloatArray:
        """(S,) log e-values of the strata."""
        bettors = self.log_wealth_strata.shape[1]
        return log_e_values(self.log_wealth_strata.reshape(len(self.strata), -1)) - math.log(bettors)

    @property
    def log_e_overall(self) -> float:
        """Log of the gatekeeper's e-value as far as exploring goes (no hypothesis tested yet: their capital is still 1)."""
        return overall_log_e(self.overall.log_e, self.log_e_strata, [])

    def divergent(self, alpha: float, log_hypotheses: Sequence[float] | FloatArray = ()) -> tuple[int, ...]:
        """Strata in which the models differ: e-BH at `alpha`, if the gatekeeper lets anything through."""
        if not gate_is_open(overall_log_e(self.overall.log_e, self.log_e_strata, log_hypotheses), alpha):
            return ()
        return tuple(int(stratum) for stratum in np.flatnonzero(e_bh(self.log_e_strata, alpha)))

    @property
    def auc(self) -> float:
        """How often (ties half) the discriminator told which text of an unseen pair is the intervention's; ½ before any bet."""
        return float(self.wins_by_stratum.sum() / bets) if (bets := int(self.bets_by_stratum.sum())) else 0.5

    @property
    def auc_by_stratum(self) -> FloatArray:
        """(S,) the same per stratum; ½ where nothing was bet."""
        return np.where(self.bets_by_stratum > 0, self.wins_by_stratum / np.maximum(self.bets_by_stratum, 1), 0.5)


def run_round(state: RoundState, batch: RoundBatch, config: AuditConfig) -> RoundState:
    """The state after one more round: bets on its pairs chunk by chunk, then remembers them.

    Raises:
        ValueError: a pair's stratum is not one of the state's, or features of another width than before.
    """
    strata = _strata_of(state, batch.pairs)
    if state.differences is not None and width(state.differences) != width(batch.differences):
        raise ValueError(
            f"features have {width(batch.differences)} columns, not {width(state.differences)} as before: one encoder an audit"
        )
    before = state
    # The vectors are short: more threads of BLAS would only wait for each other (50x slower on a busy machine), and round differently.
    with one_thread():
        for chunk in _chunks(batch.pairs, len(state.pair_strata), (state.seed, state.round)):
            differences = csr_matrix(batch.differences[chunk])
            state = _learn(_bet(state, differences, strata[chunk]), differences, strata[chunk])
    drawn = Counter(pair.prompt.id for pair in batch.pairs)
    state = replace(
        state,
        texts=state.texts + 2 * len(batch.pairs),
        drawn={**state.drawn, **{prompt: state.drawn.get(prompt, 0) + count for prompt, count in drawn.items()}},
    )
    return replace(state, history=(*state.history, _evidence(before, state, batch, config)))


def _bet(state: RoundState, differences: csr_matrix, strata: IntArray) -> RoundState:
    """Bets a chunk with a discriminator trained on everything before it; nothing is bet before anything was learned."""
    if state.differences is None:
        return state
    discriminator = Discriminator.fit_differences(state.differences, state.pair_strata, state.discriminator)
    payoffs = discriminator.payoffs_of(differences, strata)
    wins = (np.sign(payoffs[1]) + 1) / 2
    return replace(
        state,
        discriminator=discriminator,
        overall=state.overall.bet(payoffs),
        log_wealth_strata=bet_grouped(state.log_wealth_strata, payoffs, strata),
        bets_by_stratum=state.bets_by_stratum + np.bincount(strata, minlength=len(state.strata)),
        wins_by_stratum=state.wins_by_stratum + np.bincount(strata, weights=wins, minlength=len(state.strata)),
    )


def _learn(state: RoundState, differences: csr_matrix, strata: IntArray) -> RoundState:
    """Remembers a chunk, to be trained on from now on."""
    past = state.differences
    return replace(
        state,
        differences=differences if past is None else csr_matrix(vstack([past, differences], format="csr")),
        pair_strata=np.concatenate([state.pair_strata, strata]),
        pairs_by_stratum=state.pairs_by_stratum + np.bincount(strata, minlength=len(state.strata)),
    )


def _chunks(pairs: tuple[Pair, ...], learned: int, seed: tuple[int, int]) -> list[IntArray]:
    """Row numbers of each chunk: whole prompts in random order, each chunk about as large as all that was learned before it."""
    prompts = sorted({pair.prompt.id for pair in pairs})
    place = {prompts[index]: rank for rank, index in enumerate(generator("betting-order", *seed).permutation(len(prompts)))}
    order = sorted(range(len(pairs)), key=lambda row: (place[pairs[row].prompt.id], row))
    first = max(_SMALLEST_CHUNK, len(pairs) // _FIRST_CHUNK)
    chunks: list[IntArray] = []
    done = 0
    while done < len(order):
        size = max(first, learned + done)
        end = min(done + size, len(order))
        while end < len(order) and pairs[order[end]].prompt.id == pairs[order[end - 1]].prompt.id:
            end += 1  # a prompt's samples stay together
        chunks.append(np.array(order[done:end], dtype=np.int64))
        done = end
    return chunks


def _strata_of(state: RoundState, pairs: Sequence[Pair]) -> IntArray:
    number = {name: index for index, name in enumerate(state.strata)}
    unknown = sorted({pair.prompt.stratum for pair in pairs} - number.keys())
    if unknown:
        raise ValueError(f"stratum {unknown[0]!r} is not one of the strata that exploring started with")
    return np.array([number[pair.prompt.stratum] for pair in pairs], dtype=np.int64)


def _evidence(before: RoundState, after: RoundState, batch: RoundBatch, config: AuditConfig) -> RoundEvidence:
    bets = int((after.bets_by_stratum - before.bets_by_stratum).sum())
    wins = float((after.wins_by_stratum - before.wins_by_stratum).sum())
    return RoundEvidence(
        round=before.round + 1,
        texts=after.texts,
        log_e_overall=after.log_e_overall,
        log_e_strata=tuple(float(value) for value in after.log_e_strata),
        divergent=after.divergent(config.inference.alpha),
        pair_auc=wins / bets if bets else 0.5,
        cluster_stability=batch.cluster_stability,
    )
