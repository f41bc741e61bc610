"""Inspect's evaluation logs (inspect.aisi.org.uk): one for each model over the same prompts, scored by every validated finding.

Version 2 of the JSON format, which `inspect_ai.log.read_eval_log` and `inspect view` read. A sample is a prompt (its epochs: the texts
drawn there), a score says how well the text fits a finding's sentence. The audit's own rates, intervals and evidence are the scores'
metadata: they are what to report, as Inspect knows nothing of when the audit stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.exports.frames import claim, streamed
from auto_interventions.exports.shown import shown, sized_pairs
from auto_interventions.fingerprint import fingerprint
from auto_interventions.records import ROLES, FloatArray, Role
from auto_interventions.report import wording
from auto_interventions.report.beside import reasons
from auto_interventions.report.plain import one_line
from auto_interventions.runs import PAIR, Run, RunDirectory

_TITLE = 120
_IN_METADATA = (
    "id",
    "status",
    "more_in",
    "base_rate",
    "intervention_rate",
    "difference",
    "interval",
    "log_e",
    "p_value",
    "pairs",
    "judges",
)


def write_inspect(run: Run, folder: RunDirectory) -> list[str]:
    """Two logs, base and intervention; the names of the files."""
    held = wording.validated(run.findings)
    pairs = sized_pairs(run)
    scores = shown(run, pairs, held)
    names = [f"{log_stem(run)}_{role}.json" for role in ROLES]
    for side, (role, name) in enumerate(zip(ROLES, names, strict=True)):
        own = scores[:, :, side]
        samples = _samples(run, role, pairs, held, own)
        folder.write_pieces(name, streamed(_head(run, role, pairs, held, own), "samples", samples))
    return names


def log_stem(run: Run) -> str:
    """The beginning of both files' names; Inspect lists logs by the time in them."""
    return f"{_time(run, 'started').isoformat(timespec='seconds').replace(':', '-')}_audit"


def is_log(name: str) -> bool:
    """Whether a file of that name is one that we write."""
    return name.endswith(tuple(f"_audit_{role}.json" for role in ROLES))


def _time(run: Run, which: str) -> datetime:
    told = run.run.get(which) or run.run.get("started")
    return datetime.fromisoformat(str(told)) if told else datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _head(run: Run, role: Role, pairs: pd.DataFrame, held: Sequence[Mapping[str, Any]], scores: FloatArray) -> dict[str, Any]:
    config: Mapping[str, Any] = run.run.get("config") or {}
    sampling: Mapping[str, Any] = config.get("sampling") or {}
    verdict = wording.verdict(run.findings)
    label = one_line(run.run.get(role, role), _TITLE) or role
    identity = fingerprint("inspect", role, run.run.get("fingerprints"), run.run.get("started"))
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": identity[:22],
            "run_id": fingerprint("inspect", run.run.get("fingerprints"), run.run.get("started"))[:22],
            "created": _time(run, "started").isoformat(),
            "task": f"auto-interventions/{one_line(run.run.get('name', 'audit'), _TITLE)}",
            "task_id": identity[22:44],
            "task_version": 1,
            "dataset": {
                "name": str((config.get("prompts") or {}).get("source") or "prompts"),
                "samples": int(pairs["prompt_id"].nunique()),
                "sample_ids": list(dict.fromkeys(pairs["prompt_id"])),
                "shuffled": True,
            },
            "model": label,
            "config": {"epochs": int(pairs["sample"].max()) + 1 if len(pairs) else 1},
            "packages": {"auto-interventions": str((run.run.get("versions") or {}).get("auto-interventions", ""))},
            "metadata": {
                "role": role,
                "verdict": one_line(f"{verdict.headline} {verdict.detail}", 2_000),
                "alpha": run.findings.get("alpha"),
                "guarantee": run.findings.get("guarantee", ""),
            },
        },
        "plan": {
            "name": "plan",
            "steps": [{"solver": "generate", "params": {}}],
            "config": {
                "temperature": sampling.get("temperature"),
                "max_tokens": sampling.get("max_new_tokens"),
                "seed": sampling.get("seed"),
            },
        },
        "results": {
            "total_samples": len(pairs),
            "completed_samples": len(pairs),
            "scores": [_score(name, one, own) for name, one, own in zip(score_names(held), held, scores, strict=True)],
        },
        "stats": {"started_at": _time(run, "started").isoformat(), "completed_at": _time(run, "finished").isoformat()},
    }


def score_names(held: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each finding's score is called: its sentence about one text, and its id, as sentences may be alike."""
    return [f"{one_line(one['statement'], _TITLE)} [{one['id']}]" for one in held]


def _score(name: str, finding: Mapping[str, Any], scores: FloatArray) -> dict[str, Any]:
    judged = scores[~np.isnan(scores)]
    return {
        "name": name,
        "scorer": "auto-interventions",
        "scored_samples": len(judged),
        "unscored_samples": len(scores) - len(judged),
        "metrics": {"mean": {"name": "mean", "value": float(judged.mean()) if len(judged) else 0.0}},
        "metadata": {"finding": claim(finding), **{key: finding.get(key) for key in _IN_METADATA}},
    }


def _samples(run: Run, role: Role, pairs: pd.DataFrame, held: Sequence[Mapping[str, Any]], scores: FloatArray) -> Iterator[dict[str, Any]]:
    label = one_line(run.run.get(role, role), _TITLE) or role
    texts = run.texts
    own = texts[texts["model"] == role].set_index(PAIR)[["id", "tokens", "finished"]].to_dict("index")
    names, told = score_names(held), [reasons(finding) for finding in held]
    for place, row in enumerate(pairs.to_dict("records")):
        text = own[(row["prompt_id"], row["sample"])]
        answer = {"role": "assistant", "content": row[role], "source": "generate", "model": label}
        yield {
            "id": row["prompt_id"],
            "epoch": int(row["sample"]) + 1,
            "input": row["prompt"],
            "target": "",
            "messages": [{"role": "user", "content": row["prompt"], "source": "input"}, answer],
            "output": {
                "model": label,
                "choices": [{"message": answer, "stop_reason": "stop" if text["finished"] else "max_tokens"}],
                "usage": {"input_tokens": 0, "output_tokens": int(text["tokens"]), "total_tokens": int(text["tokens"])},
            },
            "scores": {
                name: {"value": float(score), **({"explanation": told[number][text["id"]]} if text["id"] in told[number] else {})}
                for number, (name, score) in enumerate(zip(names, scores[:, place].tolist(), strict=True))
                if not np.isnan(score)
            },
            "metadata": {"stratum": row["stratum"], "text_id": text["id"]},
        }
