"""Where results (stdout) and progress (stderr) are printed."""

from __future__ import annotations

import sys

from rich.console import Console

# No emoji codes: `openai:label:` is the name of a model, and texts and sentences may hold any.
# Where there is no terminal (a pipe, a log) tables need not fit into 80 columns.
out_console = Console(emoji=False) if sys.stdout.isatty() else Console(emoji=False, width=120)
err_console = Console(emoji=False, stderr=True)
