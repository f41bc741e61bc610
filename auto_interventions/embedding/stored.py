"""An encoder behind a store: no text is encoded twice, whatever was killed in between."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from auto_interventions.crew import Crew
from auto_interventions.embedding.encoder import Encoder, Progress, SentenceEncoder
from auto_interventions.embedding.spreading import EncoderPlace, spread
from auto_interventions.errors import EncoderError
from auto_interventions.records import FloatMatrix
from auto_interventions.stores.keys import ContentKeys, name_entry
from auto_interventions.stores.store import Store
from auto_interventions.stores.vectors import pack_many, unpack_many

_READ = 2_000  # values read at once
_WRITE = 512  # texts encoded, then written: what a kill can lose
VECTOR_VERSION = 1  # of the bytes of a vector (`stores.vectors`)


class StoredEncoder:
    """An `Encoder` that looks each text up in `store` first, encodes the missing ones and writes them batch by batch.

    `store` None keeps nothing. Counters over all calls: `computed` texts were encoded; `cached` were not, being in the store or
    the same as another text of the call; `damaged` values of the store were no vectors (and were computed again).
    """

    def __init__(self, encoder: Encoder, store: Store | None, name: str = "", crew: Crew | None = None, place: str = "") -> None:
        """Asks neither encoder nor store yet.

        Args:
            name: what people call the encoder, kept beside its vectors.
            crew: workers that encode instead of this process (a `SentenceEncoder`, and a `store`, are needed for it).
            place: of the store, as the workers find it (`stores.shared.place_of`).
        """
        self._crew = crew
        self._place = place
        self._encoder = encoder
        self._store = store
        self._name = name
        self.computed = 0
        self.cached = 0
        self.damaged = 0

    @property
    def dimension(self) -> int:
        """See `Encoder.dimension`."""
        return self._encoder.dimension

    @property
    def fingerprint(self) -> str:
        """See `Encoder.fingerprint`: a store changes no vector."""
        return self._encoder.fingerprint

    @cached_property
    def _keys(self) -> ContentKeys:
        return ContentKeys("vector", VECTOR_VERSION, self._encoder.fingerprint)

    def key(self, text: str) -> str:
        """Under which the vector of `text` is kept: everything that can change it."""
        return self._keys.of(text)

    def encode(self, texts: Sequence[str], progress: Progress | None = None, into: FloatMatrix | None = None) -> FloatMatrix:
        """See `Encoder.encode`. Progress counts the texts that were looked up, too.

        `into`: (n, dimension) float32 that is filled and returned (`scratch.room_for`); None: made in memory.

        Raises:
            EncoderError: a vector that is not finite, naming the text; the vectors before it are kept.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32) if into is None else into
        first: dict[str, int] = {}
        same = [first.setdefault(text, row) for row, text in enumerate(texts)]
        missing = self._look_up(texts, list(first.values()), vectors)
        self.computed += len(missing)
        self.cached += len(texts) - len(missing)
        if progress and len(texts) > len(missing):
            progress(len(texts) - len(missing))
        # Longest first: batches of like length, and a too large one fails at once.
        missing.sort(key=lambda row: (-len(texts[row]), texts[row]))
        if missing and self._store is not None and self._name:
            self._store.put_many(dict([name_entry(self._encoder.fingerprint, self._name)]))
        if missing and self._crew is not None:
            spread(self._crew, self.place, [texts[row] for row in missing], progress or _nobody)
            missing, progress = self._look_up(texts, missing, vectors), None  # what the store has lost meanwhile is made here
        for begin in range(0, len(missing), _WRITE):
            rows = missing[begin : begin + _WRITE]
            self._compute([texts[row] for row in rows], rows, vectors, progress)
        copies = [row for row, origin in enumerate(same) if row != origin]
        for begin in range(0, len(copies), _READ):
            part = copies[begin : begin + _READ]
            vectors[part] = vectors[[same[row] for row in part]]
        return vectors

    @property
    def place(self) -> EncoderPlace:
        """What a worker must know to encode."""
        assert isinstance(self._encoder, SentenceEncoder)
        return EncoderPlace(self._encoder.config, self._encoder.fingerprint, self._place)

    def _look_up(self, texts: Sequence[str], rows: list[int], vectors: FloatMatrix) -> list[int]:
        """Fills `vectors` from the store; returns the rows that are missing."""
        if self._store is None:
            return rows
        missing: list[int] = []
        for begin in range(0, len(rows), _READ):
            part = np.asarray(rows[begin : begin + _READ], dtype=np.int64)
            values = self._store.get_many([self.key(texts[row]) for row in rows[begin : begin + _READ]])
            found, hit = unpack_many(values, self.dimension)
            hit &= np.isfinite(found).all(axis=1)
            vectors[part[hit]] = found[hit]
            missing.extend(part[~hit].tolist())
            self.damaged += sum(value is not None for value in values) - int(hit.sum())
        return missing

    def _compute(self, texts: list[str], rows: list[int], vectors: FloatMatrix, progress: Progress | None) -> None:
        found = self._encoder.encode(texts, progress)
        finite = np.isfinite(found).all(axis=1)
        if self._store is not None:
            kept = np.flatnonzero(finite).tolist()
            self._store.put_many(dict(zip((self.key(texts[row]) for row in kept), pack_many(found[finite]), strict=True)))
        if not finite.all():
            text = texts[int(np.flatnonzero(~finite)[0])]
            shown = text if len(text) <= 80 else text[:80] + "…"
            raise EncoderError(
                f"the encoder gives no finite vector for the text {shown!r}; give another `embedding.model` or `dtype: fp32`"
            )
        vectors[rows] = found


def _nobody(_: int) -> None:
    """Tells nobody."""
