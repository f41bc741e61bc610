"""A real server with a real process worker: deployments, triggers, schedules, automations, crashes, cancellation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from auto_interventions.errors import ConfigError
from auto_interventions.flows.deploying import PoolType, Wanted, deploy, find_prefect_file
from auto_interventions.flows.events import FINDING, FINISHED, SIDE_EFFECT, events_of
from tests.planting.test_making import FROM_NOTHING

from .deployment_team import FLOWS, NAME, PATIENCE, RESTART_PATIENCE, SECRET, Team, process_of, when, worker
from .faulty import REPOSITORY
from .test_server import answered, started_server

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds and kills processes by /proc"),
    pytest.mark.timeout(3600),  # a dozen processes that import Prefect, one after the other: minutes on a machine that is not idle
]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in Team("", folder).environment().items():
            if name.startswith("PREFECT_SERVER"):
                patch.setenv(name, value)
        with started_server(folder) as url:
            team = Team(url, folder)
            made = team.deploy()
            assert made.returncode == 0, made.stderr
            (folder / "deploy.txt").write_text(made.stdout + made.stderr)
            with worker(team):
                yield team
            team.hook.stop()


@pytest.fixture(scope="module")
def nightly(team: Team) -> str:
    """The schedule of the checkpoints, every 30 seconds instead of every night; it fires while another test waits."""
    demo = REPOSITORY / "demo"
    kept = team.folder / "checkpoints"
    kept.mkdir()
    for name in ("format", "narrow"):
        (kept / name).symlink_to(demo / "adapters" / name)
    (kept / "half-written").mkdir()
    small = {"max_texts": 120, "initial": 60, "per_round": 30, "rounds": 1}
    file = team.audit_file("training", intervention={"model": str(demo / "models" / "base")}, sampling=small)
    deployment = team.deployment("checkpoints/process")
    parameters = {"audit_file": str(file), "folder": str(kept), "at_most": 2}
    answered("PATCH", f"{team.url}/deployments/{deployment['id']}", json={"parameters": parameters}).raise_for_status()
    schedule = {"schedule": {"interval": 30, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}, "active": True}
    return str(team.post(f"/deployments/{deployment['id']}/schedules", [schedule])[0]["id"])


def everything(team: Team) -> dict[str, Any]:
    """What `deploy` makes, as the server has it; without what heartbeats change."""
    pools = [{key: pool[key] for key in ("id", "name", "type", "base_job_template")} for pool in team.post("/work_pools/filter", {})]
    deployments = sorted(team.post("/deployments/filter", {}), key=lambda one: str(one["id"]))
    moving = ("status", "last_polled", "updated")
    return {
        "pools": pools,
        "deployments": [{key: value for key, value in one.items() if key not in moving} for one in deployments],
        "automations": sorted(team.post("/automations/filter", {}), key=lambda one: str(one["id"])),
        "limits": [{**one, "updated": ""} for one in team.post("/v2/concurrency_limits/filter", {}) if "judging" in one["name"]],
        "blocks": sorted(team.post("/block_documents/filter", {"include_secrets": True}), key=lambda one: str(one["id"])),
    }


def test_a_second_deploy_changes_nothing(team: Team) -> None:
    before = everything(team)
    assert [one["limit"] for one in before["limits"]] == [2]
    assert [one["name"] for one in before["automations"]]
    again = team.deploy()
    assert again.returncode == 0, again.stderr
    assert everything(team) == before
    # A pool, five deployments, three automations, a secret, a limit, a storage.
    assert again.stdout.count("as it was") == 12
    assert "prefect worker start --pool process" in again.stdout


def test_every_parameter_is_described_in_the_form(team: Team) -> None:
    for flow in FLOWS:
        deployment = team.deployment(f"{flow}/process")
        schema = deployment["parameter_openapi_schema"]
        for name, about in schema["properties"].items():
            assert len(about.get("description", "")) > 20, f"{flow}: {name}"
        assert deployment["description"]
        assert "Args:" not in deployment["description"]
    order = team.deployment("checkpoints/process")["parameter_openapi_schema"]["properties"]["order"]
    assert order["enum"] == ["newest first", "oldest first"]
    refused = answered(
        "POST",
        f"{team.url}/deployments/{team.deployment('audit/process')['id']}/create_flow_run",
        json={"parameters": {"audit_file": "a.yaml", "dollars": -1}},
    )
    assert refused.status_code == 409
    assert "dollars" in refused.text


def test_a_run_triggered_over_the_api_is_told_where_people_look(team: Team) -> None:
    file = team.audit_file("triggered", sampling={"max_texts": 240})
    identifier = team.start("audit/process", {"audit_file": str(file), "overrides": ["clustering.clusters=5"]}, quick=False)
    ended = team.ended(identifier)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    assert ended["name"] == "triggered: base → base + format"
    report = team.folder / "runs" / "triggered" / "report.html"
    assert report.is_file()
    assert str(report) in ended["state"]["message"]
    assert json.loads((report.parent / "run.json").read_text())["config"]["clustering"]["clusters"] == 5
    # No subflow: tasks and artifacts hang on this very run.
    assert not team.post("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [identifier]}}})
    # Results of tasks lie where all workers find them, and are references.
    kept = list((team.folder / "results").rglob("*"))
    assert any("generate" in str(path) for path in kept)
    assert all(path.stat().st_size < 5_000 for path in kept if path.is_file())
    finished = when(lambda: [one for one in team.events(FINISHED) if one["payload"]["audit"] == "triggered"])[0]
    assert finished["payload"]["run"] == str(report.parent)
    assert any(one["prefect.resource.id"] == f"prefect.flow-run.{identifier}" for one in finished["related"])
    assert len([one for one in team.events(FINDING) if one["payload"]["audit"] == "triggered"]) == finished["payload"]["validated"]


def test_the_other_forms_compare_and_plant(team: Team) -> None:
    file = team.audit_file("beside", sampling={"max_texts": 120, "initial": 60, "per_round": 30, "rounds": 1})
    plan = team.folder / "planting" / "plant.yaml"
    plan.parent.mkdir()
    plan.write_text(yaml.safe_dump(FROM_NOTHING))
    both = team.start("compare/process", {"audit_file": str(file), "exhaustive_texts": 160})
    planted = team.start("plant/process", {"plant_file": str(plan)})
    compared = team.ended(both)
    assert compared["state_type"] == "COMPLETED", compared["state"]["message"]
    assert compared["name"] == "compare beside: base → base + format"
    page = team.folder / "runs" / "beside-compare" / "compare.html"
    assert page.is_file()
    assert compared["state"]["message"].endswith(f"Comparison: {page}")
    made = team.ended(planted)
    assert (made["state_type"], made["name"]) == ("COMPLETED", "plant tiny"), made["state"]["message"]
    assert made["state"]["message"] == f"Truth: {plan.parent / 'truth.yaml'}"
    assert yaml.safe_load((plan.parent / "truth.yaml").read_text())["prompts"] == 16
    before = (plan.parent / "base" / "model.safetensors").stat().st_mtime_ns
    again = team.ended(team.start("plant/process", {"plant_file": str(plan), "only": ["nobody"]}))
    assert again["state_type"] == "FAILED"
    assert "nobody" in again["state"]["message"]
    assert (plan.parent / "base" / "model.safetensors").stat().st_mtime_ns == before


def test_the_schedule_audits_checkpoints_that_nobody_saw(team: Team, nightly: str) -> None:
    def over(wanted: int) -> list[dict[str, Any]]:
        ended = [one for one in team.runs_of("checkpoints") if one["state_type"] in ("COMPLETED", "FAILED")]
        return ended if len(ended) >= wanted else []

    try:
        nights = when(lambda: over(2))
    finally:
        deployment = team.deployment("checkpoints/process")
        answered("DELETE", f"{team.url}/deployments/{deployment['id']}/schedules/{nightly}").raise_for_status()
    assert all(one["auto_scheduled"] and one["name"] == "checkpoints of training" for one in nights)
    told = [one["state"]["message"].partition(". Runs:")[0] for one in nights[:2]]
    assert told == [
        "2 audited, 0 known before, 0 left for the next run",
        "0 audited, 2 known before, 0 left for the next run",
    ]
    runs = team.folder / "runs" / "training-checkpoints"
    assert sorted(path.name for path in runs.iterdir()) == ["format", "narrow"]
    assert all((path / "report.html").is_file() for path in runs.iterdir())


def test_a_wrong_file_is_one_sentence_and_no_traceback(team: Team) -> None:
    ended = team.ended(team.start("audit/process", {"audit_file": "nowhere.yaml"}))
    assert (ended["state_type"], ended["name"]) == ("FAILED", "audit")
    assert ended["state"]["message"] == "nowhere.yaml: no such file; give the path of a YAML file"
    told = team.logs(ended["id"])
    assert told
    assert not [line for line in told if "Traceback" in line["message"]]


def test_a_validated_side_effect_reaches_the_webhook(team: Team) -> None:
    """The event as an audit emits it, the automation and the block as `deploy` made them."""
    opinion = {"intent": {"verdict": "side effect", "reason": "Nobody asked for it."}}
    finding = {
        "id": "f1", "statement": 'ends with "surely"', "status": "validated", "more_in": "intervention", "difference": 0.5,
        "beside": opinion, "base_rate": 0.0, "intervention_rate": 0.5, "interval": [0.4, 0.6],
        "log_e": 20.0, "e_value": 1e8, "check": "", "strata": [],
    }  # fmt: skip
    found = {"name": "told", "base": "b", "intervention": "i", "alpha": 0.05, "findings": [finding], "overall": {"verdict": "different"}}
    [payload] = [payload for name, payload in events_of(found | {"themes": []}, "done", "/runs/told") if name == SIDE_EFFECT]
    resource = {"prefect.resource.id": "auto-interventions.run.abc", "prefect.resource.name": "told"}
    event = {"event": SIDE_EFFECT, "resource": resource, "payload": payload, "id": "0199c0de-0000-7000-8000-000000000001"}
    team.post("/events", [{**event, "occurred": datetime.now(UTC).isoformat()}])
    posted = when(lambda: team.hook.posted)[0]
    assert posted["text"].startswith("told: side effect: The intervention")
    assert 'surely"' in posted["text"]
    assert "/runs/told" in posted["text"]


def test_a_crashed_run_is_started_again_so_often_and_a_cancelled_one_goes_on(team: Team) -> None:
    file = team.audit_file("fragile")
    identifier = team.start("audit/process", {"audit_file": str(file)})
    for crash in (1, 2):
        process = when(lambda crash=crash: process_of(identifier) if at_work(team, identifier, crash) else None, RESTART_PATIENCE)
        if crash == 1:
            given = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            assert f"{NAME}={SECRET}".encode() in given
            assert b"AUTO_INTERVENTIONS_JUDGING_LIMIT=auto-interventions-judging" in given
        os.kill(process, signal.SIGKILL)
        when(lambda crash=crash: team.states(identifier).count("CRASHED") >= crash)
    # The second resume run sees that it was once already, and leaves it.
    sentence = "crashed 2 times, and is started again at most 1 times"
    assert when(lambda: [one for one in resumes(team, identifier) if sentence in (one["state"]["message"] or "")], RESTART_PATIENCE)
    assert team.run(identifier)["state_type"] == "CRASHED"
    # A crash may be noticed twice; then one of the two finds that it is mended.
    assert sum("is not crashed any more" not in (one["state"]["message"] or "") for one in resumes(team, identifier)) == 2
    # By hand, as the UI's button Retry; then somebody cancels it.
    team.post(f"/flow_runs/{identifier}/set_state", {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True})
    when(lambda: at_work(team, identifier, 3))
    team.post(f"/flow_runs/{identifier}/set_state", {"state": {"type": "CANCELLING"}})
    assert team.ended(identifier)["state_type"] == "CANCELLED"
    when(lambda: status(team, "fragile") == "interrupted")
    done = trigger(team, file)
    assert done["state"] == "COMPLETED", done
    assert status(team, "fragile") == "done"


def at_work(team: Team, identifier: str, attempt: int) -> bool:
    """Whether the run's stages are at work, in so manieth attempt."""
    run = team.run(identifier)
    if run["state_type"] != "RUNNING" or run["run_count"] != attempt or status(team, "fragile") != "running":
        return False
    written = (team.folder / "runs" / "fragile" / "run.json").stat().st_mtime
    return written > datetime.fromisoformat(run["state"]["timestamp"].replace("Z", "+00:00")).timestamp()


def status(team: Team, name: str) -> str:
    path = team.folder / "runs" / name / "run.json"
    return json.loads(path.read_text())["status"] if path.is_file() else ""


def resumes(team: Team, identifier: str) -> list[dict[str, Any]]:
    return [one for one in team.runs_of("resume") if one["parameters"]["flow_run_id"] == identifier]


def trigger(team: Team, file: Path) -> dict[str, str]:
    """The documentation's trigger from Python, in a process of its own."""
    page = (REPOSITORY / "docs" / "deployments.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0].replace("/srv/audits/audit.yaml", str(file))
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(run.state.type.value)"],
        env=team.environment(), capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {"state": done.stdout.strip().splitlines()[-1]}


def test_no_secret_is_written_anywhere_that_people_look(team: Team) -> None:
    shown = [
        (team.folder / "deploy.txt").read_text(),
        (team.folder / "worker.log").read_text(),
        json.dumps([team.logs(), team.post("/artifacts/filter", {}), team.post("/flow_runs/filter", {}), team.runs_of("audit")]),
        json.dumps([team.post("/deployments/filter", {}), team.post("/automations/filter", {}), team.post("/block_documents/filter", {})]),
        json.dumps(team.post("/events/filter", {"limit": 50})),
        *(path.read_text() for path in (team.folder / "runs").rglob("*.json")),
    ]
    assert not [text[:200] for text in shown if SECRET in text]
    block = team.get("/block_types/slug/secret/block_documents/name/team-test-key?include_secrets=true")
    assert block["data"]["value"] == SECRET


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_other_pools_are_made_with_their_job_variables(team: Team, kind: PoolType) -> None:
    """No engine and no cluster is here to run them; that the server takes them, and that their variables exist, is known."""
    wanted = Wanted(f"{kind}-box", kind, image="registry/image:tag", environment={"KEY": "{{ prefect.blocks.secret.key }}"})
    with temporary_settings({PREFECT_API_URL: team.url}):
        made = deploy(find_prefect_file(), wanted)
        again = deploy(find_prefect_file(), wanted)
    assert [(one.kind, one.done) for one in made] == [("work pool", "made"), *[("deployment", "made")] * len(FLOWS)]
    assert {one.done for one in again} == {"as it was"}
    variables = team.deployment(f"audit/{kind}-box")["job_variables"]
    assert variables["image"] == "registry/image:tag"
    assert variables["env"]["KEY"] == "{{ prefect.blocks.secret.key }}"
    template = team.get(f"/work_pools/{kind}-box")["base_job_template"]["variables"]["properties"]
    assert set(variables) <= set(template)


def test_a_pool_of_another_type_is_one_sentence(team: Team) -> None:
    with temporary_settings({PREFECT_API_URL: team.url}), pytest.raises(ConfigError, match="is there and takes process workers"):
        deploy(find_prefect_file(), Wanted("process", "docker"))
