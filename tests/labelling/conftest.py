"""The server and the keys of the chat models' tests."""

from tests.llm.conftest import _keys, serve  # noqa: F401  # pyright: ignore[reportPrivateUsage]
