"""Texts as unit vectors: a sentence-transformers encoder, and any encoder behind a store.

`open_encoder` loads nothing yet: the model is loaded when the first text has to be encoded, so that an audit whose vectors are
all in the store never pays for it.
"""

from __future__ import annotations

from auto_interventions.config import EmbeddingConfig
from auto_interventions.embedding.encoder import Encoder, SentenceEncoder, open_encoder
from auto_interventions.embedding.files import files_fingerprint, find_encoder
from auto_interventions.embedding.scratch import joined, room_for
from auto_interventions.embedding.stored import StoredEncoder

__all__ = ["Encoder", "SentenceEncoder", "StoredEncoder", "encoder_content", "joined", "open_encoder", "room_for"]


def encoder_content(config: EmbeddingConfig) -> str:
    """sha256 of the encoder's files. Loads nothing.

    Raises:
        EncoderError: there is no such encoder.
    """
    return files_fingerprint(find_encoder(config.model, config.revision))
