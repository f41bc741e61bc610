"""`.venv/bin/python -m benchmarks.store [rates] [hits] [engines] [again] [memory]`: the first two unless told otherwise.

Prints Markdown."""

from __future__ import annotations

import argparse
import sys

from benchmarks.store import again, engines, hits, memory, rates

PARTS = ("rates", "hits", "engines", "again", "memory")


def main() -> int:
    """Runs the parts that were asked for."""
    if sys.argv[1:2] == ["stream"]:
        rates.stream(sys.argv[2], int(sys.argv[3]))
        return 0
    if sys.argv[1:2] == ["table"]:
        memory.table(int(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--vectors", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", action="store_true", help="the same as the part `engines`")
    given = parser.parse_args()
    parts = given.parts or (["engines"] if given.engines else ["rates", "hits"])
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if "rates" in parts:
        rates.compare(given.vectors, given.repeats)
        rates.memories(given.vectors)
    if "hits" in parts:
        hits.compare(min(given.vectors, 50_000), rounds=100)
    if "engines" in parts:
        engines.compare(given.vectors, given.repeats)
    if "memory" in parts:
        memory.compare(given.vectors)
    if "again" in parts:
        again.compare()
    return 0


if __name__ == "__main__":
    sys.exit(main())
