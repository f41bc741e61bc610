"""How a command ends: one sentence, an exit code, the trace where it was asked for, no key in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auto_interventions.cli import main
from auto_interventions.cli.ending import main_of
from auto_interventions.llm.secrets import without_keys

from .shown import app
from .test_terminal import ROOT, shown

COMMAND = Path(sys.executable).with_name("auto-interventions")
KEY = "sk-proj-0123456789abcdefghij"


def ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, own: bool = True
) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of a command of `shown` (`own`) or of `auto-interventions`."""
    monkeypatch.setattr("sys.argv", ["auto-interventions", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main_of(app) if own else main()
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def test_what_nobody_foresaw_is_one_sentence_and_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (tmp_path / "run").mkdir()
    code, out, said = ended(capsys, monkeypatch, "broken", f"odd \x1b[31m {KEY}", "--folder", tmp_path / "run")
    assert (code, out) == (1, "")
    trace = tmp_path / "run.trace.txt"
    assert said == (
        f"error: nobody foresaw this ValueError (odd [U+001B][31m ***); the trace is in {trace}; "
        "what was done is saved: start the same audit again to go on\n"
    )
    assert "raise ValueError(message)" in trace.read_text()
    assert KEY not in trace.read_text()


def test_where_nothing_is_made_the_file_is_a_temporary_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, said = ended(capsys, monkeypatch, "broken", "odd", "--json", "--quiet")
    assert code == 1
    place = re.fullmatch(r"error: nobody foresaw this ValueError \(odd\); the trace is in (.*\.trace\.txt)\n", said)
    assert place is not None, said
    file = Path(place[1])
    assert "ValueError: odd" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0, "for nobody else"
    file.unlink()


@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_trace_on_request(how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if how == "variable":
        monkeypatch.setenv("AUTO_INTERVENTIONS_TRACEBACK", "1")
    more = ["--trace"] if how == "option" else []
    code, _, said = ended(capsys, monkeypatch, "broken", f"Bearer {KEY}", *more)
    assert code == 1
    assert "Traceback (most recent call last)" in said
    assert "raise ValueError(message)" in said
    assert KEY not in said
    assert said.splitlines()[-1] == "error: nobody foresaw this ValueError (Bearer ***)"
    code, _, said = ended(capsys, monkeypatch, "audit", tmp_path / "absent.yaml", *more, own=False)
    assert code == 2, "as without the trace"
    assert "Traceback" in said
    assert "absent.yaml: no such file" in said.splitlines()[-1]


def test_a_damaged_run_is_a_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": "auto-interventions/run@1"}')
    (tmp_path / "findings.json").write_text('{"findings": [{}], "overall": {"verdict": "different"}}')
    code, _, said = ended(capsys, monkeypatch, "report", tmp_path, own=False)
    assert code in (1, 2)
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["audit", "a.yaml", "--quite"],
            "no such option: --quite (Possible options: --out, --quiet); see `auto-interventions audit --help`",
        ),
        (["autid"], "no such command 'autid'. Did you mean 'audit'?; see `auto-interventions --help`"),
        (["audit"], "missing argument 'AUDIT.yaml'; see `auto-interventions audit --help`"),
        (["store", "stats", "--runs", "many"], "see `auto-interventions store stats --help`"),
        (["calibrate", "a.yaml", "--nulls", "0"], "see `auto-interventions calibrate --help`"),
    ],
)
def test_a_mistyped_command_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, said = ended(capsys, monkeypatch, *arguments, own=False)
    assert (code, out) == (2, "")
    assert len(said.splitlines()) == 1
    assert said.startswith("error: ")
    assert said.endswith(f"{sentence}\n")


def test_without_a_command_it_helps(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, said = ended(capsys, monkeypatch, own=False)
    assert code == 2
    assert "Audits an intervention" in out + said
    assert ended(capsys, monkeypatch, "--help", own=False)[0] == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} presets --json | head -c 20"], capture_output=True, text=True, timeout=120, check=False
    )
    assert len(done.stdout) == 20
    assert done.stderr == ""


def test_a_background_job_does_not_hear_ctrl_c(tmp_path: Path) -> None:
    """A shell's background jobs ignore it: the keys were meant for another."""
    running = subprocess.Popen(
        ["bash", "-c", 'trap "" INT; exec "$@"', "bash", *shown("slow", tmp_path / "run")], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stderr is not None
        while "working" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()


def test_keys_and_passwords_are_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GEMINI_API_KEY", "one-of-our-own-secrets")
    text = f"redis://user:hunter2@host:6379/0 and {KEY} and one-of-our-own-secrets and ?key=abc&x=1 and Bearer xyz"
    assert without_keys(text) == "redis://***@host:6379/0 and *** and *** and *** and Bearer ***"
    assert without_keys("http://127.0.0.1:4200/api: no answer") == "http://127.0.0.1:4200/api: no answer"
