"""The formats that a run can be written in, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from auto_interventions.errors import ConfigError, RunDirectoryError
from auto_interventions.exports import comparator, hub_folder, inspect_log, tabular, trackers, written
from auto_interventions.runs import Run, RunDirectory, check_folder

FOLDER = "exports"
"""Where exports are put by default: a folder of the run directory."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One file, called `name` by default, from its consecutive pieces."""

    what: str
    name: str
    pieces: Callable[[Run], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class FolderFormat:
    """Files in a folder: `write` gives their names; `ours` says whether a name is one of an earlier export."""

    what: str
    write: Callable[[Run, RunDirectory], list[str]]
    ours: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class TrackerFormat:
    """A tracker that keeps a folder of its own, to which runs are added."""

    what: str
    log: Callable[[Run, Path], list[str]]


def _written(write: Callable[[Run], str]) -> Callable[[Run], Iterator[bytes]]:
    def pieces(run: Run) -> Iterator[bytes]:
        yield write(run).encode("utf-8", "backslashreplace")

    return pieces


def _ending(suffix: str) -> Callable[[str], bool]:
    return lambda name: name.endswith(suffix)


FORMATS: dict[str, FileFormat | FolderFormat | TrackerFormat] = {
    "parquet": FolderFormat("every table, as Parquet", tabular.write_parquet, _ending(".parquet")),
    "jsonl": FolderFormat("every table, one JSON object a line", tabular.write_jsonl, _ending(".jsonl")),
    "csv": FolderFormat("every table, for spreadsheets", tabular.write_csv, _ending(".csv")),
    "markdown": FileFormat("verdict and findings as Markdown", "findings.md", _written(written.markdown)),
    "latex": FileFormat("the findings as a LaTeX table", "findings.tex", _written(written.latex)),
    "llm-comparator": FileFormat("pairs side by side for LLM Comparator", "llm-comparator.json", comparator.comparator_pieces),
    "inspect": FolderFormat("two logs for Inspect", inspect_log.write_inspect, inspect_log.is_log),
    "hf": FolderFormat(
        "a Hugging Face dataset folder with a card", hub_folder.write_hub_folder, {hub_folder.CARD, hub_folder.DATA}.__contains__
    ),
    "wandb": TrackerFormat("a Weights & Biases run", trackers.to_wandb),
    "mlflow": TrackerFormat("an MLflow run", trackers.to_mlflow),
}


def export_run(run: Run, to: str, out: Path | None = None) -> Path:
    """Writes `run` in format `to`; the path of the file or folder that was written.

    Args:
        out: a file for formats that are one, else a folder; default: RUN/exports/FORMAT. An earlier export there is replaced.

    Raises:
        ConfigError: no such format, or its package is not installed.
        RunDirectoryError: the audit has not concluded, or `out` holds something else.
        Interrupted: a file cannot be written.
    """
    kind = format_of(to)
    run.check_concluded()
    if isinstance(kind, FileFormat):
        return _write_file(run, kind, out or run.path / FOLDER / kind.name)
    folder = out or run.path / FOLDER / to
    if isinstance(kind, TrackerFormat):
        if folder.is_file():
            raise RunDirectoryError(f"{folder}: is a file; give --out a folder")
        _not_the_run(run, folder)
        kind.log(run, folder)
        return folder
    return _write_folder(run, kind, folder)


def format_of(to: str) -> FileFormat | FolderFormat | TrackerFormat:
    """The format called `to`.

    Raises:
        ConfigError: there is none.
    """
    if to not in FORMATS:
        near = difflib.get_close_matches(to, FORMATS, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(FORMATS)}"
        raise ConfigError(f"--to {to}: is no format; {hint}")
    return FORMATS[to]


def _write_file(run: Run, kind: FileFormat, path: Path) -> Path:
    if path.is_dir():
        raise RunDirectoryError(f"{path}: is a folder; give --out a file, as {path / kind.name}")
    _not_the_run(run, path.parent)
    RunDirectory(path.parent).write_pieces(path.name, kind.pieces(run))
    return path


def _write_folder(run: Run, kind: FolderFormat, folder: Path) -> Path:
    _not_the_run(run, folder)
    check_folder(folder, kind.ours, "an earlier export of this format")
    before = {path for path in folder.rglob("*") if path.is_file()}
    now = {folder / name for name in kind.write(run, RunDirectory(folder))}
    for path in before - now:
        path.unlink()
    return folder


def _not_the_run(run: Run, folder: Path) -> None:
    if folder.resolve() == run.path.resolve():
        raise RunDirectoryError(f"{folder}: is the run directory itself; give --out another place")
