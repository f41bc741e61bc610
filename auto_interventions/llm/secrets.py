"""Keys of providers: from the environment, or from whoever the caller names. Never shown, kept or repeated.

This module does not know Prefect: a flow that wants a Secret block passes the function that reads one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from urllib.parse import quote

from auto_interventions.errors import ChatError

KEY_VARIABLES = {
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "google-generativeai": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
}
ReadBlock = Callable[[str], str]

HIDDEN = "***"
_PARTS = 8  # characters: pieces of a key this long are recognised where a vendor cut it
# What vendors' keys look like, also half masked ("sk-ab*****wxyz"): an echo may be of a key that we never saw.
_LIKE_KEYS = re.compile(r"\b(?:sk-|AIza|AQ\.)[\w*.-]{6,}|\S*\*{3,}\S*|(?<=[?&]key=)[^&\s\"']+|(?<=Bearer )\S+")

_PASSWORD = re.compile(r"(?<=://)[^\s/@\"']*:[^\s/@\"']*(?=@)")


class Key:
    """A secret. Only `reveal` tells it; it cannot be printed, pickled or compared."""

    __slots__ = ("__secret", "where")

    def __init__(self, secret: str, where: str) -> None:
        """`where`: the variable or block that it came from."""
        self.__secret = secret
        self.where = where

    def reveal(self) -> str:
        """The secret, for the vendor's SDK alone."""
        return self.__secret

    def scrub(self, text: str) -> str:
        """`text` without the secret, its first or last characters, and anything else that looks like a key."""
        secret = self.__secret
        pieces = {secret, quote(secret, safe="")}
        if len(secret) >= 2 * _PARTS:
            pieces |= {secret[:_PARTS], secret[-_PARTS:]}
        for piece in sorted(filter(None, pieces), key=len, reverse=True):
            text = re.sub(rf"[^\s\"']*{re.escape(piece)}[^\s\"']*" if len(piece) == _PARTS else re.escape(piece), HIDDEN, text)
        return _LIKE_KEYS.sub(HIDDEN, text)

    def __repr__(self) -> str:
        return f"Key({self.where})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a key cannot be pickled; another process reads it from its own environment")


def without_keys(text: str) -> str:
    """`text` without the keys of this environment, passwords in addresses, and anything else that looks like a key."""
    for name in sorted({name for names in KEY_VARIABLES.values() for name in names}):
        if secret := os.environ.get(name, "").strip():
            text = Key(secret, name).scrub(text)
    return _PASSWORD.sub(HIDDEN, _LIKE_KEYS.sub(HIDDEN, text))


def find_key(provider: str, block: str | None, read_block: ReadBlock | None, optional: bool = False) -> Key:
    """The key of `provider`.

    Args:
        provider: one of `KEY_VARIABLES`.
        block: the Prefect Secret block to take it from instead of the environment.
        read_block: reads a block.
        optional: a service of one's own, which may want none.

    Raises:
        ChatError: there is none.
    """
    variables = KEY_VARIABLES[provider]
    if block is not None:
        if read_block is None:
            raise ChatError(
                f"`key_block` names the Prefect Secret block {block!r}, which nothing here can read; set {variables[0]} instead"
            )
        secret = read_block(block).strip()
        if not secret:
            raise ChatError(f"`key_block`: the Prefect Secret block {block!r} is empty; put the key in it")
        return Key(secret, f"the Secret block {block}")
    for variable in variables:
        if secret := os.environ.get(variable, "").strip():
            return Key(secret, variable)
    if optional:
        return Key("none", "no key")
    raise ChatError(f"{provider}: no key; set {' or '.join(variables)} in the environment, or name a Prefect Secret block in `key_block`")
