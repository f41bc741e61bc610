"""What is looked at beside the verdict: whether words alone would do, where a finding holds, why, what it was meant for, and whether it
shows where nobody looked yet. Nothing here decides anything; what cannot be said is a value ("not_available", with the reason).
"""

from auto_interventions.examining.baseline import BagOfWords, beside_words, learn_words
from auto_interventions.examining.generalising import generalisation
from auto_interventions.examining.generative import validate_generatively
from auto_interventions.examining.identification import identify
from auto_interventions.examining.intent import judge_intent
from auto_interventions.examining.reasons import reasons
from auto_interventions.examining.themes import chained_themes

__all__ = [
    "BagOfWords",
    "beside_words",
    "chained_themes",
    "generalisation",
    "identify",
    "judge_intent",
    "learn_words",
    "reasons",
    "validate_generatively",
]
