"""One real HTTP server that speaks Gemini's, OpenAI's and Anthropic's protocols, with faults on demand and a record of every call.

By hand:  python -m tests.llm.server --port 8400 --latency 0.2 --rate busy=0.05 --rate cut=0.02 --judge cheap=0.8 --judge strong=0.97
          --labeller label=0.4
Base URLs: gemini and anthropic http://127.0.0.1:8400, openai http://127.0.0.1:8400/v1. GET /record tells what was asked; GET /reset too,
and forgets it.

It is asyncio's own streams and no framework: cutting a connection in the middle of a reply must be possible.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from tests.llm.examiners import with_opinions, with_reasons
from tests.llm.judges import fenced_judge
from tests.llm.labellers import word_labeller
from tests.llm.protocols import Answer, Question, read, write, write_error

Model = Callable[[Question], "Answer | str"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call.

    kind: busy (429), error (`status`), slow (`seconds` before the reply), drip (a byte every `seconds`), cut (no reply), cut_body (half a
    reply), garbage (200 without JSON), refuse (`status`, `message`, `code`); or of the model: malformed, wrong_schema, fenced, chatty,
    long (cut by max_tokens), noise (100 kB), blocked, refused, empty.
    """

    kind: str
    status: int = 500
    seconds: float = 0.0
    retry_after: float | None = None
    as_date: bool = False
    """Retry-After as an HTTP date."""
    in_body: bool = False
    """Google's RetryInfo in the error's body, and no header."""
    message: str = "something went wrong"
    code: str = ""


@dataclass
class Call:
    """One line of the record."""

    provider: str
    model: str
    digest: str
    """Of the messages: equal questions have equal digests."""
    fault: str
    status: int
    """0: no whole reply went out."""
    charged: bool
    """A model worked, and its whole answer was handed to the connection."""
    tokens: tuple[int, int]
    key: str
    started: float
    ended: float = 0.0


@dataclass
class ChatServer:
    """A server on 127.0.0.1 in a thread of its own; a context manager."""

    models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    """By name; any other name echoes."""
    latency: float = 0.0
    script: Iterable[Fault | None] = ()
    """Faults of the next calls, in order; None: none."""
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    """Faults by chance, where the script is empty."""
    retry_after: float | None = None
    """Of busy replies by chance."""
    takes_no: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parameters (of the body's top level, or Gemini's generationConfig) that are refused with 400, by the vendor's words."""
    key: str | None = None
    """The one key that is let in; others are refused and echoed, as vendors do."""
    port: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        self.script: deque[Fault | None] = deque(self.script)
        self.calls: list[Call] = []
        self.in_flight = self.most_in_flight = 0
        self._random = random.Random(self.seed)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None

    # -- life ---------------------------------------------------------------------------------------------------------------------

    def __enter__(self) -> ChatServer:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True, name="chat server")
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=512, limit=2**24))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))

    def url(self, provider: str = "gemini") -> str:
        """The `base_url` for `provider`."""
        return f"http://127.0.0.1:{self.port}" + ("/v1" if provider == "openai" else "")

    def reset(self) -> None:
        """Forgets the record."""
        self.calls.clear()
        self.most_in_flight = 0

    def summary(self) -> dict[str, Any]:
        """What was asked, in numbers. `paid_twice`: questions whose whole answer went out more than once."""
        charged = Counter(call.digest for call in self.calls if call.charged)
        return {
            "calls": len(self.calls),
            "charged": sum(charged.values()),
            "questions": len({call.digest for call in self.calls}),
            "paid_twice": sum(count > 1 for count in charged.values()),
            "faults": dict(Counter(call.fault for call in self.calls if call.fault)),
            "input_tokens": sum(call.tokens[0] for call in self.calls if call.charged),
            "output_tokens": sum(call.tokens[1] for call in self.calls if call.charged),
            "most_in_flight": self.most_in_flight,
            "seconds": max((call.ended for call in self.calls), default=0.0) - min((call.started for call in self.calls), default=0.0),
        }

    # -- HTTP ---------------------------------------------------------------------------------------------------------------------

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                method, path, _ = first.split(" ", 2)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    if not await self._answer(writer, method, path, headers, body):
                        writer.transport.abort()
                        return
                finally:
                    self.in_flight -= 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Whether the connection stays."""
        if method == "GET":
            told = self.summary()
            if path == "/reset":
                self.reset()
            await _send(writer, 200, json.dumps(told).encode())
            return True
        question = read(path, body)
        if question is None:
            await _send(writer, 404, b'{"error": {"message": "no such path"}}')
            return True
        key = headers.get("x-goog-api-key") or headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        fault = self._fault()
        digest = hashlib.sha256(json.dumps([question.model, question.messages]).encode()).hexdigest()
        call = Call(question.provider, question.model, digest, fault.kind if fault else "", 0, False, (0, 0), key, time.monotonic())
        self.calls.append(call)
        stays = await self._reply(writer, question, fault, call)
        call.ended = time.monotonic()
        return stays

    def _fault(self) -> Fault | None:
        if self.script:
            return self.script.popleft()
        chance = self._random.random()
        for kind, rate in self.rates.items():
            if chance < rate:
                return Fault(kind, retry_after=self.retry_after)
            chance -= rate
        return None

    async def _reply(self, writer: asyncio.StreamWriter, question: Question, fault: Fault | None, call: Call) -> bool:
        refused = self._refused(question, call.key)
        if refused is not None:
            call.status = refused[0]
            await _send(writer, refused[0], refused[1])
            return True
        if fault is not None and fault.kind == "cut":
            await asyncio.sleep(self.latency * self._random.random())
            return False
        if fault is not None and fault.kind in ("busy", "error", "refuse"):
            call.status = 429 if fault.kind == "busy" else fault.status
            body, extra = _error(question.provider, call.status, fault)
            await _send(writer, call.status, body, extra)
            return True
        await asyncio.sleep(self.latency + (fault.seconds if fault is not None and fault.kind == "slow" else 0.0))
        if fault is not None and fault.kind == "garbage":
            await _send(writer, 200, b"<html>a proxy says hello</html>", {"Content-Type": "text/html"})
            return True
        answer = _faulty(question, self._ask(question), fault)
        body = write(question, answer, len(self.calls))
        if fault is not None and fault.kind in ("cut_body", "drip"):
            await _send_slowly(writer, body, fault)
            return False
        call.status, call.charged, call.tokens = 200, True, _counted(json.loads(body))  # first: the client may read the record at once
        await _send(writer, 200, body)
        return True

    def _ask(self, question: Question) -> Answer:
        model = self.models.get(question.model)
        said = model(question) if model is not None else f"You said: {question.messages[-1][1]}"
        return said if isinstance(said, Answer) else Answer(said)

    def _refused(self, question: Question, key: str) -> tuple[int, bytes] | None:
        if self.key is not None and key != self.key:
            if question.provider == "gemini":
                return 400, write_error("gemini", 400, "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")
            return 401, write_error(question.provider, 401, f"Incorrect API key provided: {key}.", "invalid_api_key")
        given = question.given | question.given.get("generationConfig", {})
        for name, words in self.takes_no.items():
            if name in given:
                return 400, write_error(question.provider, 400, words, "unsupported_parameter")
        return None


def _error(provider: str, status: int, fault: Fault) -> tuple[bytes, dict[str, str]]:
    extra: dict[str, str] = {}
    if fault.retry_after is not None and not fault.in_body:
        extra["Retry-After"] = formatdate(time.time() + fault.retry_after, usegmt=True) if fault.as_date else f"{fault.retry_after:g}"
    return write_error(provider, status, fault.message, fault.code, fault.retry_after if fault.in_body else None), extra


def _faulty(question: Question, answer: Answer, fault: Fault | None) -> Answer:
    """What a model's fault makes of its answer."""
    kind = fault.kind if fault is not None else ""
    changed = {
        "malformed": answer.text[: len(answer.text) // 2] + " ...",
        "wrong_schema": '{"unexpected": true}',
        "fenced": f"```json\n{answer.text}\n```",
        "chatty": f"Certainly! Here is my answer:\n\n{answer.text}\n\nTell me if you need more.",
        "noise": answer.text + " x" * 50_000,
    }
    if kind in changed:
        return Answer(changed[kind], output_tokens=min(question.max_tokens, len(changed[kind]) // 4 + 1))
    if kind == "long":
        return Answer(answer.text[:-1] + ', "more": "' + "la " * question.max_tokens, "length", output_tokens=question.max_tokens)
    return Answer("", kind, output_tokens=0) if kind in ("blocked", "refused", "empty") else answer


def _counted(told: dict[str, Any]) -> tuple[int, int]:
    google, others = told.get("usageMetadata"), told.get("usage", {})
    if google is not None:
        return google["promptTokenCount"], google["candidatesTokenCount"]
    if "prompt_tokens" in others:
        return others["prompt_tokens"], others["completion_tokens"]
    return others["input_tokens"] + others["cache_read_input_tokens"], others["output_tokens"]


def _head(status: int, length: int, extra: Mapping[str, str]) -> bytes:
    headers = {"Content-Type": "application/json", "Content-Length": str(length), **extra}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} x\r\n{lines}\r\n".encode()


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, extra: Mapping[str, str] | None = None) -> None:
    writer.write(_head(status, len(body), extra or {}) + body)
    await writer.drain()


async def _send_slowly(writer: asyncio.StreamWriter, body: bytes, fault: Fault) -> None:
    """Half of the reply at once (cut_body), or all of it byte by byte (drip)."""
    writer.write(_head(200, len(body), {}))
    if fault.kind == "cut_body":
        writer.write(body[: len(body) // 2])
        await writer.drain()
        await asyncio.sleep(0.01)
        return
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(fault.seconds)


def main() -> None:
    """Serves until it is interrupted; prints its port."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--rate", action="append", default=[], metavar="FAULT=SHARE")
    parser.add_argument("--retry-after", type=float, default=None, metavar="SECONDS")
    parser.add_argument("--judge", action="append", default=[], metavar="MODEL=ACCURACY[/BIAS[/DOUBT]]")
    parser.add_argument(
        "--labeller", action="append", default=[], metavar="MODEL[=SHARE]", help="names words, from this difference in share on"
    )
    options = parser.parse_args()
    models: dict[str, Model] = {}
    for judge in options.judge:
        name, _, numbers = judge.partition("=")
        accuracy, bias, doubt, *_ = map(float, [*numbers.split("/"), 0, 0])
        models[name] = with_reasons(fenced_judge(accuracy, bias, doubt=doubt))
    for labeller in options.labeller:
        name, _, least = labeller.partition("=")
        models[name] = with_opinions(word_labeller(float(least or 0.3)))
    rates = {name: float(share) for name, _, share in (rate.partition("=") for rate in options.rate)}
    with ChatServer(models, options.latency, rates=rates, retry_after=options.retry_after, port=options.port) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
