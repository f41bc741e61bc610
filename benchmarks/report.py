"""What the report of a large run takes: processor seconds, memory and size of the file, for a made run of so many texts.

    .venv/bin/python benchmarks/report.py [--texts 200000] [--findings 60]

The run is that of the report's tests (stories with planted differences), with the findings repeated under other names; each measurement is
a process of its own, so that its memory is the report's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from auto_interventions.report import build_report
from tests.report.making import STRATA, make_run


def main() -> None:
    """Prints a line a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, nargs="+", default=[2_000, 20_000, 200_000], help="of both models together")
    parser.add_argument("--findings", type=int, default=60, help="validated ones")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        _measure(chosen.measure)
        return
    sys.stdout.write("   texts  findings  seconds    MB  file MB\n")
    for texts in chosen.texts:
        with tempfile.TemporaryDirectory() as folder:
            run = _made(Path(folder) / "run", texts, chosen.findings)
            command = [sys.executable, "-m", "benchmarks.report", "--measure", str(run)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        sys.stdout.write(f"{texts:8,}  {chosen.findings:8}  {told['seconds']:7.1f}  {told['mb']:4.0f}  {told['file_mb']:7.2f}\n")
        sys.stdout.flush()


def _made(folder: Path, texts: int, findings: int) -> Path:
    run = make_run(folder, prompts_per_stratum=texts // (2 * len(STRATA)))
    path = run / "findings.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    held = [one for one in content["findings"] if one["status"] == "validated"]
    more = [{**held[number % len(held)], "id": f"{number:012x}"} for number in range(findings - len(held))]
    content["findings"] += more
    path.write_text(json.dumps(content), encoding="utf-8")
    return run


def _measure(run: Path) -> None:
    started = time.process_time()
    page = build_report(run)
    seconds = time.process_time() - started
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    sys.stdout.write(json.dumps({"seconds": seconds, "mb": megabytes, "file_mb": page.stat().st_size / 1e6}))


if __name__ == "__main__":
    main()
