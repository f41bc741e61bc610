"""compose.yaml as `docker compose` sees it: variables filled in, anchors resolved."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = REPOSITORY / "compose.yaml"
DOCKERFILE = REPOSITORY / "docker" / "Dockerfile"
PASSWORDS = {"POSTGRES_PASSWORD": "postgres0secret", "REDIS_PASSWORD": "redis0secret"}
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?:(:[-?+])([^}]*))?\})")


class Missing(Exception):
    """A variable that must be set is not."""


def fill(text: str, environment: Mapping[str, str]) -> str:
    """Variables as compose fills them in: `${A:-default}`, `${A:+instead}`, `${A:?must be set}`, `$$`."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        given, how, other = environment.get(found[1], ""), found[2], found[3]
        if how == ":?" and not given:
            raise Missing(found[1])
        return {":-": given or other, ":+": other if given else ""}.get(how, given)

    return _VARIABLE.sub(value, text)


def load(environment: Mapping[str, str] = PASSWORDS) -> dict[str, Any]:
    """The whole file. Comments go first, since variables in them are nobody's."""
    lines = [line for line in COMPOSE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    return yaml.safe_load(fill("\n".join(lines), environment))


def services(environment: Mapping[str, str] = PASSWORDS) -> dict[str, dict[str, Any]]:
    return load(environment)["services"]


def command_of(service: Mapping[str, Any]) -> list[str]:
    """The words of its command."""
    command = service.get("command", [])
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Its variables; an empty one is set, too."""
    return {key: "" if value is None else str(value) for key, value in service.get("environment", {}).items()}


def needs(service: Mapping[str, Any]) -> dict[str, str]:
    """What it waits for: condition by name of a service."""
    return {name: told["condition"] for name, told in service.get("depends_on", {}).items()}
