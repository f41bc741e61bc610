"""What can go wrong between us and a Redis: what is worth waiting for, and the sentence for everything else.

No sentence, log line or chained error holds a password: none of redis-py's errors repeats what was sent to `AUTH`.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from typing import NoReturn

from redis import exceptions as redis_errors

from auto_interventions.errors import AutoInterventionsError, BadInput, Interrupted
from auto_interventions.locations import PASSWORD_VARIABLE, USERNAME_VARIABLE, RedisAddress

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_SECONDS_A_NOTICE = 30.0

# Codes of replies that pass by themselves: a script or a save is running, slots are moving, replicas are coming back.
_PASSING = ("BUSY ", "BUSYKEY", "TRYAGAIN", "NOREPLICAS", "UNBLOCKED", "LOADING", "MASTERDOWN", "CLUSTERDOWN")
_PASSING_ERRORS = (
    redis_errors.ConnectionError,  # refused, reset, closed, loading, too many clients
    redis_errors.TimeoutError,
    redis_errors.TryAgainError,
    redis_errors.ClusterError,  # down, or more slots moved than the client follows in one call
    redis_errors.ReadOnlyError,  # after a failover, until the name points to the new primary
    redis_errors.AskError,
    redis_errors.RedisClusterException,
    OSError,
)


class Waiting:
    """One call's patience with a Redis that is away: exponential pauses with jitter, a line in the log, and an end."""

    def __init__(self, location: str, patience: float) -> None:
        """`patience`: seconds from the first failure to giving up."""
        self._location = location
        self._patience = patience
        self._failures = 0
        self._since = 0.0
        self._noticed = -_SECONDS_A_NOTICE

    def pause(self, error: Exception) -> None:
        """Sleeps before the next attempt; the first one comes at once: a connection that idled too long is closed by the server.

        Raises:
            Interrupted: patience is over.
        """
        now = time.monotonic()
        self._failures += 1
        if self._failures == 1:
            self._since = now
            return
        waited = now - self._since
        if waited >= self._patience:
            self._give_up(error)
        if waited - self._noticed >= _SECONDS_A_NOTICE:
            _log.warning("waiting for Redis at %s, %.0f s more at most (%s)", self._location, self._patience - waited, _reason(error))
            self._noticed = waited
        # The jitter keeps many workers from coming back in the same moment; the last attempt is at the very end.
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self._failures - 2))
        time.sleep(min(random.uniform(longest / 2, longest), self._patience - waited))

    def over(self) -> None:
        """The call went through."""
        if self._noticed >= 0:
            _log.warning("Redis at %s answers again after %.0f s", self._location, time.monotonic() - self._since)

    def _give_up(self, error: Exception) -> NoReturn:
        fix = "bring it back"
        if isinstance(error, redis_errors.ReadOnlyError):
            fix = "give `store` the address of the primary"
        raise Interrupted(
            f"{self._location}: waited {self._patience:g} seconds for Redis in vain ({_reason(error)}); "
            f"what was written is kept as long as Redis keeps it: {fix} and start again"
        ) from error


def sentence(error: Exception, address: RedisAddress) -> AutoInterventionsError | None:
    """What to tell of `error`; None where waiting may help."""
    text = str(error)
    refused = _refused(error, text, address)
    if refused is not None:
        return refused
    if isinstance(error, redis_errors.OutOfMemoryError):
        return Interrupted(
            f"{address}: Redis is full (maxmemory) and evicts nothing; raise maxmemory, set `maxmemory-policy allkeys-lru`, or remove "
            "entries (`auto-interventions store prune`), and start again"
        )
    if text.startswith("MISCONF"):
        return Interrupted(
            f"{address}: Redis cannot save to its disk and takes no writes (MISCONF); give its disk space, see its log, and start again"
        )
    if isinstance(error, _PASSING_ERRORS) or text.startswith(_PASSING):
        return None
    return BadInput(f"{address}: Redis refuses ({_reason(error)}); it must be Redis 6 to 8 or Valkey with its commands unchanged")


def _refused(error: Exception, text: str, address: RedisAddress) -> BadInput | None:
    """Errors that stay until somebody mends something."""
    if isinstance(error, redis_errors.NoPermissionError):
        return BadInput(
            f"{address}: the user may not ({_reason(error)}); allow it: ACL SETUSER … "
            f"~{{{address.namespace}:* +mget +mset +set +unlink +scan +getrange +select +info +command +cluster|slots"
        )
    # AuthenticationWrongNumberOfArgsError: a Redis without users was given a user's name.
    wrong_way = isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthenticationWrongNumberOfArgsError)
    if wrong_way or text.startswith(("NOAUTH", "WRONGPASS")):
        if "without any password configured" in text:
            return BadInput(f"{address}: this Redis has no password; unset {PASSWORD_VARIABLE} and start again")
        if "required" in text or text.startswith("NOAUTH"):
            return BadInput(
                f"{address}: Redis wants a password; set {PASSWORD_VARIABLE} (and {USERNAME_VARIABLE}, where it has users) "
                "in the environment of every process, and start again"
            )
        return BadInput(
            f"{address}: Redis does not accept the password in {PASSWORD_VARIABLE} (or the user in {USERNAME_VARIABLE}); correct it and "
            "start again"
        )
    if text.startswith("DENIED"):
        return BadInput(f"{address}: Redis is in protected mode and takes connections of its own machine only; give it a password")
    if "DB index" in text or "SELECT is not allowed" in text:
        return BadInput(f"{address}: this Redis has no database {address.db}; write a smaller number behind the host, 0 for a cluster")
    if isinstance(error, redis_errors.InvalidResponse):
        return BadInput(f"{address}: what answers there is no Redis; give the host and port of one")
    fault = _certificate_fault(error)
    if fault is not None:
        return BadInput(f"{address}: the server's certificate is not trusted ({fault}); give its authority's file as ?ssl_ca_certs=FILE")
    return None


def _certificate_fault(error: BaseException | None) -> str | None:
    """Why a certificate was refused, from wherever in the chain TLS said so."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _reason(error: Exception) -> str:
    """redis-py's own words, short."""
    text = " ".join(str(error).split()) or type(error).__name__
    return (text if len(text) <= 160 else text[:160] + "…").rstrip(".")
