"""A run in Weights & Biases or MLflow: settings, evidence over texts, what it came to, the table of findings, the report.

Both are extras (`pip install 'auto-interventions[wandb]'`, `[mlflow]`), and both stay on this machine unless the environment says more:
WANDB_MODE=online, MLFLOW_TRACKING_URI.
"""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from auto_interventions.errors import ConfigError
from auto_interventions.exports.frames import findings_frame, rounds_frame
from auto_interventions.fingerprint import fingerprint
from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.report.sentences import intent_of
from auto_interventions.runs import Run

PROJECT = "auto-interventions"
_FILES = ("report.html", "findings.json", "run.json", "ledger.json")
_LONGEST_PARAMETER = 500
_TABLE = ["id", "finding", "status", "base_rate", "intervention_rate", "difference", "lower", "upper", "log_e", "pairs", "theme", "intent"]


def settings_of(run: Run) -> dict[str, str]:
    """The audit file's fields by their dotted names, those that were left empty left out."""
    flat = pd.json_normalize(run.run.get("config") or {}, sep=".").to_dict("records")
    told = flat[0] if flat else {}
    return {str(key): one_line(value, _LONGEST_PARAMETER) for key, value in told.items() if value is not None and str(value) != "nan"}


def summary_of(run: Run) -> dict[str, float]:
    """What the audit came to, as numbers."""
    findings, total = run.findings, run.ledger.get("all") or {}
    overall: Mapping[str, Any] = findings.get("overall") or {}
    held = wording.validated(findings)
    told = {
        "different": float(overall.get("verdict") == "different"),
        "log_e": wording.log_e_of(overall),
        "auc": overall.get("auc"),
        "smallest_detectable": overall.get("smallest_detectable"),
        "sentences_tested": len(findings.get("findings", ())),
        "findings_validated": len(held),
        "side_effects": sum(intent_of(one) == "side effect" for one in held),
        "largest_difference": max((abs(one["difference"]) for one in held), default=0.0),
        **{key: total.get(key) for key in ("texts", "tokens", "seconds", "judge_calls", "dollars")},
    }
    return {key: float(value) for key, value in told.items() if isinstance(value, int | float) and math.isfinite(value)}


def steps_of(run: Run) -> list[tuple[int, dict[str, float]]]:
    """(texts of the phase so far, numbers) of each round, as "explore/log_e"."""
    rounds = rounds_frame(run).to_dict("records")
    return [
        (
            int(one["texts"]),
            {
                f"{one['phase']}/{key}": float(one[key])
                for key in ("log_e", "found", "pair_auc")
                if one[key] is not None and one[key] == one[key]
            },
        )
        for one in rounds
    ]


def to_wandb(run: Run, folder: Path) -> list[str]:
    """Writes an offline run below `folder`, for `wandb sync`; with WANDB_MODE=online it is sent as well.

    WANDB_PROJECT and WANDB_ENTITY are wandb's own. The run's id depends on the audit: the same one is one run.
    """
    wandb = _module("wandb", "wandb")
    folder.mkdir(parents=True, exist_ok=True)
    mode = os.environ.get("WANDB_MODE", "offline")
    with wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=fingerprint("wandb", run.run.get("fingerprints"), run.run.get("started"))[:16],
        name=one_line(run.run.get("name", "audit"), 120),
        job_type="audit",
        dir=str(folder),
        mode=mode,
        config=settings_of(run),
        settings=wandb.Settings(silent=True, disable_git=True, save_code=False, console="off"),
    ) as logged:
        # Two phases with their own counts of texts: each is drawn over its own.
        for phase in ("explore", "confirm"):
            logged.define_metric(f"{phase}/*", step_metric=f"{phase}/texts")
        for texts, numbers in steps_of(run):
            phase = next(iter(numbers)).partition("/")[0]
            logged.log({f"{phase}/texts": texts, **numbers})
        logged.log({"findings": wandb.Table(dataframe=findings_frame(run)[_TABLE])})
        logged.summary.update(summary_of(run))
        artifact = wandb.Artifact(f"audit-{logged.id}", type="audit")
        for name in _present(run):
            artifact.add_file(str(run.path / name))
        logged.log_artifact(artifact)
    return ["wandb"]


def to_mlflow(run: Run, folder: Path) -> list[str]:
    """Logs a run to MLFLOW_TRACKING_URI, or to a database of its own below `folder` (`mlflow ui --backend-store-uri sqlite:///…`)."""
    mlflow = _module("mlflow", "mlflow")
    entities = importlib.import_module("mlflow.entities")
    address = os.environ.get("MLFLOW_TRACKING_URI")
    folder.mkdir(parents=True, exist_ok=True)
    client = mlflow.MlflowClient(tracking_uri=address or f"sqlite:///{(folder / 'mlflow.db').resolve()}")
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    known = client.get_experiment_by_name(name)
    place = None if address else (folder / "artifacts").resolve().as_uri()
    experiment = known.experiment_id if known else client.create_experiment(name, artifact_location=place)
    verdict = wording.verdict(run.findings)
    logged = client.create_run(
        experiment,
        run_name=one_line(run.run.get("name", "audit"), 120),
        tags={
            "verdict": one_line(verdict.headline, 500),
            "base": one_line(run.run.get("base", "")),
            "intervention": one_line(run.run.get("intervention", "")),
        },
    ).info.run_id
    now = int(1000 * time.time())
    metrics = [entities.Metric(key, value, now, 0) for key, value in summary_of(run).items()]
    metrics += [entities.Metric(key, value, now, texts) for texts, numbers in steps_of(run) for key, value in numbers.items()]
    parameters = [entities.Param(key, value) for key, value in settings_of(run).items()]
    for start in range(0, max(len(metrics), len(parameters)), 100):
        client.log_batch(logged, metrics[start : start + 100], parameters[start : start + 100])
    for file in _present(run):
        client.log_artifact(logged, str(run.path / file))
    client.set_terminated(logged)
    return ["mlflow.db", "artifacts"] if not address else []


def _present(run: Run) -> list[str]:
    return [name for name in _FILES if (run.path / name).is_file()]


def _module(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"--to {name}: the package `{name}` is not installed; run: pip install 'auto-interventions[{extra}]'") from error
