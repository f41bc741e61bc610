"""How a command ends: done, refused, interrupted, broken. Each is one sentence on stderr; the trace is there for who asks.

| exit | |
| --- | --- |
| 0 | done |
| 1 | an error that nobody foresaw |
| 2 | bad input: nothing was started |
| 3 | stopped early; partial results are saved |
| 4 | `calibrate`: not fit to be believed |
| 130 | Ctrl-C |
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import typer

from auto_interventions.cli.consoles import complain, encodable, err_console
from auto_interventions.errors import AutoInterventionsError
from auto_interventions.report.plain import one_line

TRACEBACK = "AUTO_INTERVENTIONS_TRACEBACK"
"""Environment variable: not empty, it asks for traces as `--trace` does."""
NAME = "auto-interventions"
INTERRUPTED = 130
_UNFORESEEN = 1


@dataclass(slots=True)
class Wishes:
    """What was asked of the command at work. `work`, `folder`: what it makes and where, once it may be interrupted; `pressed`: Ctrl-C was;
    `told`: how it ended was said."""

    trace: bool = False
    work: str = ""
    folder: Path | None = None
    pressed: bool = False
    told: bool = False


wishes = Wishes()


def main_of(app: Callable[..., Any]) -> NoReturn:
    """Runs the command that the arguments name, and ends the process."""
    encodable()
    err_console.quiet = False
    wishes.trace, wishes.work, wishes.folder, wishes.pressed, wishes.told = False, "", None, False, False
    sys.exit(_code(app))


def _code(app: Callable[..., Any]) -> int:
    try:
        code = app(prog_name=NAME, standalone_mode=False)
    except AutoInterventionsError as error:
        _trace(error)
        complain(f"error: {error}", "red")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:  # `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNFORESEEN
    except Exception as error:
        # Which class a mistyped option raises depends on the version of typer; all of them can say it in a sentence.
        return _misused(error) if hasattr(error, "format_message") else _unforeseen(error)
    if code == INTERRUPTED and not wishes.told:  # Ctrl-C where nothing was to be saved
        complain("Interrupted.")
    return code if isinstance(code, int) else 0


def _misused(error: Any) -> int:
    """An option or argument that there is not."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return int(error.exit_code)
    context = getattr(error, "ctx", None)
    see = f"; see `{context.command_path} --help`" if context is not None else ""
    said = str(error.format_message()).strip().rstrip(".")
    complain(f"error: {said[:1].lower()}{said[1:]}{see}", "red")
    return int(getattr(error, "exit_code", 2))


def _unforeseen(error: Exception) -> int:
    from auto_interventions.llm.secrets import without_keys

    what = one_line(without_keys(str(error)), 300)
    kept = "" if _trace(error) else f"; the trace is in {_written(_told(error))}"
    again = f"; what was done is saved: start the same {wishes.work} again to go on" if _saved() else ""
    complain(f"error: nobody foresaw this {type(error).__name__}{f' ({what})' if what else ''}{kept}{again}", "red")
    return _UNFORESEEN


def _trace(error: BaseException) -> bool:
    """Prints where `error` came from, if that was asked for; whether it was."""
    asked = wishes.trace or bool(os.environ.get(TRACEBACK))
    if asked:
        complain(_told(error).rstrip())
    return asked


def _told(error: BaseException) -> str:
    """The trace without anything that looks like a key: messages of vendors repeat what they were sent."""
    from auto_interventions.llm.secrets import without_keys

    return without_keys("".join(traceback.format_exception(error)))


def _written(trace: str) -> Path:
    """A file with the trace: beside the run's folder (in it, it would be taken for a part of the run), else in the folder of temporary
    files."""
    if wishes.folder is not None and wishes.folder.resolve().parent.is_dir():
        folder = wishes.folder.resolve()
        path = folder.with_name(f"{folder.name}.trace.txt")
        with suppress(OSError):
            path.write_text(trace, encoding="utf-8", errors="backslashreplace")
            return path
    handle, name = tempfile.mkstemp(prefix="auto-interventions-", suffix=".trace.txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(trace)
    return Path(name)


def _saved() -> bool:
    """Whether the work at hand has begun to be kept."""
    return bool(wishes.work) and (wishes.folder is None or wishes.folder.exists())


def stopping() -> bool:
    """Whether Ctrl-C was pressed, and the work at hand is being ended."""
    return wishes.pressed


@contextmanager
def interruptible(work: str, folder: Path | None = None) -> Generator[None]:
    """Work that Ctrl-C ends and that can be gone on with: says so, and exits with 130. A second Ctrl-C leaves at once, wherever it is.

    Args:
        work: what has to be started again: "audit".
        folder: where what was done is saved; None: in the store, or file by file.
    """
    wishes.work, wishes.folder = work, folder
    before = _listen()
    try:
        yield
    except KeyboardInterrupt:
        done = "what was done is saved" if _saved() else "nothing was written yet"
        complain(f"Interrupted; {done}: start the same {work} again to go on.")
        wishes.told = True
        raise typer.Exit(INTERRUPTED) from None
    finally:
        # After Ctrl-C it stays: servers and threads are still to be ended when the block is left, and a second one must not wait for them.
        if before is not None and not wishes.pressed:
            signal.signal(signal.SIGINT, before)


def _listen() -> Any:
    """Takes over Ctrl-C; who had it before. None: nobody listens here (a shell's background job), or another thread works."""
    wishes.pressed = False
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        return None
    signal.signal(signal.SIGINT, _press)
    return before


def _press(number: int, frame: FrameType | None) -> None:
    if wishes.pressed:
        _leave()
    wishes.pressed = True
    raise KeyboardInterrupt


def _leave() -> NoReturn:
    """Ends the process as it stands: everything that was done is in the store, which a kill does not harm."""
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\n")  # the cursor that the live table hid
    os._exit(INTERRUPTED)
