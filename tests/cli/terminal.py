"""A real pseudo-terminal for tests: a command in it, the keys that are pressed, and the screen as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

CTRL_C = "\x03"
_STAGE, _STEPS = re.compile(r"^[⠀-⣿] (\S.*)$"), re.compile(r"^ +(?:[━╸╺]+ +)?([\d,]+)(?: of ([\d,]+))? +\d+:\d\d:\d\d")


def steps(frames: Sequence[Sequence[str]]) -> list[tuple[str, int, int | None]]:
    """The stage at work, steps done, steps in all (None: not known), of each screen that says so: two lines, one below the other."""
    seen: list[tuple[str, int, int | None]] = []
    for frame in frames:
        for line, below in pairwise(frame):
            if (stage := _STAGE.match(line)) and (count := _STEPS.match(below)):
                seen.append((stage[1], _number(count[1]), _number(count[2]) if count[2] else None))
    return seen


def _number(digits: str) -> int:
    return int(digits.replace(",", ""))


class Terminal:
    """A command on a terminal of its own, ended with the block.

    `frames`: the screens that were seen, oldest first, each a list of lines; `raw`: all bytes that reached the terminal.
    """

    def __init__(
        self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None, columns: int = 110, rows: int = 40
    ) -> None:
        self.frames: list[list[str]] = []
        self.raw = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._keys, inside = pty.openpty()
        termios.tcsetwinsize(inside, (rows, columns))
        self.process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", **(environment or {})},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            # Without a terminal that controls it, the key Ctrl-C would be a character.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inside)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()  # where it has not ended by itself
        self.process.wait()
        self._reader.join(10)
        os.close(self._keys)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._keys, 65_536)
            except OSError:  # nobody has the other side open any more
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)
                self.frames.append([line.rstrip() for line in self._screen.display])

    @property
    def screen(self) -> str:
        """What is on it now."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def cursor_hidden(self) -> bool:
        """Whether a program left the cursor hidden."""
        return self._screen.cursor.hidden

    def press(self, keys: str) -> None:
        """Types `keys`."""
        os.write(self._keys, keys.encode())

    def until(self, seen: str | Callable[[str], bool], seconds: float = 120.0) -> str:
        """Waits for a screen that holds `seen`; the screen."""
        deadline = time.monotonic() + seconds
        while True:
            screen, over = self.screen, self.process.poll() is not None
            if seen in screen if isinstance(seen, str) else seen(screen):
                return screen
            assert not over, f"it ended with {self.process.returncode}:\n{self.screen}"
            assert time.monotonic() < deadline, f"not seen: {seen}\n{screen}"
            time.sleep(0.02)

    def ended(self, seconds: float = 300.0) -> int:
        """Waits for the end; the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code
