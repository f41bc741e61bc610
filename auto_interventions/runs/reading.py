"""Reading a run directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from auto_interventions.errors import RunDirectoryError
from auto_interventions.records import ROLES, FloatMatrix
from auto_interventions.runs.directory import RUN_SCHEMA

PAIR = ["prompt_id", "sample"]
"""Columns of a run's tables that tell one pair of texts from another: what was asked, and which of the samples drawn for it."""


@dataclass(frozen=True)
class Run:
    """A run directory's content; the tables are read when they are asked for.

    `findings` is empty while the run has not concluded.
    """

    path: Path
    run: dict[str, Any]
    findings: dict[str, Any]
    ledger: dict[str, Any]

    def check_concluded(self) -> None:
        """There are findings.

        Raises:
            RunDirectoryError: there are none yet.
        """
        if not self.findings:
            raise RunDirectoryError(f"{self.path}: has not concluded; start the same audit again to go on")

    @cached_property
    def texts(self) -> pd.DataFrame:
        """One row a text."""
        return _table(self.path / "texts.parquet")

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row a sentence and judged pair, of sentences without a check of their own; empty where there are none."""
        path = self.path / "verdicts.parquet"
        return _table(path) if path.is_file() else pd.DataFrame({"hypothesis": pd.Series(dtype=str)})

    @cached_property
    def strata(self) -> pd.DataFrame:
        """One row a stratum."""
        return _table(self.path / "strata.parquet")

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """One row a cluster of texts."""
        return _table(self.path / "clusters.parquet")

    @cached_property
    def weights(self) -> pd.DataFrame:
        """One row a tensor of the models (docs/weights.md); only where both sides are local models."""
        return _table(self.path / "weights.parquet")

    @cached_property
    def centroids(self) -> FloatMatrix | None:
        """(clusters, dimension) float32, one row for each cluster that holds an explored text; None where no texts were clustered."""
        path = self.path / "partition.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return np.asarray(arrays["centroids"], dtype=np.float32)
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise RunDirectoryError(f"{path}: is damaged ({error}); start the same audit again to write it anew") from error


def side_by_side(texts: pd.DataFrame) -> pd.DataFrame:
    """Both models' texts, from rows of texts.parquet: columns base and intervention, by `PAIR`, in the order of the base's. A pair that a
    stopped run holds one side of is left out."""
    base, intervention = (texts[texts["model"] == role].set_index(PAIR)["text"] for role in ROLES)
    return base.to_frame("base").join(intervention.rename("intervention")).dropna()


def load_run(path: Path) -> Run:
    """Opens a run directory.

    Raises:
        RunDirectoryError: it is not one, or run.json is damaged.
    """
    run = _json(path / "run.json")
    if run.get("schema") != RUN_SCHEMA:
        raise RunDirectoryError(
            f"{path / 'run.json'}: is not an audit's (schema {run.get('schema')!r}); give the folder of an audit of this version"
        )
    optional = [_json(path / name) if (path / name).is_file() else {} for name in ("findings.json", "ledger.json")]
    return Run(path, run, *optional)


def _json(path: Path) -> dict[str, Any]:
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunDirectoryError(f"{path}: no such file; give the folder of an audit (its --out)") from None
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path}: is damaged ({error}); start the same audit again to write it anew") from error
    if not isinstance(value, dict):
        raise RunDirectoryError(f"{path}: is damaged (holds no object); start the same audit again to write it anew")
    return value


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise RunDirectoryError(f"{path}: no such file; the audit has not got that far: start it again to go on") from None
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path}: is damaged ({error}); start the same audit again to write it anew") from error
