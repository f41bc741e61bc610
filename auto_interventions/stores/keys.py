"""Content keys: what a value is kept under.

`KIND/vN/MODEL/DIGEST`: the kind of value and the version of its format; the first 12 digits of the fingerprint of the model that made it
(so that a store can be counted and pruned by model); sha256 of everything that can change the value. Names of models are no part of a
key: the same weights in another folder find what they made before. What people call a model is an entry of its own (`name_entry`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from auto_interventions.fingerprint import canonical_json, fingerprint

MODEL_DIGITS = 12
NAME = "name"
_KEY = re.compile(r"([a-z]+)/v(\d+)/([0-9a-f]{12})/([0-9a-f]{64})")


class ContentKeys:
    """Keys of one kind of value that share a model and a context (settings, seeds): everything but the text.

    >>> keys = ContentKeys("vector", 1, fingerprint("an encoder"), {"max_tokens": 256})
    >>> keys.of("a text")[:23], len(keys.of("a text")), keys.of("a text") == keys.of("another")
    ('vector/v1/2c2eed6c0303/', 87, False)
    """

    def __init__(self, kind: str, version: int, model: str, *context: object) -> None:
        """`model`: fingerprint of the model; `context`: JSON-native values."""
        self._prefix = f"{kind}/v{version}/{model[:MODEL_DIGITS]}/"
        self._context = hashlib.sha256(canonical_json([kind, version, model, list(context)]).encode("utf-8", "surrogatepass"))

    def of(self, text: str) -> str:
        """The key of what belongs to `text`."""
        digest = self._context.copy()
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))  # JSON holds no NUL: context and text cannot run together
        return self._prefix + digest.hexdigest()

    def of_parts(self, *parts: object) -> str:
        """The key of what belongs to several JSON-native values."""
        return self.of(canonical_json(list(parts)))


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What a key says of its value."""

    kind: str
    version: int
    model: str
    digest: str


def parts_of(key: str) -> KeyParts | None:
    """The parts of one of our keys; None for any other string."""
    found = _KEY.fullmatch(key)
    return KeyParts(found[1], int(found[2]), found[3], found[4]) if found else None


def name_entry(model: str, name: str) -> tuple[str, bytes]:
    """Key and value that tell what people call the model with fingerprint `model`; the same model may have several names."""
    return f"{NAME}/v1/{model[:MODEL_DIGITS]}/{fingerprint('name', name)}", name.encode("utf-8", "replace")
