"""A run in other hands: as an object that answers questions, and in the formats of other tools (docs/api.md, docs/exports.md).

Reads run directories; it runs nothing and knows no model.
"""

from auto_interventions.exports.answers import AuditRun
from auto_interventions.exports.formats import FORMATS, export_run

__all__ = ["FORMATS", "AuditRun", "export_run"]
