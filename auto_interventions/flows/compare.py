"""A comparison as a Prefect flow: two audits one after the other, then what distinguishes them."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State

from auto_interventions import tasks
from auto_interventions.flows.audit import audit_flow
from auto_interventions.flows.watching import cancellable, comparison_kept, ended
from auto_interventions.stages.comparing import ARMS, side_by_side_at


@flow(name="compare", flow_run_name="{name}", validate_parameters=False)
def compare_flow(name: str, where: str) -> str | State[str]:
    """Runs the comparison that was registered for folder `where`; returns `where`."""
    return ended(lambda: run_both(name, where), where)


def run_both(name: str, where: str) -> None:
    """Runs what is missing of the comparison registered for folder `where`, actively first: two flow runs and a task below the one
    that is at work, this page's or a deployment's."""
    comparison = side_by_side_at(where)
    with comparison_kept(comparison):
        for arm in ARMS:
            if not comparison.finished(arm):
                with comparison.opened(arm) as workspace, cancellable():
                    audit_flow(f"{name}: {arm}", workspace.path)
        tasks.compare(where)
