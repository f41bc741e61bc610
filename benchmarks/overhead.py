"""What Prefect adds to an audit: the demo under its flow and as plain calls, side by side, each with a fresh store.

    .venv/bin/python benchmarks/overhead.py --repeats 3
    .venv/bin/python benchmarks/overhead.py --texts 10000 --server http://127.0.0.1:4200/api

Prints seconds and ratios; the flow's time holds the start of Prefect's temporary server. Each run is a process of its own. With `--server`:
the flow on a server that is running, with and without what its UI shows (flows/watching.py). By the clock, and by the processor's time of
the audit's process and its children, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent

DIRECT = """
import sys
from pathlib import Path
from auto_interventions import stages
from auto_interventions.audit_file import load_audit
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace
config = load_audit(Path(sys.argv[1]), ["store=" + sys.argv[3]])
with Workspace.create(config, Path(sys.argv[2])) as workspace:
    order(stages, workspace)
"""

FLOW = """
import sys
from pathlib import Path
from auto_interventions.audit_file import load_audit
from auto_interventions.flows.starting import start_audit
from auto_interventions.stages.progress import Silent
start_audit(load_audit(Path(sys.argv[1]), ["store=" + sys.argv[3]]), Path(sys.argv[2]), Silent())
"""


UNTOLD = "import auto_interventions.flows.watching as watching\nwatching.watched = lambda: False\n" + FLOW


def seconds(code: str, audit: Path, server: str | None = None) -> tuple[float, float]:
    """Seconds by the clock and of the processor, of one run in a process and folder of its own."""
    environment = {**os.environ, "PREFECT_API_URL": server} if server else None
    with tempfile.TemporaryDirectory() as folder:
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code, str(audit), f"{folder}/run", f"{folder}/store"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.perf_counter() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Alternates the ways and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--audit", type=Path, default=ROOT / "demo" / "audit.yaml")
    parser.add_argument("--texts", type=int, help="the demo exhaustively on so many texts, instead of --audit")
    parser.add_argument("--server", help="API of a Prefect server that is running: the flow uses it, with and without what its UI shows")
    arguments = parser.parse_args()
    ways = {"direct": DIRECT, **({"untold": UNTOLD} if arguments.server else {}), "flow": FLOW}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        audit = exhaustive(Path(folder), arguments.texts) if arguments.texts else arguments.audit
        for _ in range(arguments.repeats):
            for name, code in ways.items():
                taken[name].append(seconds(code, audit, arguments.server))
                wall, busy = taken[name][-1]
                sys.stdout.write(f"{name} {wall:6.1f} s (processor {busy:6.1f} s)   ")
                sys.stdout.flush()
            sys.stdout.write("\n")
    for kind, position in (("clock", 0), ("processor", 1)):
        medians = {name: statistics.median(run[position] for run in runs) for name, runs in taken.items()}
        told = ", ".join(f"{name} {median:.1f} s ({median / medians['direct']:.3f} of direct)" for name, median in medians.items())
        sys.stdout.write(f"median by the {kind}: {told}\n")


def exhaustive(folder: Path, texts: int) -> Path:
    """An audit file of the demo in which nothing settles early: all texts are drawn."""
    demo = yaml.safe_load((ROOT / "demo" / "audit.yaml").read_text())
    for side in ("base", "intervention"):
        demo[side] |= {key: str(ROOT / "demo" / value) for key, value in demo[side].items() if key in ("model", "adapter")}
    demo["prompts"]["path"] = str(ROOT / "demo" / demo["prompts"]["path"])
    demo["sampling"] = {"strategy": "exhaustive", "max_texts": texts, "max_new_tokens": 64, "seed": 0}
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(demo))
    return path


if __name__ == "__main__":
    main()
