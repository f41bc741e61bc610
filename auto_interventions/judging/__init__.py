"""Who says whether a sentence fits a text."""

from auto_interventions.judging.judges import Judge, PredicateJudge, open_judge

__all__ = ["Judge", "PredicateJudge", "open_judge"]
