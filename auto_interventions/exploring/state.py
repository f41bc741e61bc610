"""Exploring as a fold: `state = run_round(state, batch, config)`.

A state is immutable and holds all that the next round needs: the wealths, the discriminator, what was drawn and how it went by stratum
and by prompt, and the history for the report; no past pair. One wealth bets on all pairs, one in each stratum; in each of them two
bettors (global and local discriminator) share the capital of 1 evenly.

Within a round the pairs are bet in chunks: a discriminator that learned everything before the chunk bets on it and then learns it, so
each bet is a function of the past. The very first chunk only trains. Chunks hold whole prompts in a seeded random order and are at
most as large as what was learned before; so a first round wastes an eighth of its pairs and not all of them, and later rounds are one
chunk. A round costs time in proportion to its own pairs, not to all pairs.

Validity (design section 4): given all earlier pairs, the two texts of a pair are exchangeable if the models agree on its prompt. Which
prompt was asked, how often, which strata were split, and when one stops may depend on the past in any way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.clustering.threads import one_thread
from auto_interventions.config import AuditConfig
from auto_interventions.exploring.discriminator import Discriminator, width
from auto_interventions.exploring.features import text_features
from auto_interventions.exploring.strata import Strata
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import Wealth, bet_grouped, log_e_values, start_log_wealth
from auto_interventions.inference.ebh import e_bh, explored_log_e, gate_is_open, overall_log_e
from auto_interventions.records import FloatArray, FloatMatrix, IntArray, Pair, Prompt, RoundEvidence

BETTORS = 2  # global and local discriminator
_FIRST_CHUNK = 8  # the first round trains on one part in 8 before it bets
_SMALLEST_CHUNK = 16
Sums = tuple[int, float, float]
NOTHING: Sums = (0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class RoundBatch:
    """The new pairs of a round.

    Attributes:
        differences: (n, d) features of the intervention's texts − features of the base's, row i for pair i.
        boundary: (n,) how near the pair's texts lie to a border between two clusters, in [0, 1]; None = not measured.
        clusters: what the round did to the partition: `RoundEvidence`'s fields of that name.
    """

    pairs: tuple[Pair, ...]
    differences: csr_matrix
    cluster_stability: float = math.nan
    boundary: FloatArray | None = None
    clusters: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(
        pairs: Sequence[Pair],
        vectors_base: FloatMatrix,
        vectors_intervention: FloatMatrix,
        cluster_stability: float = math.nan,
        boundary: FloatArray | None = None,
        clusters: Mapping[str, float] | None = None,
    ) -> RoundBatch:
        """From pairs and the (n, d) embeddings of their texts.

        `cluster_stability` is the partition's agreement with the previous round's; NaN = not measured.

        Raises:
            ValueError: not one vector a text, or a vector that is not finite.
        """
        base = text_features([pair.base.text for pair in pairs], vectors_base)
        intervention = text_features([pair.intervention.text for pair in pairs], vectors_intervention)
        return RoundBatch(tuple(pairs), csr_matrix(intervention - base), cluster_stability, boundary, clusters or {})


@dataclass(frozen=True, slots=True)
class RoundState:
    """What exploring knows after `round` rounds. Arrays by stratum are in the order of `tree`.

    Attributes:
        tree: the strata, and the parts of those that were split.
        texts: texts drawn so far, both models together.
        drawn: samples drawn so far of each prompt, by prompt id.
        overall: wealth of all pairs.
        log_wealth_strata: (S, bettors, K) log-capital per stratum.
        history: one `RoundEvidence` a round.
        pairs_by_stratum: (S,) pairs drawn since the stratum's birth; bets_by_stratum, wins_by_stratum: (S,) pairs bet on, and how often
            (ties half) the local discriminator ordered them rightly.
        payoffs_by_stratum: (S, 3) number, sum and sum of squares of the payoffs (mean of the bettors'), of all pairs of its prompts, those
            before its birth too: what allocation goes by.
        payoffs, boundaries: the same sums by prompt id, of payoffs and of boundary scores.
        seed: of the order of betting.
    """

    tree: Strata
    overall: Wealth
    log_wealth_strata: FloatArray
    pairs_by_stratum: IntArray
    bets_by_stratum: IntArray
    wins_by_stratum: FloatArray
    payoffs_by_stratum: FloatArray
    payoffs: Mapping[str, Sums] = field(default_factory=dict)
    boundaries: Mapping[str, Sums] = field(default_factory=dict)
    columns: int | None = None
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
        tree = Strata.start(strata)
        return RoundState(
            tree=tree,
            overall=Wealth.start(two_sided=False, bettors=BETTORS),
            log_wealth_strata=_fresh(len(tree)),
            pairs_by_stratum=np.zeros(len(tree), dtype=np.int64),
            bets_by_stratum=np.zeros(len(tree), dtype=np.int64),
            wins_by_stratum=np.zeros(len(tree)),
            payoffs_by_stratum=np.zeros((len(tree), 3)),
            seed=seed,
        )

    @property
    def strata(self) -> tuple[str, ...]:
        """Names of all strata."""
        return self.tree.names

    @property
    def round(self) -> int:
        """Rounds done."""
        return len(self.history)

    @property
    def log_e_strata(self) -> FloatArray:
        """(S,) log e-values of the strata."""
        bettors = self.log_wealth_strata.shape[1]
        return log_e_values(self.log_wealth_strata.reshape(len(self.tree), -1)) - math.log(bettors)

    @property
    def log_e_overall(self) -> float:
        """Log of the gatekeeper's e-value as far as exploring goes."""
        return explored_log_e(self.overall.log_e, self.log_e_strata, self.tree.shares)

    def divergent(
        self, alpha: float, log_hypotheses: Sequence[float] | FloatArray = (), shares: FloatArray | None = None
    ) -> tuple[int, ...]:
        """Strata in which the models differ: e-BH at `alpha`, if the gatekeeper lets anything through, which knows the hypotheses' evidence
        and shares too."""
        if not gate_is_open(overall_log_e(self.log_e_overall, log_hypotheses, alpha, shares), alpha):
            return ()
        return tuple(int(stratum) for stratum in np.flatnonzero(e_bh(self.log_e_strata, alpha, self.tree.shares)))

    def kinds_among(self, strata: Sequence[int]) -> int:
        """How many of `strata` are kinds of prompts, not parts of one that was split."""
        return sum(stratum < self.tree.roots for stratum in strata)

    @property
    def auc(self) -> float:
        """How often (ties half) the discriminator told which text of an unseen pair is the intervention's; ½ before any bet."""
        own = slice(0, self.tree.roots)  # parts repeat what their parents counted
        return float(self.wins_by_stratum[own].sum() / bets) if (bets := int(self.bets_by_stratum[own].sum())) else 0.5

    @property
    def auc_by_stratum(self) -> FloatArray:
        """(S,) the same per stratum; ½ where nothing was bet."""
        return np.where(self.bets_by_stratum > 0, self.wins_by_stratum / np.maximum(self.bets_by_stratum, 1), 0.5)

    def split(self, stratum: int, parts: Sequence[tuple[str, Sequence[Prompt]]]) -> RoundState:
        """The state after `stratum` was split into `parts`: each has fresh wealth, and what its prompts taught so far.

        Raises:
            ValueError: as `Strata.split`.
        """
        sums = [np.sum([self.payoffs.get(prompt.id, NOTHING) for prompt in prompts], axis=0) for _, prompts in parts]
        return replace(
            self,
            tree=self.tree.split(stratum, parts),
            log_wealth_strata=np.concatenate([self.log_wealth_strata, _fresh(len(parts))]),
            pairs_by_stratum=np.append(self.pairs_by_stratum, np.zeros(len(parts), dtype=np.int64)),
            bets_by_stratum=np.append(self.bets_by_stratum, np.zeros(len(parts), dtype=np.int64)),
            wins_by_stratum=np.append(self.wins_by_stratum, np.zeros(len(parts))),
            payoffs_by_stratum=np.concatenate([self.payoffs_by_stratum, np.array(sums, dtype=np.float64).reshape(-1, 3)]),
        )


def run_round(state: RoundState, batch: RoundBatch, config: AuditConfig) -> RoundState:
    """The state after one more round: bets on its pairs chunk by chunk, and learns them.

    Raises:
        ValueError: a pair's stratum is not one of the state's, or features of another width than before.
    """
    prompts = [pair.prompt for pair in batch.pairs]
    roots, leaves = state.tree.root_of(prompts), state.tree.leaf_of(prompts)
    columns = width(batch.differences)
    if state.columns not in (None, columns):
        raise ValueError(f"features have {columns} columns, not {state.columns} as before: one encoder an audit")
    before = state
    # The vectors are short: more threads of BLAS would only wait for each other (50x slower on a busy machine), and round differently.
    with one_thread():
        learned = int(state.pairs_by_stratum[: state.tree.roots].sum())
        for chunk in _chunks(batch.pairs, learned, (state.seed, state.round)):
            differences = csr_matrix(batch.differences[chunk])
            state = _bet(state, differences, roots[chunk], leaves[chunk], [prompts[row].id for row in chunk])
            learner = state.discriminator or Discriminator.start(columns)
            state = replace(state, discriminator=learner.learn(differences, roots[chunk]))
    pairs = sum(np.bincount(strata, minlength=len(state.tree)) for _, strata in state.tree.levels(leaves))
    drawn = Counter(prompt.id for prompt in prompts)
    state = replace(
        state,
        columns=columns,
        texts=state.texts + 2 * len(batch.pairs),
        pairs_by_stratum=state.pairs_by_stratum + pairs,
        drawn={**state.drawn, **{prompt: state.drawn.get(prompt, 0) + count for prompt, count in drawn.items()}},
        boundaries=state.boundaries if batch.boundary is None else _added(state.boundaries, [one.id for one in prompts], batch.boundary),
    )
    return replace(state, history=(*state.history, _evidence(before, state, batch, config)))


def _bet(state: RoundState, differences: csr_matrix, roots: IntArray, leaves: IntArray, prompts: Sequence[str]) -> RoundState:
    """Bets a chunk with a discriminator that learned everything before it; nothing is bet before anything was learned."""
    if state.discriminator is None:
        return state
    payoffs = state.discriminator.payoffs_of(differences, roots)
    wins = (np.sign(payoffs[1]) + 1) / 2
    both = payoffs.mean(axis=0)
    moments = np.stack([np.ones_like(both), both, both**2], axis=1)
    wealth, sums = state.log_wealth_strata, state.payoffs_by_stratum.copy()
    bets, won = state.bets_by_stratum.copy(), state.wins_by_stratum.copy()
    for rows, strata in state.tree.levels(leaves):
        wealth = bet_grouped(wealth, payoffs[:, rows], strata)
        bets += np.bincount(strata, minlength=len(bets))
        won += np.bincount(strata, weights=wins[rows], minlength=len(won))
        np.add.at(sums, strata, moments[rows])
    return replace(
        state,
        overall=state.overall.bet(payoffs),
        log_wealth_strata=wealth,
        bets_by_stratum=bets,
        wins_by_stratum=won,
        payoffs_by_stratum=sums,
        payoffs=_added(state.payoffs, prompts, both),
    )


def _added(sums: Mapping[str, Sums], keys: Sequence[str], values: FloatArray) -> dict[str, Sums]:
    """`sums` with one more value for each key."""
    grown = dict(sums)
    for key, value in zip(keys, values.tolist(), strict=True):
        count, total, squares = grown.get(key, NOTHING)
        grown[key] = (count + 1, total + value, squares + value * value)
    return grown


def _fresh(strata: int) -> FloatArray:
    return np.tile(start_log_wealth(BETTORS, two_sided=False), (strata, 1, 1))


def _chunks(pairs: tuple[Pair, ...], learned: int, seed: tuple[int, int]) -> list[IntArray]:
    """Row numbers of each chunk: whole prompts in random order, each chunk about as large as all that was learned before it."""
    names = [pair.prompt.id for pair in pairs]
    prompts = sorted(set(names))
    place = {prompts[index]: rank for rank, index in enumerate(generator("betting-order", *seed).permutation(len(prompts)))}
    order = sorted(range(len(pairs)), key=lambda row: (place[names[row]], row))
    first = max(_SMALLEST_CHUNK, len(pairs) // _FIRST_CHUNK)
    chunks: list[IntArray] = []
    done = 0
    while done < len(order):
        size = max(first, learned + done)
        end = min(done + size, len(order))
        while end < len(order) and names[order[end]] == names[order[end - 1]]:
            end += 1  # a prompt's samples stay together
        chunks.append(np.array(order[done:end], dtype=np.int64))
        done = end
    return chunks


def _evidence(before: RoundState, after: RoundState, batch: RoundBatch, config: AuditConfig) -> RoundEvidence:
    own = slice(0, after.tree.roots)
    bets = int((after.bets_by_stratum - before.bets_by_stratum)[own].sum())
    wins = float((after.wins_by_stratum - before.wins_by_stratum)[own].sum())
    return RoundEvidence(
        round=before.round + 1,
        texts=after.texts,
        log_e_overall=after.log_e_overall,
        log_e_strata=tuple(float(value) for value in after.log_e_strata[own]),
        divergent=after.divergent(config.inference.alpha),
        pair_auc=wins / bets if bets else 0.5,
        cluster_stability=batch.cluster_stability,
        stage="focus" if before.round else "scan",
        silhouette=batch.clusters.get("silhouette", math.nan),
        unassigned=batch.clusters.get("unassigned", 0.0),
        clusters=int(batch.clusters.get("clusters", 0)),
        clusters_born=int(batch.clusters.get("born", 0)),
        clusters_died=int(batch.clusters.get("died", 0)),
    )
