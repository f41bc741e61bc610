"""Starts a calibration: the controls of an audit one after the other, each an audit of its own, then what they show of its instruments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auto_interventions.calibrating import Calibration, calibrate, controlled, write_calibration
from auto_interventions.config import AuditConfig
from auto_interventions.embedding import StoredEncoder, open_encoder
from auto_interventions.errors import Interrupted
from auto_interventions.flows.runners import THREADS
from auto_interventions.flows.starting import start_audit
from auto_interventions.runs import Run, check_folder, load_run
from auto_interventions.stages.checking import check_files
from auto_interventions.stages.progress import Named, Observer
from auto_interventions.stores import open_store

_OURS = {"forward", "swapped", "calibration.json", "calibration.html", "swapped.parquet"}


def start_calibration(
    config: AuditConfig, folder: Path, observer: Observer, nulls: int = 3, swap: bool = True, runner: str = THREADS
) -> Calibration:
    """Runs the controls of `config` into `folder` (null-1, null-2, … and, with `swap`, forward and swapped), then writes
    calibration.json and calibration.html there. Runs that have concluded are not run again.

    Args:
        nulls: audits of the base against itself, one at least.
        runner: as in `start_audit`.

    Raises:
        BadInput: something in the audit file cannot be used, or the folder holds something else; nothing was written.
        Interrupted: a service gave way, or a budget ended a control; starting again resumes.
    """
    folder = folder.resolve()
    check_folder(folder, lambda name: name in _OURS or name.startswith("null-"), "a calibration's")
    check_files(config, folder / "forward")
    audits = {f"null-{number}": controlled(config, "null", folder, number) for number in range(1, nulls + 1)}
    if swap:
        audits |= {"forward": config, "swapped": controlled(config, "swap", folder)}
    for name, audit in audits.items():
        check_files(audit, folder / name)
    for name, audit in audits.items():
        _run(audit, folder / name, Named(observer, name), runner)
    runs = {name: load_run(folder / name) for name in audits}
    calibration = _read(config, [runs[f"null-{number}"] for number in range(1, nulls + 1)], runs.get("forward"), runs.get("swapped"))
    write_calibration(calibration, folder)
    return calibration


def _run(audit: AuditConfig, folder: Path, observer: Observer, runner: str) -> None:
    if start_audit(audit, folder, observer, runner) == "stopped" and not load_run(folder).findings:
        raise Interrupted(f"{folder}: its budget ended it before it could conclude; give more (`budget`), and start the calibration again")


def _read(config: AuditConfig, nulls: Sequence[Run], forward: Run | None, swapped: Run | None) -> Calibration:
    encoder = open_encoder(config.embedding)
    store = open_store(config.store)
    try:
        return calibrate(nulls, forward, swapped, StoredEncoder(encoder, store).encode, encoder.too_long)
    finally:
        store.close()
