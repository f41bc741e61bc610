"""The command line: `auto-interventions`."""

from auto_interventions.cli.app import main

__all__ = ["main"]
