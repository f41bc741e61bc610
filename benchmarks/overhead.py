"""What Prefect adds to an audit: the demo under its flow and as plain calls, side by side, each with a fresh store.

    .venv/bin/python benchmarks/overhead.py --repeats 3
    .venv/bin/python benchmarks/overhead.py --server http://127.0.0.1:4200/api

Prints seconds of both and their ratio; the flow's time holds the start of Prefect's temporary server. Each run is a process of its own.
With `--server`, instead: the flow on that server with and without what is shown in its UI (flows/watching.py), by the clock and by the
processor's time of the audit's process, which a busy machine changes less.
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
    """Alternates the two ways and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--audit", type=Path, default=ROOT / "demo" / "audit.yaml")
    parser.add_argument("--server", help="API of a Prefect server: measures what is shown there")
    arguments = parser.parse_args()
    plain, code = ("untold", UNTOLD) if arguments.server else ("direct", DIRECT)
    direct: list[tuple[float, float]] = []
    flow: list[tuple[float, float]] = []
    for _ in range(arguments.repeats):
        direct.append(seconds(code, arguments.audit, arguments.server))
        flow.append(seconds(FLOW, arguments.audit, arguments.server))
        for name, (wall, busy) in ((plain, direct[-1]), ("flow", flow[-1])):
            sys.stdout.write(f"{name} {wall:6.1f} s (processor {busy:6.1f} s)   ")
        sys.stdout.write("\n")
    for name, position in (("clock", 0), ("processor", 1)):
        one, other = (statistics.median(run[position] for run in runs) for runs in (direct, flow))
        sys.stdout.write(f"median by the {name}: {plain} {one:.1f} s, flow {other:.1f} s, ratio {other / one:.3f}\n")


if __name__ == "__main__":
    main()
