"""The same audit again: what the second one does, and how much faster it is. The command itself, in processes of its own, on the demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AUDIT = Path(__file__).resolve().parents[2] / "demo" / "audit.yaml"
_WORK = ("texts", "texts_reused", "embeddings_computed", "embeddings_cached", "judge_calls", "judge_calls_cached")


def compare() -> None:
    """Runs the demo's audit three times: in an empty store, the same again, and the same with another number of clusters."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        first = _run(home, "first")
        rows = [
            ("first", first),
            ("the same again", _run(home, "again")),
            ("60 clusters", _run(home, "clusters", "clustering.clusters=60")),
        ]
        sys.stdout.write(f"| audit | seconds | times faster | {' | '.join(_WORK)} |\n| --- {'| --- ' * (len(_WORK) + 2)}|\n")
        for label, (seconds, spent) in rows:
            cells = " | ".join(f"{spent[key]:,}" for key in _WORK)
            sys.stdout.write(f"| {label} | {seconds:.1f} | {first[0] / seconds:.1f} | {cells} |\n")
        same = {(home / run / "findings.json").read_bytes() for run in ("first", "again")}
        sys.stdout.write(f"\nfindings.json of the first two: {'the same' if len(same) == 1 else 'NOT THE SAME'}\n")


def _run(home: Path, name: str, *changes: str) -> tuple[float, dict[str, int]]:
    environment = {**os.environ, "AUTO_INTERVENTIONS_CACHE": str(home / "cache"), "PREFECT_HOME": str(home / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    command = [Path(sys.executable).with_name("auto-interventions"), "audit", AUDIT, "--out", home / name]
    started = time.perf_counter()
    subprocess.run(
        [*command, *(word for change in changes for word in ("--set", change))], env=environment, check=True, capture_output=True
    )
    seconds = time.perf_counter() - started
    return seconds, json.loads((home / name / "ledger.json").read_text(encoding="utf-8"))["all"]
