"""Audits whose texts and vectors workers make, as plain calls in the test's own process; and what the workers write down about it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.crew import Crew
from auto_interventions.stages.order import order
from auto_interventions.stages.progress import Silent
from auto_interventions.stages.workspace import Workspace


def note_what_is_made(folder: str) -> int:
    """In a worker, from now on: every batch of texts and every call of the encoder leaves a line; returns the process's number."""
    from auto_interventions.embedding.encoder import SentenceEncoder
    from auto_interventions.subjects.live import LiveSubject

    run, encode = LiveSubject.run, SentenceEncoder.encode

    def note(kind: str, count: int) -> None:
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps([kind, count]) + "\n")

    def noted_run(self: Any, batch: Any) -> Any:
        note("texts", len(batch))
        return run(self, batch)

    def noted_encode(self: Any, texts: Any, progress: Any = None) -> Any:
        note("vectors", len(texts))
        return encode(self, texts, progress)

    LiveSubject.run, SentenceEncoder.encode = noted_run, noted_encode  # pyright: ignore[reportAttributeAccessIssue]
    return os.getpid()


def made(folder: Path, kind: str) -> int:
    """Texts or vectors that workers began to make, repetitions counted."""
    lines = [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    return sum(count for what, count in lines if what == kind)


class Watching(Silent):
    """Calls back when a stage begins."""

    def __init__(self, begun: Callable[[str], None]) -> None:
        self._begun = begun
        self.told = 0

    def stage(self, name: str, total: int | None = None) -> None:
        self._begun(name)

    def advance(self, steps: int) -> None:
        self.told += steps


def audit(config: dict[str, Any], folder: Path, crew: Crew | None, observer: Silent | None = None) -> Workspace:
    """The whole audit; `crew` None: on threads."""
    with Workspace.create(AuditConfig.model_validate(config), folder, observer, None, crew) as where:
        where.equip()
        order(cast("Any", stages), where)
    return where
