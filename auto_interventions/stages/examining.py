"""What is looked at beside the verdicts, of the findings that confirming left."""

from __future__ import annotations

from auto_interventions.confirming import Conclusion
from auto_interventions.confirming import conclude as conclude_findings
from auto_interventions.stages.order import Counts
from auto_interventions.stages.workspace import Workspace


def examine(where: Workspace) -> Counts:
    """Concludes what was found, and looks at each finding from further sides."""
    where.observer.stage("examining findings")
    with where.ledger.stage("examine"):
        where.conclusion = concluded(where)
    return {"findings": len(where.conclusion.findings)}


def concluded(where: Workspace) -> Conclusion:
    """What confirming found."""
    return conclude_findings(where.confirm_state(), where.explore_state(), where.config, judges=where.language.judges.judges_of)
