"""Makes the deployments of deployments/prefect.yaml on a server, for one work pool (docs/deployments.md).

`prefect deploy --prefect-file` reads the same file. This makes the pool as well, names the deployments after it, adds what the command line
asks for, and can be repeated: what is as it should be is left alone, and schedules that somebody changed or switched on stay.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import auto_interventions
from auto_interventions.audit_file import read_yaml
from auto_interventions.errors import ConfigError, Interrupted
from auto_interventions.flows.server import NamedServer, begin

PoolType = Literal["process", "docker", "kubernetes"]
Done = Literal["made", "changed", "as it was"]


@dataclass(frozen=True, slots=True)
class Made:
    """One thing on the server: what kind, its name, what was done to it, and a word for people."""

    kind: str
    name: str
    done: Done
    about: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the deployments of one pool shall be like. `environment` reaches the flow runs; `parameters` are the forms' defaults by flow."""

    pool: str
    type: PoolType = "process"
    folder: Path = field(default_factory=Path.cwd)
    image: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    overrides: Sequence[str] = ()
    runner: str | None = None


def named_server() -> str:
    """The API of the server that this process's settings name.

    Raises:
        Interrupted: none is named, or nobody answers there.
    """
    server = begin()
    if not isinstance(server, NamedServer):
        server.stop()
        raise Interrupted(
            "no Prefect server is named, so nobody would keep the deployments: start one with `prefect server start` and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api, or use `auto-interventions serve` on a laptop"
        )
    server.wait()
    return server.url


@contextmanager
def answering(url: str) -> Generator[None]:
    """Around calls of the server's API.

    Raises:
        Interrupted: it answers with an error, or not at all.
    """
    from httpx import HTTPError
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except PrefectHTTPStatusError as error:
        status, text = error.response.status_code, " ".join(error.response.text[:300].split())
        hint = "; set PREFECT_API_KEY or PREFECT_API_AUTH_STRING" if status in (401, 403) else ""
        raise Interrupted(f"{url}: the Prefect server answered {status} ({text}){hint}") from error
    except HTTPError as error:
        raise Interrupted(f"{url}: the Prefect server answers no more ({error}); start the command again") from error


def find_prefect_file() -> Path:
    """The prefect.yaml of this installation: inside the package, or in the repository that it was installed from.

    Raises:
        ConfigError: neither is there.
    """
    package = Path(auto_interventions.__file__).parent
    for path in (package / "deployments" / "prefect.yaml", package.parent / "deployments" / "prefect.yaml"):
        if path.is_file():
            return path
    raise ConfigError("deployments/prefect.yaml is not part of this installation; name one with --prefect-file")


def entries(prefect_file: Path, kind: PoolType) -> list[dict[str, Any]]:
    """The deployments of the file whose pool is called `kind`, with environment variables (`{{ $PWD }}`) filled in.

    Raises:
        ConfigError: the file cannot be read, or has none.
    """
    from prefect.utilities.templating import apply_values

    data = read_yaml(prefect_file)
    found = [entry for entry in data.get("deployments") or () if (entry.get("work_pool") or {}).get("name") == kind]
    if not found:
        raise ConfigError(f"{prefect_file}: has no deployment whose `work_pool.name` is `{kind}`; give another --type or --prefect-file")
    filled: Any = apply_values(found, dict(os.environ), remove_notset=False)
    return list(filled)


def deploy(prefect_file: Path, wanted: Wanted) -> list[Made]:
    """Makes or updates the pool and its deployments; what was done, in order.

    Raises:
        ConfigError: the file or an entrypoint in it is wrong, or the pool is there with another type.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        made = [_pool(client, wanted)]
        made += [_deployment(client, entry, wanted) for entry in entries(prefect_file, wanted.type)]
    return made


def _pool(client: Any, wanted: Wanted) -> Made:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    try:
        there = client.read_work_pool(wanted.pool)
    except ObjectNotFound:
        pass
    else:
        if there.type != wanted.type:
            raise ConfigError(f"--pool {wanted.pool}: is there and takes {there.type} workers; give another name, or --type {there.type}")
        return Made("work pool", wanted.pool, "as it was", wanted.type)
    known = {kind: about for package in client.read_worker_metadata().values() for kind, about in package.items()}
    template = with_gpus(wanted.type, known[wanted.type]["default_base_job_configuration"])
    client.create_work_pool(WorkPoolCreate(name=wanted.pool, type=wanted.type, base_job_template=template))
    return Made("work pool", wanted.pool, "made", wanted.type)


def with_gpus(kind: PoolType, template: dict[str, Any]) -> dict[str, Any]:
    """The server's job template of a pool, with the variables for GPUs and volumes that it lacks.

    A template without them ignores such job variables silently: the run would start on a CPU.
    """
    template = deepcopy(template)
    variables, job = template["variables"]["properties"], template["job_configuration"]
    if kind == "docker" and "container_create_kwargs" not in variables:
        about = "Further arguments of docker-py for the container: device_requests (GPUs), shm_size, working_dir."
        variables["container_create_kwargs"] = {"title": "Container Create Kwargs", "type": "object", "description": about}
        job["container_create_kwargs"] = "{{ container_create_kwargs }}"
    if kind == "kubernetes" and "gpus" not in variables:
        variables["gpus"] = {"title": "GPUs", "type": "integer", "description": "NVIDIA GPUs of the container (nvidia.com/gpu)."}
        listed = {"type": "array", "items": {"type": "object"}}
        variables["volumes"] = {"title": "Volumes", **listed, "description": "Volumes of the pod, as Kubernetes writes them."}
        variables["volume_mounts"] = {"title": "Volume Mounts", **listed, "description": "Where the container has them."}
        variables["working_dir"] = {"title": "Working Directory", "type": "string", "description": "Where relative paths begin."}
        pod = job["job_manifest"]["spec"]["template"]["spec"]
        pod["volumes"], container = "{{ volumes }}", pod["containers"][0]
        container["volumeMounts"], container["workingDir"] = "{{ volume_mounts }}", "{{ working_dir }}"
        container.setdefault("resources", {}).setdefault("limits", {})["nvidia.com/gpu"] = "{{ gpus }}"
    return template


def job_variables(entry: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Of the file's entry, with what the command line adds."""
    variables = dict(entry["work_pool"].get("job_variables") or {})
    if wanted.type == "process":
        variables["working_dir"] = str(wanted.folder.resolve())
    elif wanted.image is not None:
        variables["image"] = wanted.image
    environment = {**(variables.get("env") or {}), **wanted.environment}
    return {**variables, "env": environment} if environment else variables


def _deployment(client: Any, entry: Mapping[str, Any], wanted: Wanted) -> Made:
    from prefect.client.schemas.actions import DeploymentUpdate
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.exceptions import ObjectNotFound
    from prefect.utilities.callables import parameter_schema

    flow = load(entry["entrypoint"])
    limit = entry.get("concurrency_limit") or {}
    fields: dict[str, Any] = {
        "description": described(flow),
        "tags": list(entry.get("tags") or ()),
        "entrypoint": entry["entrypoint"],
        "work_pool_name": wanted.pool,
        "job_variables": job_variables(entry, wanted),
        "parameters": _parameters(entry, flow, wanted),
        "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
        "concurrency_limit": limit.get("limit"),
        "concurrency_options": ConcurrencyOptions(collision_strategy=limit["collision_strategy"]) if limit else None,
        "pull_steps": [],
    }
    name, about = f"{flow.name}/{wanted.pool}", described(flow).partition(":")[0].partition(". ")[0].rstrip(".")
    try:
        there = client.read_deployment_by_name(name)
    except ObjectNotFound:
        client.create_deployment(client.create_flow_from_name(flow.name), wanted.pool, schedules=schedules_of(entry), **fields)
        return Made("deployment", name, "made", about)
    if all(_same(getattr(there, key, None), value, key, there) for key, value in fields.items()):
        return Made("deployment", name, "as it was", about)
    client.update_deployment(there.id, DeploymentUpdate(**fields))
    return Made("deployment", name, "changed", about)


def load(entrypoint: str) -> Any:
    """The flow that an entrypoint names.

    Raises:
        ConfigError: there is none.
    """
    from prefect.exceptions import MissingFlowError
    from prefect.flows import load_flow_from_entrypoint

    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except (MissingFlowError, ImportError, ValueError) as error:
        raise ConfigError(f"`entrypoint` {entrypoint}: no flow can be loaded from there ({error})") from error


def _parameters(entry: Mapping[str, Any], flow: Any, wanted: Wanted) -> dict[str, Any]:
    given = dict(entry.get("parameters") or {})
    if wanted.overrides and "overrides" in flow.parameters.properties:
        given["overrides"] = [*given.get("overrides", ()), *wanted.overrides]
    if wanted.runner is not None and "runner" in flow.parameters.properties:
        given["runner"] = wanted.runner
    return given


def schedules_of(entry: Mapping[str, Any]) -> list[Any]:
    """The schedules that the file gives a deployment."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    return [
        DeploymentScheduleCreate(
            schedule=CronSchedule(cron=given["cron"], timezone=given.get("timezone")), active=given.get("active", True)
        )
        for given in entry.get("schedules") or ()
    ]


def _same(there: Any, wanted: Any, key: str, deployment: Any) -> bool:
    """Whether a field of a deployment on the server is as wanted already."""
    if key == "concurrency_limit":
        limit = deployment.global_concurrency_limit
        return (limit.limit if limit is not None else None) == wanted
    if key == "concurrency_options":
        return (there.collision_strategy if there else None) == (wanted.collision_strategy if wanted else None)
    if key == "tags":
        return sorted(there) == sorted(wanted)
    return (there or None) == (wanted or None)


def described(flow: Any) -> str:
    """What a flow does, without the `Args` of its docstring: those are in the form."""
    return str(flow.description or "").partition("\n\nArgs:")[0].strip()
