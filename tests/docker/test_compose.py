"""compose.yaml: accepted by compose where there is one, and what it says exists: options, variables, images, health checks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from typing import Any

import pytest

from auto_interventions.flows.server import SETTINGS
from tests.docker.compose import COMPOSE, PASSWORDS, REPOSITORY, Missing, command_of, environment_of, load, needs, services

VARIABLE = "AUTO_INTERVENTIONS_TEST_COMPOSE"
KEYS = ("GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
EXAMPLE = REPOSITORY / ".env.example"
OURS = [name for name, service in services().items() if service["image"].startswith("auto-interventions:")]


@lru_cache(maxsize=1)
def compose() -> list[str]:
    """Compose 2 or later, which reads files without an engine."""
    for words in ([os.environ.get(VARIABLE, "")], ["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]):
            told = subprocess.run([*words, "version"], capture_output=True, text=True, check=False)
            if told.returncode == 0 and re.search(r"\bv?([2-9]|\d\d)\.\d+", told.stdout):
                return words
    pytest.skip(f"needs Docker Compose 2: on PATH, or its path in {VARIABLE}")


def _config(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [*compose(), "--file", str(COMPOSE), "--env-file", os.devnull, *options]
    given = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment}
    return subprocess.run(words, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("profile", [[], ["--profile", "gpu"]])
def test_compose_accepts_the_file(profile: list[str]) -> None:
    done = _config(*profile, "config", "--quiet", **PASSWORDS)
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_sees_what_the_tests_here_see() -> None:
    import yaml

    seen = yaml.safe_load(_config("--profile", "gpu", "config", **PASSWORDS, GEMINI_API_KEY="k").stdout)["services"]
    ours = services({**PASSWORDS, "GEMINI_API_KEY": "k"})
    assert set(seen) == set(ours)
    for name, service in ours.items():
        # Compose writes $ as $$ where it prints what it has filled in.
        assert [word.replace("$$", "$") for word in seen[name].get("command") or []] == command_of(service)
        assert environment_of(service) == (seen[name].get("environment") or {})


@pytest.mark.parametrize("name", list(PASSWORDS))
def test_nothing_starts_without_passwords(name: str) -> None:
    with pytest.raises(Missing, match=name):
        load({key: value for key, value in PASSWORDS.items() if key != name})


def test_passwords_are_needed_by_compose_too() -> None:
    done = _config("config", "--quiet", POSTGRES_PASSWORD="x")
    assert done.returncode != 0
    assert "REDIS_PASSWORD" in done.stderr


def test_example_lists_every_variable_and_no_secret() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8")))
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) == used
    assert not any(given[name] for name in given if re.search("PASSWORD|KEY|TOKEN|NOTIFY", name))
    assert load({**given, **PASSWORDS}) == load(), "the example's values are the file's own"


def test_env_file_goes_neither_to_git_nor_into_an_image() -> None:
    assert ".env" in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").split()
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert "!.env" not in rules


@pytest.mark.parametrize("name", list(services()))
def test_images_are_pinned(name: str) -> None:
    image = services()[name]["image"]
    assert image in ("auto-interventions:cpu", "auto-interventions:gpu") or re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", image)


@pytest.mark.parametrize("name", [name for name, service in services().items() if service["restart"] != "no"])
def test_what_stays_up_has_a_health_check(name: str) -> None:
    check = services()[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)


def test_conditions_name_services_that_can_meet_them() -> None:
    every = services()
    for name, service in every.items():
        for other, condition in needs(service).items():
            one_shot = every[other]["restart"] == "no"
            assert condition == ("service_completed_successfully" if one_shot else "service_healthy"), (name, other)


@pytest.mark.parametrize("name", OURS)
def test_ours_have_no_rights(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "user", "cap_add"} & set(service), "the image's own user"


def test_only_ui_and_reports_are_published_and_only_here() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published == {"server": ["127.0.0.1:4200:4200"], "reports": ["127.0.0.1:4280:4280"]}


def test_volumes_are_declared() -> None:
    used = {entry.split(":")[0] for service in services().values() for entry in service.get("volumes", [])}
    assert {name for name in used if not name.startswith((".", "/"))} == set(load()["volumes"])


def test_what_audits_read_is_where_all_workers_are() -> None:
    every = services()
    assert every["worker"]["volumes"] == every["dask-worker"]["volumes"] == every["dask-gpu-worker"]["volumes"]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("keys", [{}, dict.fromkeys(KEYS, "k")], ids=["no keys", "keys"])
def test_commands_parse(name: str, keys: dict[str, str]) -> None:
    _parse(command_of(services({**PASSWORDS, **keys})[name]))


def test_parsing_notices_a_wrong_option() -> None:
    """The checks above can fail."""
    for command in ("prefect server start --no-such", "dask worker tcp://x:1 --no-such", "auto-interventions deploy --no-such x"):
        with pytest.raises(Exception, match=r"(?i)no.such"):
            _parse(command.split())


def _parse(words: list[str]) -> None:
    """Reads a command line with the program's own parser; runs nothing."""
    match words:
        case ["prefect", *rest]:
            from prefect.cli._app import _app as app  # pyright: ignore[reportPrivateUsage]

            app.parse_args(rest, exit_on_error=False, print_error=False)
        case ["dask", "scheduler", *rest]:
            from distributed.cli.dask_scheduler import main as scheduler

            scheduler.make_context("scheduler", rest)
        case ["dask", "worker", *rest]:
            from distributed.cli.dask_worker import main as worker

            worker.make_context("worker", rest)
        case ["dask", "cuda", *rest]:
            cli: Any = pytest.importorskip("dask_cuda.cli", reason="needs dask-cuda, which is in the extra gpu")
            context = cli.cuda.make_context("cuda", list(rest))
            _, command, left = cli.cuda.resolve_command(context, rest)
            command.make_context("worker", left)
        case ["auto-interventions", *rest]:
            from typer.main import get_command

            from auto_interventions.cli.app import app as ours

            group: Any = get_command(ours)
            context = group.make_context("auto-interventions", list(rest))
            _, command, left = group.resolve_command(context, rest)
            command.make_context(rest[0], left)
        case ["python", "-m", module, *_]:
            import importlib.util

            assert importlib.util.find_spec(module)
        case _:
            raise AssertionError(f"nobody knows how to read {words}")


def test_variables_of_prefect_are_settings_of_prefect() -> None:
    from prefect.settings import Settings
    from prefect_redis.client import RedisMessagingSettings

    known = {f"PREFECT_REDIS_MESSAGING_{field.upper()}" for field in RedisMessagingSettings.model_fields} | {"PREFECT_API_URL"}

    def collect(model: Any, prefix: str) -> None:
        for field, told in model.model_fields.items():
            if hasattr(told.annotation, "model_fields"):
                collect(told.annotation, f"{prefix}_{field.upper()}")
            else:
                known.add(f"{prefix}_{field.upper()}")

    collect(Settings, "PREFECT")
    used = {key for service in services().values() for key in service.get("environment", {}) if key.startswith("PREFECT_")}
    assert used <= known


def test_variables_of_ours_are_read_by_the_code() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "auto_interventions").rglob("*.py"))
    used = {key for service in services().values() for key in service.get("environment", {})}
    ours = {key for key in used if key.startswith("AUTO_INTERVENTIONS_") or key in (*KEYS, "REDIS_PASSWORD")}
    assert {"AUTO_INTERVENTIONS_REPORTS_URL", "REDIS_PASSWORD"} <= ours
    assert [key for key in ours if key not in code] == []


def test_server_is_as_quick_as_a_temporary_one() -> None:
    """flows/server.py says why."""
    wanted = {key: value for key, value in SETTINGS.items() if key.startswith("PREFECT_SERVER_SERVICES_")}
    assert wanted.items() <= services()["services"]["environment"].items()


def test_store_may_evict_and_messages_may_not() -> None:
    every = services()
    assert "--maxmemory-policy allkeys-lru" in " ".join(command_of(every["store"]))
    assert "maxmemory" not in " ".join(command_of(every["redis"]))
    for name in ("store", "redis"):
        assert "--appendonly yes" in " ".join(command_of(every[name]))
        assert PASSWORDS["REDIS_PASSWORD"] not in " ".join(command_of(every[name]))
