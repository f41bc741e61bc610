"""Who says whether a sentence fits a text: its own check, or language models, which are blind."""

from auto_interventions.judging.cascade import Judges
from auto_interventions.judging.judged import Judged
from auto_interventions.judging.judges import Judge, PredicateJudge
from auto_interventions.judging.language import LanguageJudge

__all__ = ["Judge", "Judged", "Judges", "LanguageJudge", "PredicateJudge"]
