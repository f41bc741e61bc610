"""How fast 10,000 calls of a chat model go, beside the ideal, and what becomes of them when the service is faulty.

    .venv/bin/python -m benchmarks.calls [--calls 10000] [--latency 0.2] [--in-flight 64] [--provider gemini] [--faults]

The server (tests/llm/server.py) is a process of its own and answers each call after `latency`; the ideal is in-flight / latency. In the
same run: `wire` sends such questions as bytes without any SDK, `bare` is the vendor's SDK alone in the same event loop, without our store,
limits and prices. With --faults 5% of the calls get a 429 with Retry-After and 2% lose their connection: every call must be answered or
counted, none paid twice by the server's own record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auto_interventions.config import ChatConfig, PriceConfig
from auto_interventions.judging.questions import Form
from auto_interventions.llm import ChatModel, ChatRequest, Failure, open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.loops import run
from auto_interventions.stores import open_store

KEYS = ("GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
STORY = "Once upon a time there was a small fox who found a red ball near the river and gave it back to the child. " * 5


def question(number: int) -> ChatRequest:
    """A pair to judge, of about 600 tokens; all differ."""
    return Form("pairwise", 2_000).request(f'mentions "{number}"', [(f"{STORY}{number}", STORY)])


@contextmanager
def serving(*options: str) -> Generator[int]:
    """The port of a server in a process of its own."""
    command = [sys.executable, "-m", "tests.llm.server", "--judge", "cheap=0.8", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def record(port: int) -> dict[str, Any]:
    """What the server was asked, which it then forgets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/reset") as reply:
        return json.loads(reply.read())


async def wire(port: int, calls: int, in_flight: int) -> None:
    """The same questions as bytes over kept connections, without any SDK: what server, machine and event loop give at most."""
    queue = iter(range(calls))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in queue:
            messages = [{"role": message.role, "content": message.text} for message in question(-1_000_000 - number).messages]
            body = json.dumps({"model": "cheap", "max_tokens": 64, "messages": messages}).encode()
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(work() for _ in range(in_flight)))


async def bare(model: ChatModel, requests: list[ChatRequest], in_flight: int) -> None:
    """The adapter alone, at most `in_flight` at once."""
    queue = iter(requests)

    async def work() -> None:
        for request in queue:
            await model.ask(request)

    await asyncio.gather(*(work() for _ in range(in_flight)))


def main() -> None:
    """Prints a line of JSON for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--provider", choices=("gemini", "openai", "anthropic"), default="gemini")
    parser.add_argument("--bare", type=int, default=2_000, help="calls of the bare SDK")
    parser.add_argument("--faults", action="store_true")
    options = parser.parse_args()
    for key in KEYS:
        os.environ.setdefault(key, "the-key-of-a-benchmark")
    faults = ("--rate", "busy=0.05", "--rate", "cut=0.02", "--retry-after", "1") if options.faults else ()
    with serving("--latency", str(options.latency), *faults) as port, tempfile.TemporaryDirectory() as folder:
        measure(options, port, Path(folder))


def measure(options: argparse.Namespace, port: int, folder: Path) -> None:
    """One run against the server at `port`."""
    address = f"http://127.0.0.1:{port}" + ("/v1" if options.provider == "openai" else "")
    settings = ChatConfig(base_url=address, concurrency=options.in_flight, price=PriceConfig(input=0.3, output=2.5))
    ideal = options.in_flight / options.latency
    if options.bare and not options.faults:
        run(wire(port, options.bare, options.in_flight))
        tell("wire", options.bare, record(port)["seconds"], ideal)
        model = open_chat(f"{options.provider}:cheap", settings)
        run(bare(model, [question(-1_000 - number) for number in range(options.in_flight)], options.in_flight))  # what loads at first use
        record(port)
        run(bare(model, [question(-2_000 - number) for number in range(options.bare)], options.in_flight))
        seconds = record(port)["seconds"]
        tell("bare SDK", options.bare, seconds, ideal)
    asker = Asker(open_chat(f"{options.provider}:cheap", settings), open_store(str(folder / "store")), settings)
    requests = [question(number) for number in range(options.calls)]
    started, cpu = time.perf_counter(), time.process_time()
    outcomes = asker.ask_many(requests, "benchmark/v1")
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    tell("asked", options.calls, seconds, ideal, cpu_ms_a_call=round(1000 * cpu / options.calls, 2), counts=asker.counts.as_dict())
    kinds = Counter(outcome.kind if isinstance(outcome, Failure) else "reply" for outcome in outcomes)
    tell("server's record", options.calls, seconds, ideal, outcomes=dict(kinds), record=record(port))
    started = time.perf_counter()
    again = asker.ask_many(requests, "benchmark/v1")
    tell("again", options.calls, time.perf_counter() - started, ideal, cached=sum(not isinstance(o, Failure) and o.cached for o in again))


def tell(what: str, calls: int, seconds: float, ideal: float, **more: object) -> None:
    """One line."""
    rate = calls / seconds if seconds else 0.0
    numbers = {"calls": calls, "seconds": round(seconds, 2), "calls_a_second": round(rate, 1), "of_ideal": round(rate / ideal, 3)}
    sys.stdout.write(json.dumps({"what": what, **numbers, **more}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
