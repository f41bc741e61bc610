"""Texts as unit vectors: a sentence-transformers encoder, and any encoder behind a store.

`open_encoder` loads nothing yet: the model is loaded when the first text has to be encoded, so that an audit whose vectors are
all in the store never pays for it.
"""

from __future__ import annotations

from auto_interventions.embedding.encoder import Encoder, SentenceEncoder, open_encoder
from auto_interventions.embedding.stored import StoredEncoder

__all__ = ["Encoder", "SentenceEncoder", "StoredEncoder", "open_encoder"]
