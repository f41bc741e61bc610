"""Sentences that can be checked on a text: predicates, and who proposes them."""

from auto_interventions.hypotheses.asking import ask_checks, matrix
from auto_interventions.hypotheses.predicates import KINDS, Predicate, as_check, known_predicate, parse_predicate
from auto_interventions.hypotheses.proposing import Candidates, candidates, propose, proposed, read_off
from auto_interventions.hypotheses.themes import themes_of

__all__ = [
    "KINDS",
    "Candidates",
    "Predicate",
    "as_check",
    "ask_checks",
    "candidates",
    "known_predicate",
    "matrix",
    "parse_predicate",
    "propose",
    "proposed",
    "read_off",
    "themes_of",
]
