"""The audit as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from auto_interventions import tasks
from auto_interventions.stages.order import order


@flow(name="audit", flow_run_name="{name}", validate_parameters=False)
def audit_flow(name: str, where: str) -> str:
    """Runs the audit in run directory `where`, which a workspace has been opened for; returns `where`.

    `name` names the flow run in the UI: "audit: base → intervention".
    """
    run_stages(where)
    return where


def run_stages(where: str) -> None:
    """The audit's stages as tasks of whichever flow run is at work: this page's, a comparison's, a deployment's (flows/deployed.py)."""
    order(tasks, where)
