"""Auto-Interventions: what else changed in a changed language model?"""

__version__ = "0.1.0"
