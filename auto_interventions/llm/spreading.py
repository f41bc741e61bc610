"""Replies of local chat models, made by workers: whatever a vendor's server limits is asked from the audit's own process instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auto_interventions.config import ChatConfig
from auto_interventions.crew import Chunk, Crew, cut, go_on
from auto_interventions.errors import ChatError
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.chat import ChatModel, ChatRequest, Failure, Outcome, size_of
from auto_interventions.residents import HERE
from auto_interventions.stores.shared import store_here

_BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class ChatPlace:
    """What a worker must know to ask a local model. `store`: from `place_of`."""

    spec: str
    settings: ChatConfig
    fingerprint: str
    store: str

    def opened(self) -> ChatModel:
        """The model, in this process's memory.

        Raises:
            ChatError: the files on this machine are not the model that the audit means.
        """
        from auto_interventions.llm.local import LocalChat

        def load() -> LocalChat:
            model = self._checked()
            model.load()
            return model

        return HERE.get(("chat", self.fingerprint, self.settings.concurrency), lambda: self._checked().parts(), load)

    def check(self) -> None:
        """Compares this machine's files with what the audit means.

        Raises:
            ChatError: they are missing or differ.
        """
        self._checked()

    def _checked(self):
        from auto_interventions.llm.local import LocalChat

        model = LocalChat(self.spec.removeprefix("local:"), self.settings, load=False)
        if model.fingerprint != self.fingerprint:
            raise ChatError(
                f"{self.spec}: holds other files than where the audit was started; copy them again, or put them in a folder that all "
                "machines share"
            )
        return model


@dataclass(frozen=True, slots=True)
class Asked:
    """What a worker tells of a chunk: the replies are in the store."""

    failures: dict[int, Failure]
    """By the request's place in the chunk."""
    repairs: int


def make_replies(place: ChatPlace, template: str, requests: Sequence[ChatRequest]) -> Asked:
    """In a worker: writes the replies to `requests` into the store. What is there is left."""
    asker = Asker(place.opened(), store_here(place.store), place.settings)
    failures: dict[int, Failure] = {}
    # As many at once as the model takes in a batch: what is generated together does not depend on when requests arrive.
    for begin in range(0, len(requests), place.settings.concurrency):
        go_on()
        outcomes = asker.ask_many(requests[begin : begin + place.settings.concurrency], template)
        failures |= {begin + number: outcome for number, outcome in enumerate(outcomes) if isinstance(outcome, Failure)}
    return Asked(failures, asker.counts.repairs)


def spread(crew: Crew, place: ChatPlace, template: str, requests: Sequence[ChatRequest]) -> tuple[dict[int, Failure], int]:
    """Lets workers ask; returns the failures by place, and how many replies had to be repaired.

    Raises:
        AutoInterventionsError: see `Crew.run`.
    """
    size = place.settings.concurrency
    pieces = [list(range(begin, min(begin + size, len(requests)))) for begin in range(0, len(requests), size)]
    weights = [
        sum(size_of(requests[number].messages) / _BYTES_A_TOKEN + requests[number].max_tokens for number in piece) for piece in pieces
    ]
    parts = cut(weights, crew.workers)
    own = [[number for piece in part for number in pieces[piece]] for part in parts]
    chunks = [
        Chunk(
            make_replies, (place, template, [requests[number] for number in numbers]), sum(weights[piece] for piece in part), len(numbers)
        )
        for part, numbers in zip(parts, own, strict=True)
    ]
    told: list[Asked] = crew.run(chunks)
    failures = {numbers[at]: failure for numbers, asked in zip(own, told, strict=True) for at, failure in asked.failures.items()}
    return failures, sum(asked.repairs for asked in told)


def count_as_asked(asker: Asker, outcome: Outcome) -> None:
    """Enters what a worker's asking took into the counts of the audit's asker."""
    asker.counts.attempt(outcome.usage, 0.0, 0.0)
    asker.counts.attempts += outcome.attempts - 1
    asker.counts.ended(outcome)
