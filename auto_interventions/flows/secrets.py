"""Keys of language models from Prefect Secret blocks: the core reads none itself."""

from __future__ import annotations

from typing import Any

from auto_interventions.errors import ChatError


def read_secret_block(name: str) -> str:
    """The value of the Prefect Secret block `name`; needs a server.

    Raises:
        ChatError: there is none of that name.
    """
    from prefect.blocks.system import Secret

    try:
        block: Any = Secret.load(name)
    except ValueError as error:
        raise ChatError(
            f"`key_block`: Prefect has no Secret block {name!r}; make it with `prefect block create secret` or in the UI, "
            "or leave the field out and set the key in the environment"
        ) from error
    return str(block.get())
