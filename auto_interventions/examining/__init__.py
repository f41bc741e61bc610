"""What is looked at beside the verdict: whether words alone would do, where a finding holds, why, what it was meant for, and whether it
shows where nobody looked yet. Nothing here decides anything; what cannot be said is a value ("not available: …").
"""

from auto_interventions.examining.baseline import BagOfWords, beside_words, learn_words
from auto_interventions.examining.generalising import generalisation

__all__ = ["BagOfWords", "beside_words", "generalisation", "learn_words"]
