"""Several audits side by side: interventions × banks, seeds with mean and standard deviation, judges' agreement, sources of variation.

Reads run directories; it runs nothing and knows no model.
"""

from auto_interventions.matrix.console import matrix_summary, matrix_table, sources_table
from auto_interventions.matrix.page import write_matrix
from auto_interventions.matrix.table import Matrix, matrix_of

__all__ = ["Matrix", "matrix_of", "matrix_summary", "matrix_table", "sources_table", "write_matrix"]
