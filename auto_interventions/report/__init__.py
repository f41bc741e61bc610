"""What the user holds in hand: the report of a run as one HTML file, and its findings on a terminal."""

from auto_interventions.report.page import build_report

__all__ = ["build_report"]
