"""The audit as a Prefect flow."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State

from auto_interventions import tasks
from auto_interventions.flows.server import watched
from auto_interventions.flows.watching import ended, kept_in_prefect
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import workspace_at


@flow(name="audit", flow_run_name="{name}", validate_parameters=False)
def audit_flow(name: str, where: str) -> str | State[str]:
    """Runs the audit in run directory `where`, which a workspace has been opened for; returns `where`.

    `name` names the flow run in the UI: "audit: base → intervention". Call it in a `cancellable` block: a flow run that is cancelled
    ends with an error of Prefect's.
    """
    return ended(lambda: run_stages(where), where)


def run_stages(where: str) -> None:
    """The audit's stages as tasks of whichever flow run is at work: this page's, a comparison's, a deployment's (flows/deployed.py)."""
    with kept_in_prefect(workspace_at(where)):
        order(tasks, where)
    if watched():
        from auto_interventions.flows.events import announce

        announce(workspace_at(where))
