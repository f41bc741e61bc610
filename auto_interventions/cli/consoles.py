"""What reaches a terminal: results on stdout, progress and notes on stderr.

Whatever is printed passes one gate. A model, a prompt, a vendor's message may hold escape sequences, bells, text that runs backwards: here
they become the sign � (where a text is shown on purpose, `report.plain` has named its characters before), and no link is made.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from auto_interventions.report.plain import escaped_json, gated, visible


class Gate(Console):
    """A console on which texts are only texts: no markup, no emoji codes (`openai:label:` is a model), no control characters."""

    def __init__(self, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(emoji=False, markup=False, highlight=False, stderr=stderr, width=width)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console.render`; rich's own control codes (moving the cursor) are segments of another kind, and pass."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(gated(segment.text), _unlinked(segment.style))


def _unlinked(style: Style | None) -> Style | None:
    return style.update_link(None) if style is not None and style.link else style


# Where there is no terminal (a pipe, a log) tables need not fit into 80 columns.
out_console = Gate() if sys.stdout.isatty() else Gate(width=120)
err_console = Gate(stderr=True)
"""Progress and notes: silent with `--quiet`."""
_errors = Gate(stderr=True)


def encodable() -> None:
    """Characters that the terminal's encoding lacks are written as their escapes, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError, OSError):  # a closed one
                stream.reconfigure(errors="backslashreplace")


def tell(line: str) -> None:
    """A line of results, however long: a path can be copied."""
    out_console.print(line, soft_wrap=True)


def note(line: str) -> None:
    """A line beside the results, for a person; nothing with `--quiet`."""
    err_console.print(line, soft_wrap=True)


def complain(line: str, style: str = "") -> None:
    """A line that `--quiet` does not silence: why a command did not do all that was asked."""
    _errors.print(Text(visible(line), style=style), soft_wrap=True)


def print_json(value: Mapping[str, object] | Iterable[object], indent: int | None = 1) -> None:
    """`value` on stdout, for programs and terminals alike: characters that cannot be seen are written as JSON's own escapes."""
    sys.stdout.write(escaped_json(json.dumps(value, indent=indent, ensure_ascii=False)) + "\n")
    sys.stdout.flush()
