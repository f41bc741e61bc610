"""What all parts of a configuration file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
PLACE = "{prompt}"
"""Where the prompt stands in what is put around it."""


def _has_a_place(wrap: str) -> str:
    if wrap.count(PLACE) != 1:
        raise ValueError(f"must hold {PLACE} exactly once, where the prompt stands")
    return wrap


Wrap = Annotated[str, AfterValidator(_has_a_place)]


def around(wrap: str | None) -> tuple[str, str]:
    """What `wrap` puts before the prompt and after it; nothing where it is None.

    >>> around("Q: {prompt}\\nA:")
    ('Q: ', '\\nA:')
    """
    before, _, after = (wrap or PLACE).partition(PLACE)
    return before, after


class Part(BaseModel):
    """Base of every part of a configuration file: frozen, no unknown keys, documented fields."""

    # hide_input_in_errors: pydantic's own error, which a traceback shows behind ours, must not repeat a password that `store` was given.
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(), hide_input_in_errors=True
    )
