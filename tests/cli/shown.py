"""Programs that a test runs on a pseudo-terminal: the watcher with rounds of its own, and work that takes its time to be saved."""

from __future__ import annotations

import time
from pathlib import Path

from auto_interventions.audit_file import audit_of
from auto_interventions.cli.consoles import complain, err_console, note, out_console, print_json, tell
from auto_interventions.cli.ending import interruptible, main_of
from auto_interventions.cli.options import Commands, Json
from auto_interventions.cli.watching import Watcher
from auto_interventions.config import AuditConfig
from auto_interventions.report.console import findings_table, verdict_text
from auto_interventions.stages.progress import RoundReport, Standing, leaders

# An escape sequence, a link, a bell, a title, a C1 sequence, text that runs backwards, a carriage return, zero-width, half a surrogate
# pair, rich's markup, an emoji's name, the other screen.
HOSTILE = (
    "a\x1b[2J\x1b]8;;http://evil.example\x07click\x1b]8;;\x07\x07\x1b]0;owned\x1b\\\x9b31m\u202egnp\r\u200b\ud800[red]b[/red] :smile: "
    "\x1b[?1049h"
)
app = Commands(pretty_exceptions_enable=False)


def config(name: str = "shown") -> AuditConfig:
    sides = {"base": {"model": "one"}, "intervention": {"model": "other"}}
    return audit_of({"name": name, **sides, "prompts": {"path": "prompts.txt"}}, [], Path("audit.yaml"), Path.cwd())


def report(phase: str, round: int, count: int = 30, name: str = "number {}") -> RoundReport:
    more_in = "intervention" if phase == "confirm" else None
    standings = [Standing(name.format(place), 12.0 - place + round, place < 3, more_in) for place in range(count)]
    return RoundReport(phase, round, 400 * (round + 1), 20.0 + round, 3, count, leaders(standings))


@app.command()
def watch() -> None:
    """Two rounds; steps that come in uneven lots, one stage that ends early and one that has more steps than were said."""
    with Watcher(err_console, config()) as watcher:
        for round in range(2):
            watcher.stage(f"explore round {round + 1}: texts of the base", 40)
            for steps in (1, 7, 12, 20):
                time.sleep(0.25)
                watcher.advance(steps)
            time.sleep(0.25)
            watcher.round_ended(report("explore", round))
            time.sleep(0.25)
        watcher.stage("judging", 100)
        watcher.advance(30)
        time.sleep(0.25)
        watcher.round_ended(report("confirm", 0))
        watcher.stage("copying", 10)
        watcher.advance(8)
        time.sleep(0.25)
        watcher.advance(8)
        time.sleep(0.4)
    tell("the result")


@app.command()
def hostile() -> None:
    """Everything that prints, with texts that would do something."""
    with Watcher(err_console, config(HOSTILE.replace("\ud800", ""))) as watcher:
        watcher.stage(HOSTILE, 10)
        watcher.advance(5)
        time.sleep(0.3)
        watcher.round_ended(report("confirm", 0, 3, HOSTILE + " {}"))
        time.sleep(0.4)
    sizes = {"base_rate": 0.1, "intervention_rate": 0.3, "difference": 0.2, "interval": [0.1, 0.3], "log_e": 20.0, "pairs": 9}
    said = {"id": "a", "statement": HOSTILE, "check": None, "source": HOSTILE, "more_in": "intervention", "status": "validated"}
    finding = {**sizes, **said, "strata": [], "beside": {}}
    findings = {"findings": [finding], "overall": {"verdict": "different", "log_e": 20.0}, "alpha": 0.05, "name": HOSTILE}
    out_console.print(findings_table(findings))
    out_console.print(verdict_text(findings))
    out_console.print(HOSTILE, style="bold")
    for line in (tell, note, complain):
        line(HOSTILE)
    print_json({"text": HOSTILE})


@app.command()
def slow(folder: Path, seconds: float = 600.0) -> None:
    """Work that Ctrl-C ends, and that takes `seconds` to be saved."""
    folder.mkdir()
    with interruptible("audit", folder), Watcher(err_console, config()) as watcher:
        try:
            watcher.stage("working", 10)
            time.sleep(600)
        finally:
            time.sleep(seconds)


@app.command()
def broken(message: str, folder: Path | None = None, json_output: Json = False) -> None:
    """Ends as nobody foresaw."""
    if folder is None:
        raise ValueError(message)
    with interruptible("audit", folder):
        raise ValueError(message)


if __name__ == "__main__":
    main_of(app)
