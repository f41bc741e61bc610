"""The end of exploring: the partition settles, hypotheses are proposed."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.confirming import FORM_CANDIDATES, PROMISING, WORD_CANDIDATES, payoff_sums
from auto_interventions.exploring import pairs_wanted, suspected
from auto_interventions.hypotheses import Candidates, candidates, proposed
from auto_interventions.hypotheses.proposing import MOST_PAIRS
from auto_interventions.records import BoolArray, FloatArray, Hypothesis, Pair
from auto_interventions.stages.clustering import settle
from auto_interventions.stages.labelling import spoken
from auto_interventions.stages.order import Counts
from auto_interventions.stages.sampling import sides
from auto_interventions.stages.workspace import Workspace

# Pairs that an exhaustive audit's proposals are read off: all of them at the usual sizes, as its cost is not what is saved.
EXHAUSTIVE_PAIRS = 60_000


# While exploring goes on, suggestions are read off so many of the last pairs: a round's cost must not grow with all that were drawn.
_SUGGESTING_PAIRS = 2_000
# Small rounds leave time for more: so many pairs, less those of a round. What rose by a point shows only in many.
_SUGGESTING_AND_NEW = 10_000
# Nats of explored evidence from which a sentence may be worth confirming: fewer are soon had by chance.
NAMED = 10.0
# Of confirming's share, what exploring may not use up while nothing is promising.
KEPT = 0.5


def propose(where: Workspace) -> Counts:
    """Settles the partition; hypotheses from the explored pairs."""
    settle(where)
    where.observer.stage("proposing hypotheses")
    with where.ledger.stage("propose"):
        checks = proposals(where)
    where.hypotheses = (*checks, *spoken(where, checks))
    return {"hypotheses": len(where.hypotheses)}


def named(where: Workspace) -> bool:
    """Whether what was explored so far describes the difference well enough to be confirmed."""
    with where.ledger.stage("propose"):
        return bool(_named(where, suggestions(where)).any())


def for_exploring(where: Workspace) -> AuditConfig:
    """The audit's settings; while nothing is promising that could be confirmed, with more texts for exploring once its share is spent.

    Not where language models name or the user's own sentences wait: those may hold whatever the detectors suggest.
    """
    config, state = where.config, where.explore_state()
    if config.sampling.strategy != "active" or where.language.labeller is not None or config.hypotheses.own_sentences:
        return config
    if not state.round or pairs_wanted(state, config) >= config.sampling.per_round // 2:
        return config
    with where.ledger.stage("propose"):
        found = suggestions(where)
    chance = np.log(np.where(found.lexical, WORD_CANDIDATES, FORM_CANDIDATES))
    if (found.nats >= chance + PROMISING).any():
        return config
    sampling = config.sampling.model_copy(update={"confirm_share": KEPT * config.sampling.confirm_share})
    return config.model_copy(update={"sampling": sampling})


def _named(where: Workspace, found: Candidates) -> BoolArray:
    """(C,) which checks could be confirmed with what `max_texts` has left, by their evidence beyond what the best of so many has anyway."""
    config = where.config
    left = (config.sampling.max_texts - where.explore_state().texts) // 2
    needed = math.log(config.hypotheses.limit / config.inference.alpha)
    return (found.evidence.growth >= NAMED) & found.confirmable(left, needed)


def suspicion(where: Workspace) -> FloatArray | None:
    """(strata of the bank,) where more pairs would soonest decide about the checks that are suggested so far, about a thousand; None:
    nowhere more than elsewhere (`exploring.suspicion`)."""
    state = where.explore_state()
    if not state.round:
        return None
    with where.ledger.stage("propose"):
        found = suggestions(where)
        names = state.strata[: state.tree.roots]
        pool = Counter(prompt.stratum for prompt in where.prompts_of("explore"))
        open_ones = np.flatnonzero(~_named(where, found))
        sizes = np.array([pool[name] for name in names], dtype=np.float64)
        sums, direction = payoff_sums(found.payoffs[open_ones], found.strata, names), found.evidence.direction[open_ones]
        kinds = found.lexical[open_ones].astype(np.int64)
        return suspected(sums, direction, found.clumps[open_ones], kinds, sizes)


def proposals(where: Workspace) -> tuple[Hypothesis, ...]:
    """The sentences that the pairs explored so far suggest."""
    pairs = where.explored_pairs()
    if len(pairs) <= suggesting_pairs(where.config):
        found = suggestions(where)
    else:
        found = _candidates(where, pairs, EXHAUSTIVE_PAIRS if where.config.sampling.strategy == "exhaustive" else MOST_PAIRS)
    return proposed(found, where.config.hypotheses, where.explore_state().round)


def suggestions(where: Workspace) -> Candidates:
    """The checks that the last pairs suggest; found once a round."""
    rounds = where.explore_state().round
    if where.suggested is None or where.suggested[0] != rounds:
        most = suggesting_pairs(where.config)
        where.suggested = (rounds, _candidates(where, where.explored_pairs()[-most:], most))
    return where.suggested[1]


def suggesting_pairs(config: AuditConfig) -> int:
    """Off how many of the last pairs suggestions are read."""
    return max(_SUGGESTING_PAIRS, _SUGGESTING_AND_NEW - config.sampling.per_round // 2)


def _candidates(where: Workspace, pairs: list[Pair], most: int) -> Candidates:
    base, intervention = sides(pairs)
    ids, strata = [pair.prompt.id for pair in pairs], [pair.prompt.stratum for pair in pairs]
    return candidates(base, intervention, ids, strata, where.config.hypotheses, most)
