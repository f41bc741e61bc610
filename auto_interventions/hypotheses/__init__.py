"""Sentences that can be checked on a text: predicates, and who proposes them."""

from auto_interventions.hypotheses.predicates import KINDS, Predicate, as_check, matrix, parse_predicate

__all__ = ["KINDS", "Predicate", "as_check", "matrix", "parse_predicate"]
