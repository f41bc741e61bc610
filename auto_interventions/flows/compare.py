"""A comparison as a Prefect flow: two audits one after the other, then what distinguishes them."""

from __future__ import annotations

from prefect import flow

from auto_interventions import tasks
from auto_interventions.flows.audit import audit_flow
from auto_interventions.stages.comparing import ARMS, side_by_side_at


@flow(name="compare", flow_run_name="{name}", validate_parameters=False)
def compare_flow(name: str, where: str) -> str:
    """Runs what is missing of the comparison registered for folder `where`, actively first; returns `where`."""
    comparison = side_by_side_at(where)
    for arm in ARMS:
        if not comparison.finished(arm):
            with comparison.opened(arm) as workspace:
                audit_flow(f"{name}: {arm}", workspace.path)
    tasks.compare(where)
    return where
