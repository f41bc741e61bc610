"""What says that two sides' weights cannot be compared."""

from __future__ import annotations

from auto_interventions.config import SubjectConfig
from auto_interventions.records import Role


class Incomparable(Exception):
    """The weights of the two sides cannot be compared; the message is the reason, a clause for people. No fault of the audit."""


def weights_of(config: SubjectConfig, role: Role) -> str:
    """The folder or hub id of a side's weights.

    Raises:
        Incomparable: it has none.
    """
    if config.model is None:
        raise Incomparable(f"the {role} is {'behind an API' if config.api else 'recorded texts'}, so there are no weights to read")
    return config.model
