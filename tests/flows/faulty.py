"""Audits that can be disturbed: the demo's real models, small budgets, each run in a process of its own that tells where it is.

`run` forks its processes from one that has imported torch and its like, so that each takes seconds; `Command` is the command itself.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import yaml

from auto_interventions.config import AuditConfig
from auto_interventions.errors import AutoInterventionsError
from auto_interventions.stages.progress import RoundReport
from auto_interventions.stores import open_store
from auto_interventions.stores.keys import parts_of

from .test_server import environment_of

PRELOADED = [
    "auto_interventions.stages",
    "auto_interventions.report",
    "torch",
    "transformers",
    "peft",
    "sentence_transformers",
    "sklearn.cluster",
]
REPOSITORY = Path(__file__).resolve().parents[2]


def settings(store: Path | str, seed: int = 0, **parts: Any) -> dict[str, Any]:
    """An audit of the demo's models that has every stage, several generation batches a round, and takes seconds."""
    demo = REPOSITORY / "demo"
    sampling = {"max_texts": 360, "initial": 160, "per_round": 60, "rounds": 2, "max_new_tokens": 14, "batch_tokens": 350, "seed": seed}
    return {
        "name": f"faulty {seed}",
        "base": {"model": str(demo / "models" / "base")},
        "intervention": {"model": str(demo / "models" / "base"), "adapter": str(demo / "adapters" / "format")},
        "prompts": {"path": str(demo / "prompts.jsonl"), "strata": "given", "max_prompts": 200},
        "clustering": {"clusters": 6},
        "store": str(store),
        **parts,
        "sampling": sampling | parts.get("sampling", {}),
    }


class Teller:
    """An observer, and the stages, that tell the other end of a pipe where they are. Written before the step: a kill leaves it told."""

    def __init__(self, pipe: Connection | None) -> None:
        self._pipe = pipe
        self._stage = ""

    def tell(self, *what: object) -> None:
        if self._pipe is not None:
            self._pipe.send(what)

    def stage(self, name: str, total: int | None = None) -> None:
        self.tell("shown", name, total)

    def advance(self, steps: int) -> None:
        self.tell("advance", self._stage, steps)

    def round_ended(self, report: RoundReport) -> None:
        self.tell("round", report.phase, report.round)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The stage called `name`."""
        from auto_interventions import stages

        work = getattr(stages, name)

        def told(where: object, *arguments: object) -> Any:
            self._stage = name
            self.tell("begin", name, time.monotonic())
            result = work(where, *arguments)
            self.tell("end", name, time.monotonic())
            return result

        return told


def audit_in_this_process(config: dict[str, Any], folder: str, pipe: Connection | None, patience: float | None) -> None:
    """The whole audit as plain calls, as Prefect's tasks make them. `patience`: with a Redis, instead of two minutes."""
    from auto_interventions.stages.order import order
    from auto_interventions.stages.workspace import Workspace
    from auto_interventions.stores import redis

    if patience is not None:
        redis.PATIENCE = patience
    teller = Teller(pipe)
    try:
        with Workspace.create(AuditConfig.model_validate(config), Path(folder), teller) as where:
            order(cast("Any", teller), where)
    except AutoInterventionsError as error:
        teller.tell("stopped", error.exit_code, str(error))
    else:
        teller.tell("done")


@dataclass
class Told:
    """What an audit's process said until it ended."""

    stages: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    """Name, begin and end (seconds)."""
    texts: int = 0
    """Told to be generated or reused."""
    killed_in: str = ""
    """The stage that was at work when it was killed."""
    code: int | None = None
    """With what the command would have ended; None where it was killed."""
    sentence: str = ""

    def hear(self, message: tuple[object, ...]) -> str | None:
        """Takes in a message; returns the name of a stage that begins."""
        match message:
            case ("begin", str(name), float(moment)):
                self.killed_in = name
                self.stages.append((name, moment, moment))
                return name
            case ("end", str(name), float(moment)):
                self.stages[-1] = (name, self.stages[-1][1], moment)
            case ("advance", "generate", int(steps)):
                self.texts += steps
            case ("stopped", int(code), str(sentence)):
                self.code, self.sentence, self.killed_in = code, sentence, ""
            case ("done",):
                self.code, self.killed_in = 0, ""
            case _:
                pass
        return None


@dataclass(frozen=True)
class Moment:
    """So many seconds after the `occurrence`th beginning of a stage."""

    stage: str
    occurrence: int = 1
    seconds: float = 0.0


def run(
    config: dict[str, Any],
    folder: Path,
    moment: Moment | None = None,
    disturb: Callable[[], object] | None = None,
    patience: float | None = None,
) -> Told:
    """Runs an audit in a process of its own to its end; at `moment` it is disturbed, or killed (SIGKILL) where nothing is said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=audit_in_this_process, args=(config, str(folder), there, patience))
    process.start()
    there.close()
    told = Told()
    seen: Counter[str] = Counter()
    deadline: float | None = None
    while True:
        if here.poll(None if deadline is None else max(0.0, deadline - time.monotonic())):
            try:
                begun = told.hear(here.recv())
            except EOFError:
                break
            if begun is not None:
                seen[begun] += 1
                if moment is not None and (begun, seen[begun]) == (moment.stage, moment.occurrence):
                    deadline = told.stages[-1][1] + moment.seconds
        if deadline is not None and time.monotonic() >= deadline:
            (disturb or process.kill)()
            deadline, moment = None, None
    process.join()
    here.close()
    assert told.code is not None or (process.exitcode == -signal.SIGKILL and disturb is None), f"it broke in {told.killed_in}"
    return told


def moments(undisturbed: Told, stages: Sequence[str], seed: int) -> list[Moment]:
    """For each of `stages` a moment drawn uniformly from all the time that the undisturbed audit spent in stages of that name."""
    drawn: list[Moment] = []
    for number, stage in enumerate(stages):
        spans = [end - begin for name, begin, end in undisturbed.stages if name == stage]
        place = random.Random(f"{seed}:{number}").uniform(0, sum(spans))
        occurrence = 0
        while occurrence < len(spans) - 1 and place > spans[occurrence]:
            place -= spans[occurrence]
            occurrence += 1
        drawn.append(Moment(stage, occurrence + 1, place))
    return drawn


def held(store: Path | str) -> Counter[str]:
    """Entries of a store by kind."""
    opened = open_store(str(store))
    try:
        return Counter(parts.kind for entry in opened.entries() if (parts := parts_of(entry.key)) is not None)
    finally:
        opened.close()


def spent(folder: Path) -> dict[str, int]:
    """The ledger's sums."""
    return json.loads((folder / "ledger.json").read_text(encoding="utf-8"))["all"]


def findings(folder: Path) -> bytes:
    return (folder / "findings.json").read_bytes()


@dataclass(frozen=True)
class Undisturbed:
    """An audit that nothing happened to: what all others are compared with."""

    folder: Path
    told: Told
    texts: int
    vectors: int


class Command:
    """The command in a process of its own, beside the audit file that it reads. `before`: Python that its process runs first."""

    def __init__(self, folder: Path, url: str, config: dict[str, Any], before: str = "", more: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.out = folder / "run"
        (folder / "audit.yaml").write_text(yaml.safe_dump(config))
        start = f"{before}\nfrom auto_interventions.cli import main\nmain()"
        self._line = [sys.executable, "-c", start, "audit", str(folder / "audit.yaml"), "--out", str(self.out), *more]
        self._environment = environment_of(folder, url)

    def start(self) -> subprocess.Popen[str]:
        """Starts it; its lines are on stderr."""
        return subprocess.Popen(
            self._line, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def started_until(self, line: str) -> subprocess.Popen[str]:
        """Starts it and returns when it says `line`."""
        running = self.start()
        assert running.stderr is not None
        heard: list[str] = []
        for said in running.stderr:
            heard.append(said)
            if said.startswith(line):
                return running
        raise AssertionError(f"it never came to `{line}`: {heard}")

    def killed_at(self, line: str, delay: float = 0) -> None:
        """Runs it until `delay` seconds after it says `line`, then kills it."""
        running = self.started_until(line)
        time.sleep(delay)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    def audit(self) -> tuple[int, str]:
        """Runs it to its end: exit code and its last line."""
        return ended(self.start())


def ended(running: subprocess.Popen[str]) -> tuple[int, str]:
    """Waits for a command: exit code and its last line."""
    _, said = running.communicate(timeout=300)
    assert "Traceback" not in said, said
    return running.returncode, (said.splitlines() or [""])[-1]
