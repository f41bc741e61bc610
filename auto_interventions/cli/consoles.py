"""Where results (stdout) and progress (stderr) are printed."""

from __future__ import annotations

import sys

from rich.console import Console

# Where there is no terminal (a pipe, a log) tables need not fit into 80 columns.
out_console = Console() if sys.stdout.isatty() else Console(width=120)
err_console = Console(stderr=True)
