"""What the user holds in hand: the report of a run as one HTML file, and its findings on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auto_interventions.report.page import build_report

__all__ = ["build_report"]


def __getattr__(name: str) -> object:
    """The page brings pandas and the plots: whoever only wants words (`plain`, `wording`) does without them."""
    if name == "build_report":
        from auto_interventions.report.page import build_report

        return build_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
