"""The run directory: what an audit leaves behind, written atomically, readable at any time."""

from auto_interventions.runs.directory import RunDirectory, check_folder
from auto_interventions.runs.ledger import Ledger, StageCounts
from auto_interventions.runs.reading import PAIR, Run, load_run, side_by_side

__all__ = ["PAIR", "Ledger", "Run", "RunDirectory", "StageCounts", "check_folder", "load_run", "side_by_side"]
