"""Sentences that only a language model can judge: where the labeller looks for them, and their trial on explored pairs.

The trial decides nothing: explored pairs chose the sentence. It says which sentences are promising, so which share of the error budget
and which stake each starts with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.errors import BudgetSpent
from auto_interventions.fingerprint import generator
from auto_interventions.hypotheses.evidence import Design
from auto_interventions.judging.judged import Judged
from auto_interventions.labelling import Labeller, Site
from auto_interventions.records import FloatArray, Hypothesis, Pair
from auto_interventions.stages.affording import affordable
from auto_interventions.stages.sampling import all_vectors
from auto_interventions.stages.workspace import Workspace

_HINTS = 6  # words and form that a labelling call is told of
_HINT_PAIRS = 200
_KNOWN = 20  # of the detectors' sentences, that the labeller is not to say again
_FEWEST = 4  # pairs of a place worth a call
_MEANT = 1.0  # nats of the trial from which its direction counts more than the labeller's


def spoken(where: Workspace, lexical: Sequence[Hypothesis]) -> tuple[Hypothesis, ...]:
    """The user's own sentences and the labeller's, tried on explored pairs. `lexical`: what the detectors proposed, as hints.

    A budget that ends meanwhile leaves what was found so far.
    """
    born, own = where.explore_state().round, where.config.hypotheses.own_sentences
    if where.language.labeller is None and not own:
        return ()
    found = [Hypothesis(sentence, None, "intervention", "own", born) for sentence in own]
    found += _labelled(where, lexical, own)
    where.write_ledger()  # a kill must not make the next attempt forget what was paid
    tried = _tried(where, found)
    where.write_ledger()
    return tried


def _labelled(where: Workspace, lexical: Sequence[Hypothesis], own: Sequence[str]) -> list[Hypothesis]:
    asker, config = where.language.labeller, where.config.hypotheses
    if asker is None or not config.discover or not where.explored_pairs():
        return []
    labeller = Labeller(asker, config, where.encoder.encode, where.config.sampling.seed)
    where.observer.stage("naming differences")
    with where.ledger.stage("propose: label") as counts, where.language.charged(counts):
        try:
            return list(
                labeller.propose(
                    _sites(where, lexical), where.explore_state().round, known=[*own, *(check.statement for check in lexical[:_KNOWN])]
                )
            )
        except BudgetSpent as error:
            where.out_of_money = str(error)
            return list(labeller.so_far)
        finally:
            where.extra["labelling"] = labeller.counts.as_dict()


def _sites(where: Workspace, lexical: Sequence[Hypothesis]) -> list[Site]:
    """As many places as there are calls: everywhere, then the most divergent strata and the most changed clusters in turn, then more of
    everywhere."""
    calls, shown = where.config.hypotheses.calls, where.config.hypotheses.pairs_shown
    pairs = where.explored_pairs()
    order = generator("sites", where.config.sampling.seed).permutation(len(pairs))
    parts = [[pairs[row] for row in order[first : first + shown].tolist()] for first in range(0, len(pairs), shown)]
    everywhere = [("everywhere", part) for part in parts if len(part) >= min(_FEWEST, len(pairs))]
    places = zip_longest(_strata(where, pairs), _clusters(where, pairs))
    local = [place for place in chain.from_iterable(places) if place is not None]
    chosen = [*everywhere[:1], *local, *everywhere[1:]][:calls]
    return [Site(name, tuple(held), _hints(where, lexical, held)) for name, held in chosen]


def _strata(where: Workspace, pairs: Sequence[Pair]) -> Iterator[tuple[str, list[Pair]]]:
    """Strata with evidence, the most divergent first."""
    state = where.explore_state()
    own = state.log_e_strata[: state.tree.roots]
    for stratum in np.argsort(-own, kind="stable").tolist():
        held = [pair for pair in pairs if pair.prompt.stratum == state.strata[stratum]]
        if own[stratum] > 0 and len(held) >= _FEWEST and state.tree.roots > 1:
            yield f"stratum {state.strata[stratum]}", held


def _clusters(where: Workspace, pairs: Sequence[Pair]) -> Iterator[tuple[str, list[Pair]]]:
    """Clusters of texts that changed, the surest first: the pairs of whose two texts one lies in it."""
    if where.partition is None:
        return
    labels = where.partition.assign(all_vectors(where))
    base, intervention = labels[: len(pairs)], labels[len(pairs) :]
    log_e = where.cluster_changes.log_e
    for cluster in np.argsort(-log_e, kind="stable").tolist():
        held = [pairs[row] for row in np.flatnonzero((base == cluster) != (intervention == cluster)).tolist()]
        if log_e[cluster] > 0 and len(held) >= _FEWEST:
            yield f"cluster {cluster}", held


def _hints(where: Workspace, lexical: Sequence[Hypothesis], pairs: Sequence[Pair]) -> tuple[Hypothesis, ...]:
    """The checks whose rates differ most among these pairs."""
    some = list(pairs[:_HINT_PAIRS])
    checks = [hypothesis for hypothesis in lexical if hypothesis.check is not None]
    if not checks or not some:
        return ()
    rates = [
        np.nan_to_num(where.language.checker.score(checks, [getattr(pair, role).text for pair in some])).mean(axis=1)
        for role in ("base", "intervention")
    ]
    best = np.argsort(-np.abs(rates[1] - rates[0]), kind="stable")[:_HINTS].tolist()
    return tuple(
        replace(
            checks[row],
            explore_rates=(float(rates[0][row]), float(rates[1][row])),
            more_in="intervention" if rates[1][row] > rates[0][row] else "base",
        )
        for row in best
        if rates[0][row] != rates[1][row]
    )


def _tried(where: Workspace, found: list[Hypothesis]) -> tuple[Hypothesis, ...]:
    """The sentences with the evidence, rates and direction that the cheap judge sees on a few explored pairs."""
    pairs = _trial_pairs(where)
    if not found or not pairs or where.config.sampling.strategy == "exhaustive":
        return tuple(found)
    where.observer.stage("trying the sentences on explored pairs")
    with where.ledger.stage("propose: try") as counts, where.language.charged(counts, judging=True):
        judged = affordable(where, found, pairs, second=False)
    where.screened = (judged, pairs)
    design = Design([pair.prompt.id for pair in pairs], [pair.prompt.stratum for pair in pairs])
    evidence = design.evidence(csr_matrix(_marks(judged).T))
    tried: list[Hypothesis] = []
    for row, hypothesis in enumerate(found):
        growth = round(float(evidence.growth[row]), 3)
        seen = "intervention" if evidence.direction[row] > 0 else "base"
        tried.append(
            replace(
                hypothesis,
                evidence=growth,
                more_in=seen if growth >= _MEANT or hypothesis.source == "own" else hypothesis.more_in,
                explore_rates=(float(evidence.base[row]), float(evidence.intervention[row])),
            )
        )
    return tuple(tried)


def _trial_pairs(where: Workspace) -> list[Pair]:
    """Half of the pairs of the trial from anywhere, half from the strata where the models differ most; each prompt once."""
    wanted, pairs = where.config.judge.screen_pairs, where.explored_pairs()
    rows = generator("trial", where.config.sampling.seed).permutation(len(pairs)).tolist()
    state = where.explore_state()
    rank = {name: float(log_e) for name, log_e in zip(state.strata, state.log_e_strata, strict=True)}
    divergent = sorted(
        (row for row in rows if rank.get(pairs[row].prompt.stratum, 0.0) > 0), key=lambda row: -rank[pairs[row].prompt.stratum]
    )
    chosen: dict[str, Pair] = {}
    for row in chain(divergent[: wanted // 2], rows):
        if len(chosen) < wanted:
            chosen.setdefault(pairs[row].prompt.id, pairs[row])
    return list(chosen.values())


def _marks(judged: Judged) -> FloatArray:
    """(H, 2n) scores, the base's first; 0 on both sides of a pair that was not judged."""
    base, intervention = judged.base, judged.intervention
    both = ~np.isnan(base + intervention)
    return np.concatenate([np.where(both, base, 0.0), np.where(both, intervention, 0.0)], axis=1).astype(np.float64)
