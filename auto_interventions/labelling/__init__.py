"""A language model reads pairs of texts side by side and names how the two models differ, in sentences that can be checked on one text."""

from auto_interventions.labelling.labeller import LabelCounts, Labeller, Site

__all__ = ["LabelCounts", "Labeller", "Site"]
