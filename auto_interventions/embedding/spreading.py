"""Vectors made by workers: a text's vector depends on the text alone (see `encoder`), so texts may be cut anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auto_interventions.config import EmbeddingConfig
from auto_interventions.crew import Chunk, Crew, cut, go_on
from auto_interventions.embedding.encoder import SentenceEncoder, open_encoder
from auto_interventions.errors import EncoderError
from auto_interventions.residents import HERE
from auto_interventions.stores.shared import store_here

_PIECE = 64  # texts that are never parted: a few batches of one shape
_WRITE = 512  # texts encoded, then written: what a kill can lose


@dataclass(frozen=True, slots=True)
class EncoderPlace:
    """What a worker must know to encode. `config`: with the number format that was chosen; `store`: from `place_of`."""

    config: EmbeddingConfig
    fingerprint: str
    store: str

    def opened(self) -> SentenceEncoder:
        """The encoder, with its model in this process's memory.

        Raises:
            EncoderError: the files on this machine are not the encoder that the audit means.
        """

        def load() -> SentenceEncoder:
            encoder = self._checked()
            encoder.load()
            return encoder

        return HERE.get(("encoder", self.fingerprint), lambda: self._checked().parts(), load)

    def check(self) -> None:
        """Compares this machine's files with what the audit means.

        Raises:
            EncoderError: they are missing or differ.
        """
        self._checked()

    def _checked(self) -> SentenceEncoder:
        encoder = open_encoder(self.config)
        if encoder.fingerprint != self.fingerprint:
            raise EncoderError(
                f"embedding.model: {self.config.model} holds other files than where the audit was started; copy them again, or put them in "
                "a folder that all machines share"
            )
        return encoder


def make_vectors(place: EncoderPlace, texts: Sequence[str]) -> int:
    """In a worker: writes the vectors of `texts` into the store; how many it had to make. What is there is left."""
    from auto_interventions.embedding.stored import StoredEncoder

    stored = StoredEncoder(place.opened(), store_here(place.store))
    for begin in range(0, len(texts), _WRITE):
        go_on()
        stored.encode(texts[begin : begin + _WRITE])
    return stored.computed


def spread(crew: Crew, place: EncoderPlace, texts: Sequence[str], told: Callable[[int], None]) -> None:
    """Lets workers encode `texts`, the longest first; `told` gets the number of texts newly finished.

    Raises:
        AutoInterventionsError: see `Crew.run`.
    """
    pieces = [texts[begin : begin + _PIECE] for begin in range(0, len(texts), _PIECE)]
    weights = [float(sum(len(text) + 16 for text in piece)) for piece in pieces]
    chunks: list[Chunk] = []
    for places in cut(weights, crew.workers):
        own = [text for number in places for text in pieces[number]]
        chunks.append(Chunk(make_vectors, (place, own), sum(weights[number] for number in places), len(own)))
    crew.run(chunks, told)
