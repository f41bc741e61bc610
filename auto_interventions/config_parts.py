"""What all parts of a configuration file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Part(BaseModel):
    """Base of every part of a configuration file: frozen, no unknown keys, documented fields."""

    # hide_input_in_errors: pydantic's own error, which a traceback shows behind ours, must not repeat a password that `store` was given.
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(), hide_input_in_errors=True
    )
