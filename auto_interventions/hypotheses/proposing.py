"""Proposes checkable sentences from explored pairs of texts: what one model writes more often than the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack

from auto_interventions.config import HypothesesConfig
from auto_interventions.fingerprint import generator
from auto_interventions.hypotheses.asking import matrix
from auto_interventions.hypotheses.evidence import Design, Evidence
from auto_interventions.hypotheses.formats import format_candidates, read_form
from auto_interventions.hypotheses.lexical import lexical_candidates, read_words
from auto_interventions.hypotheses.merge import merge
from auto_interventions.hypotheses.predicates import Phrase, Predicate, as_check, parse_predicate
from auto_interventions.hypotheses.text import fold
from auto_interventions.inference.clumps import with_clumps
from auto_interventions.records import BoolArray, FloatArray, Hypothesis

MOST_PAIRS = 10_000  # more pairs than this rarely make better proposals, and take longer: 4 s for these, 18 s and 1.5 GB for 50,000
_MOST_CANDIDATES = 1_000
_FLOOR = 1.0  # evidence below which nothing is proposed
_LOCAL_FLOOR = 0.8  # in one stratum, from which it is looked there: two texts of three
_MOST_ALSO = 12
_LONGEST_TEXT = 20_000  # characters of a text that are searched for proposals
_SOURCES = {
    "phrase": "lexical",
    "opening": "opening",
    "ending": "ending",
    "measure": "format",
    "refusal": "refusal",
    "language": "language",
}


@dataclass(frozen=True, slots=True)
class Candidates:
    """Checks of n explored pairs that could become hypotheses.

    Attributes:
        predicates: the C checks, the user's own (`own` of them) first.
        marks: (2n, C) 1 where a check holds for a text; base texts first.
        design: which text belongs where.
        evidence: of each check.
        clumps: (C,) nats for holding in some strata, set against checks about as rare (`inference.clumps`).
        strata: (n,) the stratum of each pair.
        looked_at: of how many checks these are the best.
    """

    predicates: list[Predicate]
    marks: csr_matrix
    design: Design
    evidence: Evidence
    clumps: FloatArray
    strata: tuple[str, ...]
    own: int
    looked_at: int

    @property
    def lexical(self) -> BoolArray:
        """(C,) which are about words; the others, about form, are far fewer."""
        return np.array([predicate.kind in ("phrase", "opening", "ending") for predicate in self.predicates], dtype=np.bool_)

    @property
    def nats(self) -> FloatArray:
        """(C,) the evidence that ranks the checks."""
        return np.maximum(self.evidence.growth, self.clumps)

    def confirmable(self, pairs: int, needed: float) -> BoolArray:
        """(C,) which would gain `needed` nats on `pairs` fresh pairs, if these show what the explored ones show beyond chance.

        The best of K checks without any difference has about log K nats: chance gives 1/wealth of them a wealth of any size (Ville).
        """
        beyond_chance = self.evidence.growth - np.log(max(1, self.looked_at))
        return np.asarray(beyond_chance * pairs >= needed * max(1, len(self.strata)), dtype=np.bool_)

    @property
    def payoffs(self) -> csr_matrix:
        """(C, n) (holds for the intervention's text) − (holds for the base's)."""
        pairs = len(self.strata)
        return csr_matrix((self.marks[pairs:] - self.marks[:pairs]).T)


def propose(
    base: Sequence[str],
    intervention: Sequence[str],
    prompt_ids: Sequence[str],
    strata: Sequence[str],
    config: HypothesesConfig,
    born_round: int,
    most_pairs: int = MOST_PAIRS,
) -> tuple[Hypothesis, ...]:
    """The sentences worth testing, best first.

    Args:
        base: n texts of the base.
        intervention: n texts of the intervention; text i answers the same prompt as base text i.
        prompt_ids: the prompt of each pair. Samples of one prompt count together as one.
        strata: the stratum of each pair's prompt.
        config: `limit` and the user's `own` hypotheses, which come first and are never dropped.
        born_round: the exploring round after which these are born.
        most_pairs: pairs that are read; of more, a random choice.

    Returns:
        At most `config.limit` hypotheses (more only where `own` alone holds more).

    Raises:
        ValueError: not as many texts, prompts and strata.
        ConfigError: a wrong predicate in `config.own`.
    """
    if not len(base) == len(intervention) == len(prompt_ids) == len(strata):
        raise ValueError(f"{len(base)} base texts need as many intervention texts, prompts and strata")
    found = candidates(base, intervention, prompt_ids, strata, config, most_pairs)
    return proposed(found, config, born_round)


def candidates(
    base: Sequence[str],
    intervention: Sequence[str],
    prompt_ids: Sequence[str],
    strata: Sequence[str],
    config: HypothesesConfig,
    most_pairs: int = MOST_PAIRS,
) -> Candidates:
    """Everything that could be proposed: the user's own, then about a thousand checks with the most evidence.

    Arguments and errors are those of `propose`.
    """
    if not len(base) == len(intervention) == len(prompt_ids) == len(strata):
        raise ValueError(f"{len(base)} base texts need as many intervention texts, prompts and strata")
    own = [parse_predicate(check) for check in config.own_checks]
    own = [predicate for place, predicate in enumerate(own) if predicate not in own[:place]]
    pairs = _chosen_pairs(len(base), most_pairs)
    places = [strata[pair] for pair in pairs]
    design = Design([prompt_ids[pair] for pair in pairs], places)
    texts = [side[pair][:_LONGEST_TEXT] for side in (base, intervention) for pair in pairs]
    predicates, marks, looked_at = _candidates(texts, design, own)
    evidence = design.evidence(marks)
    clumps = with_clumps(design.payoffs_by_stratum(marks), evidence.direction)
    clumps = np.minimum(clumps, design.most_nats(marks, evidence.direction))
    kept = _worth_a_look(evidence, clumps, len(own))
    marks = csr_matrix(marks.tocsc()[:, kept])
    kept_ones = [predicates[column] for column in kept]
    return Candidates(kept_ones, marks, design, design.evidence(marks), clumps[kept], tuple(places), len(own), looked_at)


def read_off(texts: Sequence[str]) -> None:
    """Reads off texts what proposals need and keeps it by text (of the last 32,768), as `candidates` does by itself: a text is read once,
    however often proposals are asked for."""
    heads = [text[:_LONGEST_TEXT] for text in texts]
    folded = [fold(text) for text in heads]
    read_words(folded)
    read_form(heads, folded)


def proposed(found: Candidates, config: HypothesesConfig, born_round: int) -> tuple[Hypothesis, ...]:
    """The best of the candidates, near-duplicates as one; see `propose`."""
    wanted = found.nats >= _FLOOR if config.discover else np.zeros(len(found.predicates), dtype=np.bool_)
    columns = np.flatnonzero(wanted | (np.arange(len(found.predicates)) < found.own)).tolist()
    predicates, marks = [found.predicates[column] for column in columns], csr_matrix(found.marks.tocsc()[:, columns])
    design, evidence = found.design, found.design.evidence(marks)
    hypotheses: list[Hypothesis] = []
    nats = np.maximum(evidence.growth, found.clumps[columns])
    for group in merge(predicates, marks, evidence, nats, design, max(config.limit, found.own), leaders=found.own):
        predicate = predicates[group.chosen]
        also = [predicates[other].statement() for other in group.others[:_MOST_ALSO]]
        hypotheses.append(
            Hypothesis(
                statement=predicate.statement(),
                check=as_check(predicate),
                more_in="intervention" if evidence.direction[group.chosen] > 0 else "base",
                source="own" if group.chosen < found.own else _SOURCES[predicate.kind],
                born_round=born_round,
                explore_rates=(float(evidence.base[group.chosen]), float(evidence.intervention[group.chosen])),
                also=tuple(dict.fromkeys(also)),
                evidence=round(float(nats[group.chosen]), 3),
            )
        )
    return tuple(hypotheses)


def _chosen_pairs(pairs: int, most: int) -> list[int]:
    if pairs <= most:
        return list(range(pairs))
    return sorted(generator("propose", pairs).choice(pairs, size=most, replace=False).tolist())


def _candidates(texts: list[str], design: Design, own: list[Predicate]) -> tuple[list[Predicate], csr_matrix, int]:
    """The user's own, then all detectors' candidates, each predicate once; (2n, C) marks; and of how many checks these are the best."""
    folded = [fold(text) for text in texts]
    phrases, lexical, counted = lexical_candidates(folded, design)
    formats, layout = format_candidates(texts, folded, design)
    found: list[Predicate] = [*own, *(Phrase(phrases=forms) for forms in phrases), *formats]
    owned = csr_matrix(np.nan_to_num(matrix(own, texts)).T.astype(np.float64))
    marks = csr_matrix(hstack([owned, lexical, layout]))
    fresh = [column for column, predicate in enumerate(found) if column < len(own) or predicate not in own]
    return [found[column] for column in fresh], csr_matrix(marks.tocsc()[:, fresh]), len(own) + counted + len(formats)


def _worth_a_look(evidence: Evidence, clumps: FloatArray, own: int) -> list[int]:
    """The first `own` columns, those with the most evidence, and those with the most in one stratum, in their old order."""
    kept: set[int] = set(range(own))
    for growth, floor in ((np.maximum(evidence.growth, clumps), _FLOOR), (evidence.local, _LOCAL_FLOOR)):
        others = np.flatnonzero(growth >= floor)
        kept |= set(others[np.lexsort((others, -growth[others].round(9)))][:_MOST_CANDIDATES].tolist())
    return sorted(kept)
