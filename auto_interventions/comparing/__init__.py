"""Two runs of one audit, side by side: what the active one saved, and what of the exhaustive one's answer it kept.

Reads run directories and vectors only; it runs nothing and knows no model.
"""

from auto_interventions.comparing.comparison import Comparison, compare_runs
from auto_interventions.comparing.console import comparison_summary, comparison_tables
from auto_interventions.comparing.page import write_comparison

__all__ = ["Comparison", "compare_runs", "comparison_summary", "comparison_tables", "write_comparison"]
