"""docker/Dockerfile read into stages, so that tests look at its own lines."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from tests.docker.compose import DOCKERFILE


@dataclass
class Stage:
    """From one FROM to the next: instructions in order, with what follows them."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def last(self, instruction: str) -> str | None:
        """What follows the last of this kind."""
        return next((rest for name, rest in reversed(self.instructions) if name == instruction), None)

    @property
    def runs(self) -> list[str]:
        """Shell lines, without their mounts."""
        return [re.sub(r"^(--mount=\S+\s+)+", "", rest) for name, rest in self.instructions if name == "RUN"]

    @property
    def copied(self) -> list[str]:
        """What comes from the build's context."""
        words = [shlex.split(rest) for name, rest in self.instructions if name == "COPY" and "--from" not in rest]
        return [source for line in words for source in line[:-1]]


def stages() -> dict[str, Stage]:
    """Stages by name."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.split("\n") if not line.startswith("#")).replace("\\\n", " ").split("\n")
    found: dict[str, Stage] = {}
    current = Stage("", "")
    for line in filter(None, (line.strip() for line in lines)):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, called = rest.split()
            current = found[called] = Stage(called, base)
        else:
            current.instructions.append((name, re.sub(r"\s+", " ", rest.strip())))
    return found
