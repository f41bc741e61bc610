"""What an audit found, as events of the Prefect server: automations start from them (docs/deployments.md).

| event | when |
| --- | --- |
| `auto-interventions.audit.finished` | an audit has concluded, whatever it found |
| `auto-interventions.finding.validated` | once for each sentence that holds |
| `auto-interventions.side-effect.validated` | once for each of those that the stated intent (`intent` in the audit file) did not ask for |

Their resource is the run directory. An audit that was taken whole from the store has told its findings before, and only
says that it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prefect.events import emit_event

from auto_interventions.fingerprint import fingerprint
from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.stages.workspace import Workspace

FINISHED = "auto-interventions.audit.finished"
FINDING = "auto-interventions.finding.validated"
SIDE_EFFECT = "auto-interventions.side-effect.validated"
_OF_FINDINGS = ("id", "more_in", "base_rate", "intervention_rate", "difference", "interval")


def announce(where: Workspace) -> None:
    """Emits the events of an audit that has concluded; nothing where there is no conclusion."""
    findings = where.directory.read_json("findings.json")
    if where.status not in ("done", "stopped") or not findings:
        return
    resource = resource_of(where)
    for name, payload in events_of(findings, where.status, where.path, known=taken_whole(where)):
        emit_event(name, resource, payload=payload)


def resource_of(where: Workspace) -> dict[str, str]:
    """The run directory as a resource of Prefect's."""
    return {
        "prefect.resource.id": f"auto-interventions.run.{fingerprint(where.path)[:16]}",
        "prefect.resource.name": one_line(where.config.name),
        "auto-interventions.base": one_line(where.config.base.label),
        "auto-interventions.intervention": one_line(where.config.intervention.label),
    }


def taken_whole(where: Workspace) -> bool:
    """Whether the same audit was finished earlier and only its files were taken from the store."""
    reused = where.directory.read_json("run.json").get("reused")
    return isinstance(reused, dict) and reused.get("run") is not None


def events_of(findings: Mapping[str, Any], status: str, path: str, known: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and payloads of an audit's events.

    Args:
        findings: the content of findings.json.
        status: "done", or "stopped" by a budget.
        path: the run directory.
        known: the findings were told before, and only the end of the audit is news.
    """
    about = {"audit": one_line(findings["name"]), "base": findings["base"], "intervention": findings["intervention"], "run": path}
    held = wording.validated(findings)
    for finding in () if known else held:
        often, what = wording.claim(finding)
        payload = {**about, "sentence": one_line(f"The intervention {often} {what}"), **{key: finding[key] for key in _OF_FINDINGS}}
        yield FINDING, payload
        opinion = finding["beside"].get("intent", {})
        if opinion.get("verdict") == "side effect":
            yield SIDE_EFFECT, {**payload, "reason": one_line(opinion.get("reason", ""))}
    yield FINISHED, {**about, "status": status, "verdict": wording.verdict(findings).headline, "validated": len(held)}
