"""What a server needs beside the deployments: secrets, storage, limits, automations. Can be repeated: what somebody changed there stays.

| automation | when | does |
| --- | --- | --- |
| resume after a crash | a flow run with the tag `resume-after-crash` crashed | runs `resume`, which starts it again, so often |
| nobody at work any more | such a flow run has sent no heartbeat for 9 minutes (its machine died) | calls it crashed |
| tell of side effects | `auto-interventions.side-effect.validated` (flows/events.py) | posts the sentence to a webhook |
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auto_interventions.errors import ConfigError
from auto_interventions.flows.deploying import Made
from auto_interventions.flows.events import SIDE_EFFECT
from auto_interventions.flows.resuming import RESUMED_TAG
from auto_interventions.tasks import JUDGING_LIMIT

if TYPE_CHECKING:
    from prefect.automations import AutomationCore

RESUME = "auto-interventions: resume after a crash"
SILENT = "auto-interventions: nobody at work any more"
NOTIFY = "auto-interventions: tell of side effects"
SILENCE = timedelta(seconds=540)
"""Three of Prefect's heartbeats (PREFECT_FLOWS_HEARTBEAT_FREQUENCY, 180 s): one may be late."""
_JUDGING = "auto-interventions-judging"
_RESULTS = "auto-interventions-results"
_HOOK = "auto-interventions-notify"
# What Slack, Mattermost and others take; tojson keeps a sentence with quotation marks a JSON string.
_TOLD = '{"text": {{ (event.payload.audit ~ ": side effect: " ~ event.payload.sentence ~ " (" ~ event.payload.run ~ ")") | tojson }}}'
_TAGGED = {"prefect.resource.id": f"prefect.tag.{RESUMED_TAG}", "prefect.resource.role": "tag"}
_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}


def keep_secrets(names: Sequence[str]) -> tuple[dict[str, str], list[Made]]:
    """Puts environment variables into Prefect Secret blocks.

    Args:
        names: of the variables, for example GEMINI_API_KEY. Their values are read here and shown nowhere.

    Returns:
        What flow runs get as environment: for each name a reference that the worker fills in; and what was done.

    Raises:
        ConfigError: a variable is not set, or cannot be one.
    """
    from prefect.blocks.system import Secret
    from pydantic import SecretStr

    environment: dict[str, str] = {}
    made: list[Made] = []
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ConfigError("--secret takes the name of an environment variable, not a value; for example --secret GEMINI_API_KEY")
        value, block = os.environ.get(name), name.lower().replace("_", "-")
        held = _block(Secret, block)
        there = str(held.get()) if held is not None else None
        if value and value != there:
            Secret(value=SecretStr(value)).save(block, overwrite=True)
        elif there is None:
            raise ConfigError(f"--secret {name}: is not set in the environment, and no Secret block {block!r} is there; set it")
        done = "made" if there is None else "as it was" if not value or value == there else "changed"
        made.append(Made("secret", block, done, f"flow runs get it as {name}"))
        environment[name] = f"{{{{ prefect.blocks.secret.{block} }}}}"
    return environment, made


def keep_results(place: str) -> tuple[dict[str, str], list[Made]]:
    """A storage block for the results of tasks, so that what one machine's flow run finished is found by another's.

    Args:
        place: a folder that all workers share, as an absolute path, or an address that fsspec knows (s3://BUCKET/PATH). Results are
            references of some hundred bytes: texts and vectors are in the audit's own store.

    Returns:
        What flow runs get as environment; what was done.

    Raises:
        ConfigError: neither an absolute path nor an address.
    """
    from prefect.filesystems import LocalFileSystem, RemoteFileSystem
    from pydantic import ValidationError

    kind = RemoteFileSystem if "://" in place else LocalFileSystem
    if kind is LocalFileSystem and not Path(place).is_absolute():
        raise ConfigError(f"--results {place}: takes an absolute path that all workers share, or an address like s3://BUCKET/PATH")
    there = _block(kind, _RESULTS)
    done = "made" if there is None else "as it was" if there.basepath == place else "changed"
    if done != "as it was":
        try:
            block: Any = kind(basepath=place)
        except ValidationError as error:
            raise ConfigError(f"--results {place}: {error.errors()[0]['msg']}; for example s3://BUCKET/PATH") from None
        block.save(_RESULTS, overwrite=True)
    reference = f"{kind.get_block_type_slug()}/{_RESULTS}"
    return {"PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": reference}, [Made("storage", reference, done, f"results of tasks, in {place}")]


def limit_judging(at_once: int) -> tuple[dict[str, str], list[Made]]:
    """Bounds how many audits judge by language models at a time, whichever machine they run on: they share a vendor's limits, or a GPU.

    Returns:
        What flow runs get as environment; what was done.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
    from prefect.exceptions import ObjectNotFound

    environment, about = {JUDGING_LIMIT: _JUDGING}, f"at most {at_once} audits judge by language models at a time"
    with get_client(sync_client=True) as client:
        try:
            there = client.read_global_concurrency_limit_by_name(_JUDGING)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=_JUDGING, limit=at_once))
            return environment, [Made("limit", _JUDGING, "made", about)]
        if there.limit == at_once:
            return environment, [Made("limit", _JUDGING, "as it was", about)]
        client.update_global_concurrency_limit(_JUDGING, GlobalConcurrencyLimitUpdate(limit=at_once))
    return environment, [Made("limit", _JUDGING, "changed", about)]


def automate(pool: str, resume_at_most: int, notify: str | None) -> list[Made]:
    """Makes the automations.

    Args:
        pool: whose deployment `resume` does the resuming.
        resume_at_most: how often one flow run is started again; 0: never, and no such automation.
        notify: webhook that side effects are told to; None: none.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        wanted: list[AutomationCore] = []
        if resume_at_most:
            resuming = client.read_deployment_by_name(f"resume/{pool}")
            wanted += [_resume(resuming.id, resume_at_most), _silent()]
        if notify:
            wanted.append(_notify(_webhook(notify)))
        return [_automation(client, automation) for automation in wanted]


def _automation(client: Any, wanted: AutomationCore) -> Made:
    """Makes one; where one of its name is there, only what it runs or calls is brought up to date."""
    from prefect.automations import AutomationCore

    there = client.read_automations_by_name(wanted.name)
    if not there:
        client.create_automation(wanted)
        return Made("automation", wanted.name, "made", wanted.description)
    if _targets(there[0]) == _targets(wanted):
        return Made("automation", wanted.name, "as it was", wanted.description)
    client.update_automation(there[0].id, AutomationCore.model_validate({**there[0].model_dump(exclude={"id"}), "actions": wanted.actions}))
    return Made("automation", wanted.name, "changed", wanted.description)


def _targets(automation: Any) -> list[object]:
    """What the actions of an automation run or call, and with which cap."""
    found: list[object] = []
    for action in automation.actions:
        target = getattr(action, "deployment_id", None) or getattr(action, "block_document_id", None)
        found.append((action.type, target, (getattr(action, "parameters", None) or {}).get("at_most")))
    return found


def _resume(deployment: Any, at_most: int) -> AutomationCore:
    from prefect.automations import AutomationCore, EventTrigger, Posture, RunDeployment

    parameters = {"flow_run_id": {"__prefect_kind": "jinja", "template": "{{ flow_run.id }}"}, "at_most": at_most}
    return AutomationCore(
        name=RESUME,
        description=f"Starts a crashed run again, at most {at_most} times; nothing is computed twice.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match=_specification(_RUNS),
            match_related=_specification(_TAGGED),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[RunDeployment.model_validate({"deployment_id": deployment, "parameters": parameters})],
    )


def _silent() -> AutomationCore:
    from prefect.automations import AutomationCore, ChangeFlowRunState, EventTrigger, Posture

    # Not "Scheduled": each of these is a read and a write of the server's database, which SQLite may refuse; after four refusals Prefect
    # drops the event, and holds back for 15 minutes whatever followed it: the crash after a restart (measured). The next heartbeat starts
    # the clock anew anyhow.
    ended = {f"prefect.flow-run.{state}" for state in ("Completed", "Stopped", "Failed", "Cancelled", "Crashed", "Paused")}
    return AutomationCore(
        name=SILENT,
        description=f"Calls a run crashed that has sent no heartbeat for {SILENCE.total_seconds() / 60:.0f} minutes: its machine died.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *ended},
            match=_specification(_RUNS),
            match_related=_specification(_TAGGED),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[ChangeFlowRunState.model_validate({"state": "CRASHED", "message": "No heartbeat: the machine or its worker is gone."})],
    )


def _notify(block: Any) -> AutomationCore:
    from prefect.automations import AutomationCore, CallWebhook, EventTrigger, Posture

    return AutomationCore(
        name=NOTIFY,
        description="Posts every validated side effect to the webhook.",
        trigger=EventTrigger(
            expect={SIDE_EFFECT},
            match=_specification({"prefect.resource.id": "auto-interventions.run.*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[CallWebhook(block_document_id=block, payload=_TOLD)],
    )


def _specification(labels: dict[str, str]) -> Any:
    from prefect.automations import ResourceSpecification

    return ResourceSpecification.model_validate(labels)


def _webhook(url: str) -> Any:
    """The id of the block that holds the webhook's address, which is a secret of most services."""
    from prefect.blocks.webhook import Webhook

    if not url.startswith(("http://", "https://")):
        raise ConfigError("--notify takes the address of a webhook, which begins with https:// or http://")
    there = _block(Webhook, _HOOK)
    if there is not None and there.url.get_secret_value() == url:
        return there._block_document_id
    return Webhook(url=url, headers={"Content-Type": "application/json"}).save(_HOOK, overwrite=True)  # pyright: ignore


def _block(kind: Any, name: str) -> Any:
    """The saved block of that name; None where there is none."""
    try:
        return kind.load(name)
    except ValueError:
        return None
