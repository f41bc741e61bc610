"""Texts and vectors of a round."""

from __future__ import annotations

import numpy as np

from auto_interventions.records import ROLES, FloatMatrix, Generation, Pair, Pool, Role
from auto_interventions.runs.ledger import StageCounts
from auto_interventions.stages.order import Counts
from auto_interventions.stages.workspace import Workspace
from auto_interventions.subjects import Request


def generate(where: Workspace, phase: Pool, round: int, role: Role) -> Counts:
    """One model's texts for the round; when both are there, its pairs."""
    requests = where.requests[phase, round]
    wanted = sum(request.samples for request in requests)
    where.observer.stage(f"{phase} round {round + 1}: texts of the {role}", wanted)
    with where.ledger.stage(f"{where.stage_name(phase, round)}: generate") as counts:
        texts = draw(where, role, requests, counts)
        where.texts[phase, round, role] = texts
    if all((phase, round, side) in where.texts for side in ROLES):
        _pair_up(where, phase, round)
    return {"texts": len(texts)}


def draw(where: Workspace, role: Role, requests: list[Request], counts: StageCounts) -> list[Generation]:
    """Texts of one model, entered into the ledger."""
    subject = where.subjects[role]
    reused = getattr(subject, "reused", 0)
    texts = subject.generate(requests, where.observer.advance)
    counts.texts_reused += getattr(subject, "reused", 0) - reused
    counts.texts += len(texts)
    counts.tokens += sum(text.tokens for text in texts)
    return texts


def _pair_up(where: Workspace, phase: Pool, round: int) -> None:
    base, intervention = (where.texts.pop((phase, round, role)) for role in ROLES)
    where.pairs[phase, round] = [Pair(one.prompt, one, other, round) for one, other in zip(base, intervention, strict=True)]


def embed(where: Workspace, round: int) -> Counts:
    """Vectors of an exploring round's texts, from the store where they are there."""
    pairs = where.pairs["explore", round]
    where.observer.stage(f"explore round {round + 1}: embedding", 2 * len(pairs))
    with where.ledger.stage(f"{where.stage_name('explore', round)}: embed") as counts:
        computed, cached = where.encoder.computed, where.encoder.cached
        vectors = where.encoder.encode([text for side in sides(pairs) for text in side], where.observer.advance)
        where.vectors[round] = (vectors[: len(pairs)], vectors[len(pairs) :])
        counts.embeddings_computed += where.encoder.computed - computed
        counts.embeddings_cached += where.encoder.cached - cached
    return {"texts": 2 * len(pairs), "computed": where.encoder.computed - computed}


def sides(pairs: list[Pair]) -> tuple[list[str], list[str]]:
    """The texts of the base and of the intervention."""
    return [pair.base.text for pair in pairs], [pair.intervention.text for pair in pairs]


def generations(pairs: list[Pair]) -> list[Generation]:
    """All texts of `pairs`: the base's, then the intervention's; the order of `all_vectors`."""
    return [pair.base for pair in pairs] + [pair.intervention for pair in pairs]


def all_vectors(where: Workspace) -> FloatMatrix:
    """Vectors of all explored texts, (2n, d): the base's of all rounds, then the intervention's."""
    rounds = sorted(where.vectors)
    return np.concatenate([where.vectors[round][side] for side in (0, 1) for round in rounds])
