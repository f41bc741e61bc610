"""What a person sees on a real pseudo-terminal, and what programs get where there is none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .shown import HOSTILE, config
from .terminal import CTRL_C, Terminal, steps

ROOT = Path(__file__).resolve().parents[2]
# Which control sequences of the cursor, the screen and colours rich itself writes; none takes words.
OWN = re.compile(rb"\x1b\[\?25[lh]|\x1b\[[0-9;]*[AKm]|\r|\n")


def shown(*words: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "tests.cli.shown", *words]


@pytest.fixture(scope="module")
def watched() -> Terminal:
    with Terminal(shown("watch"), ROOT, columns=100, rows=34) as terminal:
        assert terminal.ended() == 0, terminal.screen
    return terminal


def test_no_bar_runs_back_or_ends_early(watched: Terminal) -> None:
    seen = steps(watched.frames)
    last: dict[str, int] = {}
    for stage, done, total in seen:
        assert done >= last.get(stage, 0), (stage, done)
        assert total is None or done <= total
        last[stage] = done
    assert last["explore round 1: texts of the base"] == last["explore round 2: texts of the base"] == 40
    judging = {done for stage, done, _ in seen if stage == "judging"}
    assert max(judging) == 30, "it was not made full when it ended early"
    assert ("copying", 8, 10) in seen
    assert ("copying", 16, None) in seen, "more than was said: nobody knows of how many any more"


def test_a_table_of_evidence_grows_and_vanishes(watched: Terminal) -> None:
    tables = ["\n".join(frame) for frame in watched.frames if any("Strata where the models differ" in line for line in frame)]
    assert "number 0" in tables[0]
    assert re.search(r"number 0 +160,000 to 1 +differs", tables[0])
    assert re.search(r"number 0 +440,000 to 1 +differs", tables[-1])
    assert re.search(r"number 5 +3,000 to 1 +open", tables[-1])
    assert f"400 texts by the last round, {config().sampling.max_texts:,} at most" in tables[0]
    sentences = ["\n".join(frame) for frame in watched.frames if any("Sentences with most evidence" in line for line in frame)]
    assert "more often number 0" in sentences[-1]
    assert "Strata where the models differ" not in watched.screen
    assert "━" not in watched.screen
    lines = [line for line in watched.screen.splitlines() if line]
    assert [re.sub(r" +[\d,]+ texts .*", "", line) for line in lines] == [
        "Audit shown: one → other", "explore round  1", "explore round  2", "confirm round  1", "the result",
    ]  # fmt: skip
    assert not watched.cursor_hidden


def test_time_left_is_of_the_stage_and_only_where_it_is_known(watched: Terminal) -> None:
    assert not any(" left" in line for frame in watched.frames for line in frame), "no stage had a speed yet"


@pytest.mark.parametrize(("columns", "rows"), [(40, 8), (60, 14), (200, 60)])
def test_it_fits_any_terminal(columns: int, rows: int) -> None:
    with Terminal(shown("watch"), ROOT, columns=columns, rows=rows) as terminal:
        assert terminal.ended() == 0
    top = [frame[0] for frame in terminal.frames if any(frame)]
    assert "the result" in terminal.screen
    drawn = [frame for frame in terminal.frames if sum("0:00:0" in line for line in frame)]
    assert drawn
    assert all(sum("0:00:0" in line for line in frame) == 1 for frame in drawn), "nothing of an older picture is left"
    assert top
    assert not terminal.cursor_hidden


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "xterm", "TTY_INTERACTIVE": "0"}], ids=["dumb", "told"])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(environment: dict[str, str]) -> None:
    with Terminal(shown("watch"), ROOT, environment, columns=100) as terminal:
        assert terminal.ended() == 0
    assert b"\x1b[?25l" not in terminal.raw
    assert b"\x1b[2K" not in terminal.raw
    assert "explore round 1: texts of the base: 40" in terminal.screen


@pytest.mark.parametrize("forced", [False, True])
def test_without_a_terminal_it_is_lines(forced: bool) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **({"FORCE_COLOR": "1"} if forced else {})}
    done = subprocess.run(shown("watch"), cwd=ROOT, capture_output=True, text=True, check=True, timeout=120, env=environment)
    assert done.stdout == "the result\n" if not forced else "the result" in done.stdout
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr) if forced else done.stderr
    assert "\x1b" not in said, "colours may be forced, moving the cursor may not"
    assert "\r" not in said
    assert [line.strip() for line in said.splitlines()][:3] == [
        "Audit shown: one → other",
        "explore round 1: texts of the base: 40",
        "explore round  1     400 texts  evidence 490 million to 1  3 of 30 strata differ",
    ]


def test_quiet_says_nothing_but_the_result() -> None:
    done = subprocess.run(shown("watch", "--quiet"), cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert (done.stdout, done.stderr) == ("the result\n", "")
    with Terminal(shown("watch", "-q"), ROOT) as terminal:
        assert terminal.ended() == 0
    assert terminal.raw.replace(b"\r", b"") == b"the result\n"


def test_hostile_texts_are_only_texts() -> None:
    with Terminal(shown("hostile"), ROOT, columns=140, rows=50) as terminal:
        assert terminal.ended() == 0, terminal.screen
    raw = terminal.raw
    assert b"\x07" not in raw
    assert b"\x1b]" not in raw, "no link, no title"
    assert b"\x1b" not in OWN.sub(b"", raw)
    text = raw.decode("utf-8")
    assert not set("\x9b\u202e\u200b") & set(text)
    assert not any(0xD800 <= ord(character) <= 0xDFFF for character in text)
    assert "[red]b[/red] :smile:" in terminal.screen, "neither markup nor emoji codes"
    assert "[U+001B]" in terminal.screen, "named where it is shown on purpose"
    assert "�" in terminal.screen, "a sign where it came unforeseen"
    with_json = next(line for line in terminal.screen.splitlines() if '"text": ' in line)
    assert "\\u001b[2J" in with_json
    assert "\\u009b" in with_json


def test_hostile_texts_in_json_come_back_whole() -> None:
    done = subprocess.run(shown("hostile"), cwd=ROOT, capture_output=True, check=True, timeout=120)
    printed = done.stdout.decode("utf-8")
    told = json.loads(printed[printed.rindex('{\n "text"') :])
    assert told == {"text": HOSTILE}
    assert b"\x1b" not in done.stdout + done.stderr


def test_an_encoding_without_the_characters_is_no_error() -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(shown("hostile"), cwd=ROOT, capture_output=True, check=True, timeout=120, env=environment)
    assert done.stdout.isascii()
    assert b"Traceback" not in done.stderr


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    with Terminal(shown("slow", tmp_path / "run", "--seconds", "0.3"), ROOT) as terminal:
        terminal.until("working")
        terminal.press(CTRL_C)
        assert terminal.ended(60) == 130, terminal.screen
    assert terminal.screen.splitlines()[-1] == "Interrupted; what was done is saved: start the same audit again to go on."
    assert any("Ctrl-C again leaves at once" in line for frame in terminal.frames for line in frame)
    assert "Traceback" not in terminal.screen
    assert not terminal.cursor_hidden


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    with Terminal(shown("slow", tmp_path / "run"), ROOT) as terminal:
        terminal.until("working")
        terminal.press(CTRL_C)
        terminal.until("Ctrl-C again leaves at once")
        terminal.press(CTRL_C)
        assert terminal.ended(60) == 130, "it saves for ten minutes"
    assert "Traceback" not in terminal.screen
    assert not terminal.cursor_hidden, "the terminal is left as it was"
