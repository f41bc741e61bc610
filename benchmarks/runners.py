"""What workers bring, and what it costs to have them: generation of the demo's prompts, 8 samples each.

    .venv/bin/python benchmarks/runners.py            # 2 workers against 1, on idle cores
    .venv/bin/python benchmarks/runners.py --texts 10000 --repeats 1

Each way has a fresh store, and a core a process. Printed: seconds; the ratio of 1 worker to N over the ideal N; the share of the workers'
time that was not spent in making texts (orchestration: cutting, sending, waiting, reading); the same work in a thousand chunks against few.
What this machine's cores give at all is taken beside it, in turns: as many processes that share nothing, each with its part of the texts.
Clusters are warm: processes are started and models loaded before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from multiprocessing.pool import Pool
from pathlib import Path

from auto_interventions import crew as cutting
from auto_interventions.audit_file import load_audit
from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.crew import Chunk, Crew
from auto_interventions.flows import runners
from auto_interventions.flows.runners import open_crew
from auto_interventions.prompts import load_prompts
from auto_interventions.stores import open_store
from auto_interventions.subjects import Request, open_subject

EMPTY = 1_000
Spent = tuple[float, float]  # seconds by the clock, and of the processor
DEMO = Path(__file__).resolve().parent.parent / "demo"


def timed_chunks() -> int:
    """In a worker: from now on it adds up the seconds that it spends making texts."""
    from auto_interventions.subjects.stored import StoredSubject

    complete = StoredSubject.complete

    def timed(self: StoredSubject, *given: object) -> int:
        started = time.perf_counter()
        try:
            return complete(self, *given)  # pyright: ignore[reportArgumentType]
        finally:
            spent.append(time.perf_counter() - started)

    spent: list[float] = []
    timed.spent = spent  # pyright: ignore[reportFunctionMemberAccess]
    StoredSubject.complete = timed  # pyright: ignore[reportAttributeAccessIssue]
    return 0


def take_seconds() -> float:
    """In a worker: the sum so far; begins anew."""
    from auto_interventions.subjects.stored import StoredSubject

    spent: list[float] = StoredSubject.complete.spent  # pyright: ignore[reportFunctionMemberAccess]
    total = sum(spent)
    spent.clear()
    return total


def nothing() -> int:
    """In a worker: the cheapest chunk."""
    return 0


def generate(crew: Crew | None, requests: list[Request], batch_tokens: int) -> float:
    """Wall-clock seconds of all texts of the demo's base model, with a fresh store."""
    sampling = SamplingConfig(seed=0, max_new_tokens=48, batch_tokens=batch_tokens)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        subject = open_subject(SubjectConfig(model=str(DEMO / "models" / "base")), "base", sampling, store, crew, folder)
        _ = subject.fingerprint
        started = time.perf_counter()
        subject.generate(requests)
        spent = time.perf_counter() - started
        store.close()
        return spent


def apart(pool: Pool, workers: int, requests: list[Request], batch_tokens: int) -> float:
    """Seconds of `workers` processes that know nothing of each other, from the first's start to the last's end."""
    spans = pool.starmap(_span, [(requests[begin::workers], batch_tokens) for begin in range(workers)], chunksize=1)
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def _span(requests: list[Request], batch_tokens: int) -> tuple[float, float]:
    begin = time.time()
    generate(None, requests, batch_tokens)
    return begin, time.time()


@contextmanager
def one_core_each(workers: int) -> Generator[Crew]:
    """A cluster of `workers` processes with a core each, whatever this machine has: `--runner dask:1` would have them all."""
    cores = runners._cores
    runners._cores = lambda: workers
    try:
        with open_crew(f"dask:{workers}") as crew:
            assert crew is not None
            crew.require(timed_chunks)
            yield crew
    finally:
        runners._cores = cores


def empty_chunks(crew: Crew) -> float:
    """Milliseconds of a chunk that does nothing."""
    started = time.perf_counter()
    crew.run([Chunk(nothing, (), 1.0, 1)] * EMPTY)
    return 1000 * (time.perf_counter() - started) / EMPTY


def efficiency(workers: int, requests: list[Request], batch_tokens: int, repeats: int) -> None:
    """Prints one worker, `workers` workers, one process alone and `workers` processes alone, taken in turns."""
    with ExitStack() as stack:
        crews = {count: stack.enter_context(one_core_each(count)) for count in (1, workers)}
        pools = {count: stack.enter_context(multiprocessing.get_context("spawn").Pool(count)) for count in (1, workers)}
        for count in (1, workers):  # models are loaded
            generate(crews[count], requests[: 40 * count], batch_tokens)
            apart(pools[count], count, requests[: 40 * count], batch_tokens)
        together: dict[int, list[float]] = {1: [], workers: []}
        alone: dict[int, list[float]] = {1: [], workers: []}
        idle: dict[int, list[float]] = {1: [], workers: []}
        for _ in range(repeats):
            for count in (1, workers):
                crews[count].require(take_seconds)
                together[count].append(generate(crews[count], requests, batch_tokens))
                idle[count].append(1 - sum(crews[count].require(take_seconds).values()) / (count * together[count][-1]))
                alone[count].append(apart(pools[count], count, requests, batch_tokens))
        for count in (1, workers):
            sys.stdout.write(
                f"  {count} workers: {_seconds(together[count])}, {statistics.median(idle[count]):.1%} not spent making texts, "
                f"{empty_chunks(crews[count]):.1f} ms an empty chunk; processes that share nothing: {_seconds(alone[count])}\n"
            )
    gained = [one / many / workers for one, many in zip(together[1], together[workers], strict=True)]
    ideal = [one / many / workers for one, many in zip(alone[1], alone[workers], strict=True)]
    kept = [bare / crewed for bare, crewed in zip(alone[workers], together[workers], strict=True)]
    sys.stdout.write(
        f"  {workers} workers against 1: {_spread(gained)} of the ideal; processes that share nothing: {_spread(ideal)}; "
        f"{workers} workers are {_spread(kept)} times as fast as {workers} such processes\n"
    )


def _seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} s ({min(values):.1f} to {max(values):.1f})"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def worked() -> float:
    """Processor seconds of this process so far."""
    return time.process_time()


def many_chunks(requests: list[Request], batch_tokens: int, repeats: int) -> tuple[list[Spent], list[Spent]]:
    """The same batches in few chunks, and each in a chunk of its own, alternating."""
    few: list[Spent] = []
    many: list[Spent] = []
    cut = cutting.cut
    with one_core_each(2) as crew:
        generate(crew, requests[:80], batch_tokens)

        def both() -> Spent:
            before = worked() + sum(crew.require(worked).values())
            clock = generate(crew, requests, batch_tokens)
            return clock, worked() + sum(crew.require(worked).values()) - before

        for _ in range(repeats):
            few.append(both())
            from auto_interventions.subjects import spreading

            spreading.cut = lambda weights, _: [[place] for place in range(len(weights))]
            try:
                many.append(both())
            finally:
                spreading.cut = cut
    return few, many


def main() -> None:
    """Prints ratios of the same run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--texts", type=int, default=None, help="default: 8 for each of the demo's prompts")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--chunk-repeats", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int, default=8_192)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started from here
    prompts = load_prompts(load_audit(DEMO / "audit.yaml").prompts, (), 0)
    count = given.texts if given.texts is not None else 8 * len(prompts)
    samples = max(1, -(-count // len(prompts)))
    requests = [Request(prompt, 0, samples) for prompt in prompts][: -(-count // samples)]
    texts = sum(request.samples for request in requests)
    sys.stdout.write(f"{texts} texts of {len(requests)} prompts, batches of {given.batch_tokens} tokens\n")
    if given.repeats:
        efficiency(given.workers, requests, given.batch_tokens, given.repeats)
    small = texts * 136 // 1_000  # about a thousand batches: a row counts about 136 tokens, prompt and answer
    few, many = many_chunks(requests, small, given.chunk_repeats)
    for name, place in (("clock", 0), ("processor, all processes", 1)):
        ratios = [other[place] / one[place] for one, other in zip(few, many, strict=True)]
        sys.stdout.write(
            f"  batches of {small} tokens, each in a chunk of its own against few chunks, by the {name}: "
            f"{_seconds([one[place] for one in many])} / {_seconds([one[place] for one in few])} = {_spread(ratios)}\n"
        )


if __name__ == "__main__":
    main()
