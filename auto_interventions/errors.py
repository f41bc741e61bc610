"""Everything that can go wrong in a way that a user can mend.

    AutoInterventionsError
    ├── BadInput            exit 2: the user's file, field or model is wrong; nothing was started
    │   ├── ConfigError         an audit or plant file: unknown key, wrong value
    │   ├── PromptError         a prompt bank: empty, all alike, missing column
    │   ├── SubjectError        a model or adapter that is not there or does not fit, texts that cannot be paired
    │   ├── EncoderError        an encoder that is not there or answers NaN
    │   ├── ClusteringError     more clusters than texts, a backend that is not there
    │   ├── ChatError           a chat model that nobody can ask: bad key, unknown model, no credit, missing package, no price
    │   └── RunDirectoryError   an output folder that holds something else, a run that cannot be read
    └── Interrupted         exit 3: a budget or a service stopped the run; partial results are saved
        ├── BudgetSpent         the next call of a chat model could cost more than what is left
        └── Cancelled           somebody cancelled the run

Every message is one sentence that names the file, the field and the fix.
"""

from __future__ import annotations


class AutoInterventionsError(Exception):
    """Base of all errors that the command line shows as one sentence.

    `exit_code` is what the process ends with.
    """

    exit_code: int = 1


class BadInput(AutoInterventionsError):
    """Something that the user gave cannot be used."""

    exit_code = 2


class ConfigError(BadInput):
    """An audit or plant file that does not say what it should."""


class PromptError(BadInput):
    """A prompt bank that cannot be asked."""


class SubjectError(BadInput):
    """A subject model, adapter or file of recorded texts that cannot answer."""


class EncoderError(BadInput):
    """An encoder that cannot be loaded or does not return finite vectors."""


class ClusteringError(BadInput):
    """Vectors that cannot be partitioned as asked."""


class ChatError(BadInput):
    """A chat model that no further call will reach: bad key, unknown model, no credit, missing package, no known price."""


class RunDirectoryError(BadInput):
    """A run directory that holds something else, or cannot be read or written."""


class Interrupted(AutoInterventionsError):
    """A budget or a service stopped the run; what was done is saved."""

    exit_code = 3


class BudgetSpent(Interrupted):
    """The next call could exceed the budget in dollars; replies so far are in the store."""


class Cancelled(Interrupted):
    """Somebody cancelled the run."""
