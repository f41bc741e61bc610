"""What run.json says of an audit, at any time of it."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from auto_interventions import __version__
from auto_interventions.runs.directory import RUN_SCHEMA, identity

if TYPE_CHECKING:
    from auto_interventions.stages.workspace import Workspace

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "scikit-learn",
    "numpy",
    "prefect",
    "cuml-cu12",
    "cuml-cu13",
    "umap-learn",
)


def run_facts(workspace: Workspace) -> dict[str, object]:
    """The content of run.json as things stand."""
    config, explored = workspace.config, workspace.exploring
    return {
        "schema": RUN_SCHEMA,
        "name": config.name,
        "status": workspace.status,
        "base": config.base.label,
        "intervention": config.intervention.label,
        "config": config.model_dump(mode="json"),
        "versions": versions(),
        "fingerprints": {"config": identity(config)},
        **_times(workspace),
        "rounds": [_finite(asdict(evidence)) for evidence in explored.history] if explored is not None else [],
        "stopped_because": workspace.stopped_because,
        "prompts": _prompts(workspace),
        "confirm_rounds": workspace.confirm_rounds,
        "reused": _reused(workspace, None),
        **workspace.extra,
    }


def reused_facts(workspace: Workspace, run: Mapping[str, object]) -> dict[str, object]:
    """What is new in the run.json of an audit that was taken whole from the store; `run`: when that one ended, its seconds."""
    return {**_times(workspace), "reused": _reused(workspace, run)}


def ended(workspace: Workspace) -> str | None:
    """Now, if the audit is over."""
    return datetime.now(UTC).isoformat(timespec="seconds") if workspace.status != "running" else None


def _times(workspace: Workspace) -> dict[str, object]:
    started, seconds = workspace.started.isoformat(timespec="seconds"), round(workspace.seconds, 1)
    return {"started": started, "finished": ended(workspace), "seconds": seconds}


def _prompts(workspace: Workspace) -> dict[str, object]:
    prompts = workspace.prompts
    return {
        "explore": sum(prompt.pool == "explore" and not prompt.prefix for prompt in prompts),
        "mined": sum(bool(prompt.prefix) for prompt in prompts),
        "confirm": sum(prompt.pool == "confirm" for prompt in prompts),
        "strata": len({prompt.stratum for prompt in prompts}),
        **({"bank": workspace.bank} if workspace.bank else {}),
    }


def _reused(workspace: Workspace, run: Mapping[str, object] | None) -> dict[str, object]:
    """What did not have to be done again."""
    spent = workspace.ledger.all
    return {"texts": spent.texts_reused, "embeddings": spent.embeddings_cached, "judge_calls": spent.judge_calls_cached, "run": run}


def _finite(record: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN: what was not measured is null."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in record.items()}


def versions() -> dict[str, str]:
    """Versions of what computes."""
    found = {"auto-interventions": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
