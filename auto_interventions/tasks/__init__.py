"""One thin Prefect task a stage: find the workspace, make one core call, hand back counts.

Nothing is cached by Prefect here: texts and vectors are in the content-addressed store, and what lies between them is recomputed
in seconds (docs/decisions/0004). Parameters are JSON-native: a path, a round, a role.
"""

from __future__ import annotations

from prefect import task

from auto_interventions import stages
from auto_interventions.records import Pool, Role
from auto_interventions.stages import comparing
from auto_interventions.stages.order import Counts
from auto_interventions.stages.workspace import workspace_at


@task(name="prepare", task_run_name="prepare prompts")
def prepare(where: str) -> Counts:
    """Prompts: load, stratify, split."""
    return stages.prepare(workspace_at(where))


@task(name="plan", task_run_name="{phase} {round}: plan")
def plan(where: str, phase: Pool, round: int) -> int:
    """Chooses the next round's prompts; how many pairs, 0 when the phase is over."""
    return stages.plan(workspace_at(where), phase, round)


@task(name="generate", task_run_name="{phase} {round}: generate {role}")
def generate(where: str, phase: Pool, round: int, role: Role) -> Counts:
    """One model's texts for the round."""
    return stages.generate(workspace_at(where), phase, round, role)


@task(name="embed", task_run_name="explore {round}: embed")
def embed(where: str, round: int) -> Counts:
    """Vectors of an exploring round's texts."""
    return stages.embed(workspace_at(where), round)


@task(name="cluster", task_run_name="explore {round}: cluster")
def cluster(where: str, round: int) -> Counts:
    """The partition of all explored texts, kept from round to round."""
    return stages.cluster(workspace_at(where), round)


@task(name="diverge", task_run_name="explore {round}: diverge")
def diverge(where: str, round: int) -> Counts:
    """Bets on the round's pairs."""
    return stages.diverge(workspace_at(where), round)


@task(name="propose", task_run_name="propose hypotheses")
def propose(where: str) -> Counts:
    """Hypotheses from the explored pairs."""
    return stages.propose(workspace_at(where))


@task(name="confirm", task_run_name="confirm {round}: judge")
def confirm(where: str, round: int) -> Counts:
    """Judges the round's fresh pairs and bets on the verdicts."""
    return stages.confirm(workspace_at(where), round)


@task(name="conclude", task_run_name="conclude")
def conclude(where: str) -> Counts:
    """Findings, tables, ledger."""
    return stages.conclude(workspace_at(where))


@task(name="report", task_run_name="write report.html")
def report(where: str) -> Counts:
    """report.html."""
    return stages.report(workspace_at(where))


@task(name="compare", task_run_name="compare the two runs")
def compare(where: str) -> Counts:
    """compare.json and compare.html."""
    return comparing.compare(comparing.side_by_side_at(where))
