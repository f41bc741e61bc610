"""What judging costs: V = 200 texts a sentence with a strong model, as published runs do it, beside this library's ways.

    .venv/bin/python -m benchmarks.judging [--seeds 20] [--caps 400 500 600] [--null-audits 200] [--jobs 2]

Judges are rules of known accuracy, position bias and doubt (tests/llm/judges.py) behind the real templates, batches, cascade, scheduling,
bets and e-BH; only the wire is left out. Tokens are counted, prices are those of genai-prices. All arms see the same texts; the gate is
open, so that sentences stand for themselves. Null audits: judges that guess nearly half of the time and favour what they read first.
"""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks.judging import tables
from benchmarks.judging.audits import differing, everywhere, null


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judging", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--caps", type=int, nargs="+", default=[400, 500, 600], help="values of judge.max_pairs")
    parser.add_argument("--null-audits", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if arguments.seeds:
        found = tables.rows(everywhere(differing, arguments.seeds, arguments.caps, arguments.jobs))
        for part in (tables.table(found), tables.plant_table(found), tables.interval_table(found), tables.verdict(found)):
            sys.stdout.write(f"{part}\n\n")
        sys.stdout.flush()
    if arguments.null_audits:
        sys.stdout.write(tables.null_line(everywhere(null, arguments.null_audits, arguments.caps, arguments.jobs)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
