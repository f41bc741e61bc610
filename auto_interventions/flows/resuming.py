"""Starts a crashed flow run of a deployment again: an automation runs this (flows/bootstrap.py).

The same flow run is scheduled again, as `prefect flow-run retry` does: its page in the UI, its parameters and its run folder stay, and
everything that the store has is not computed again. How often it crashed is read from its own history, so that nothing has to be counted
anywhere else, and a run that dies before it has begun counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Completed, Scheduled
from pydantic import Field

RESUMED_TAG = "resume-after-crash"
"""Flow runs with this tag are started again; deployments give it to theirs."""


@flow(name="resume", flow_run_name="resume {flow_run_id}")
def resume(flow_run_id: UUID, at_most: Annotated[int, Field(ge=0)] = 3) -> State[Any]:
    """Starts a crashed flow run of a deployment again: same page, same run folder, nothing computed twice.

    Args:
        flow_run_id: The flow run that crashed.
        at_most: How often one flow run is started again; after so many crashes it stays as it is.
    """
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(flow_run_id)
        crashes = crashes_of(client.read_flow_run_states(flow_run_id))
        reason = why_not(run, crashes, at_most)
        if reason:
            return Completed(name="Left", message=f"{run.name}: {reason}", data=None)
        message = f"Started again after crash {crashes} (at most {at_most} times)"
        client.set_flow_run_state(flow_run_id, Scheduled(message=message), force=True)
    return Completed(message=f"{run.name}: {message[0].lower()}{message[1:]}", data=str(flow_run_id))


def crashes_of(states: Sequence[State[Any]]) -> int:
    """How often a flow run crashed; a crash that was noticed twice (by the worker, and by the silence of its heart) counts once."""
    kinds = [state.type for state in sorted(states, key=lambda state: state.timestamp)]
    return sum(kind == StateType.CRASHED != before for before, kind in zip([None, *kinds], kinds, strict=False))


def why_not(run: FlowRun, crashes: int, at_most: int) -> str:
    """Why a flow run that crashed `crashes` times is left alone; empty where it is to be started again."""
    if run.deployment_id is None:
        return "is no deployment's, so no worker would take it; start its command again"
    if run.state is None or run.state.type != StateType.CRASHED:
        return "is not crashed any more"
    if crashes > at_most:
        return f"crashed {crashes} times, and is started again at most {at_most} times; look at its logs, then use Retry"
    return ""
