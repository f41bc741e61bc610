"""Takes the picture of docs/terminal.md: `.venv/bin/python scripts/picture_terminal.py` audits the demo in a pseudo-terminal, with a store
of its own, and draws the screen as it stands in the midst of a later round of confirming."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from html import escape
from itertools import groupby
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, LINES = 80, 34
CELL, LINE, MARGIN = 7.8, 18, 14
INK, GROUND = "#d8d8d4", "#1d1f23"
COLOURS = {"green": "#7fc77f", "brown": "#d9c06c", "red": "#e88a7d", "cyan": "#79c0d8", "magenta": "#d79ad0", "blue": "#8fb4e8"}
MOMENT = re.compile(r"confirm round [5-9]: texts[^\n]*\n[^\n]* [2-8]\d of \d+ .*(?:holds.*){12}", flags=re.DOTALL)


def filmed(command: list[str]) -> pyte.Screen:
    """The screen of `command` at the first moment that is wanted; the command is then waited for."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execv(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    found = False
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not found:
            stream.feed(data)
            found = MOMENT.search("\n".join(screen.display)) is not None
    os.waitpid(child, 0)
    if not found:
        raise SystemExit("the moment never came: has the drawing changed?")
    return screen


def drawn(screen: pyte.Screen) -> str:
    """The screen as SVG: each run of one style a text, as wide as its cells whatever font there is."""
    height = max(row for row, line in enumerate(screen.display) if line.strip()) + 1
    texts: list[str] = []
    for row in range(height):
        cells = [(column, screen.buffer[row][column]) for column in range(COLUMNS)]
        for (colour, bold), run in groupby(cells, key=lambda one: (one[1].fg, one[1].bold)):
            own = list(run)
            said = "".join(cell.data for _, cell in own).rstrip()
            column = own[0][0] + len(said) - len(said.lstrip())
            said = said.lstrip()
            if said:
                fill = COLOURS.get(colour, INK if colour == "default" else f"#{colour}")
                place = f'x="{MARGIN + CELL * column:.1f}" y="{MARGIN + LINE * (row + 0.75):.1f}" textLength="{CELL * len(said):.1f}"'
                weight = ' font-weight="bold"' if bold else ""
                texts.append(f'<text {place} fill="{fill}"{weight}>{escape(said).replace(" ", "&#160;")}</text>')
    size = f"{2 * MARGIN + CELL * COLUMNS:.0f} {2 * MARGIN + LINE * height}"
    width, high = size.split()
    font = 'font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="13"'
    ground = f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{width}" height="{high}" role="img">'
    return "\n".join([head, "<title>A terminal while an audit confirms</title>", ground, f"<g {font}>", *texts, "</g></svg>", ""])


def main() -> None:
    """Audits the demo and writes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        command = str(Path(sys.executable).parent / "auto-interventions")
        screen = filmed([command, "audit", str(ROOT / "demo" / "audit.yaml"), "--out", f"{folder}/demo", "--set", f"store={folder}/store"])
    (ROOT / "docs" / "images" / "terminal.svg").write_text(drawn(screen), encoding="utf-8")


if __name__ == "__main__":
    main()
