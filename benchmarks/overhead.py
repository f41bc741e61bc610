"""What Prefect adds to an audit: the demo under its flow and as plain calls, side by side, each with a fresh store.

    .venv/bin/python benchmarks/overhead.py --repeats 3

Prints seconds of both and their ratio; the flow's time holds the start of Prefect's temporary server. Each run is a process of its own.
"""

from __future__ import annotations

import argparse
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


def seconds(code: str, audit: Path) -> float:
    """Wall-clock seconds of one run in a process and folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, str(audit), f"{folder}/run", f"{folder}/store"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def main() -> None:
    """Alternates the two ways and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--audit", type=Path, default=ROOT / "demo" / "audit.yaml")
    arguments = parser.parse_args()
    direct: list[float] = []
    flow: list[float] = []
    for _ in range(arguments.repeats):
        direct.append(seconds(DIRECT, arguments.audit))
        flow.append(seconds(FLOW, arguments.audit))
        sys.stdout.write(f"direct {direct[-1]:6.1f} s   flow {flow[-1]:6.1f} s\n")
    ratio = statistics.median(flow) / statistics.median(direct)
    sys.stdout.write(f"median: direct {statistics.median(direct):.1f} s, flow {statistics.median(flow):.1f} s, ratio {ratio:.3f}\n")


if __name__ == "__main__":
    main()
