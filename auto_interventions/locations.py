"""Where a store may be: what `store` in an audit file and the `store` commands may say, told apart and checked before anything starts.

A location is copied into run.json and into reports, so it never holds a password: that comes from the environment (REDIS_PASSWORD).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

EMBEDDED = "embedded"
USERNAME_VARIABLE = "REDIS_USERNAME"
PASSWORD_VARIABLE = "REDIS_PASSWORD"
DEFAULT_NAMESPACE = "auto-interventions"
DEFAULT_PORT = 6379

_SCHEMES = ("redis", "rediss", "unix")
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_PARAMETERS = ("namespace", "ttl", "db", *_TLS_FILES)
_SECRETS = ("password", "ssl_password", "auth", "token")
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")  # none of `{}:*?[]^\`: part of keys and of patterns
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_USE = "use `embedded`, the path of a folder, redis://host:6379/0, rediss://host:6379/0 or unix:///path/redis.sock"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis server or cluster, and which part of it is ours. Holds no password."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    socket: str | None = None
    """Path of a Unix socket instead of host and port."""
    db: int = 0
    username: str | None = None
    tls: bool = False
    ssl_ca_certs: str | None = None
    """File of the certificates that may have signed the server's; None takes the system's."""
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    namespace: str = DEFAULT_NAMESPACE
    """Stores of different namespaces on one server do not see each other."""
    ttl: int | None = None
    """Seconds after which an entry goes by itself, counted from when it was written here."""

    def __str__(self) -> str:
        user = f"{quote(self.username, safe='')}@" if self.username else ""
        if self.socket is not None:
            start = f"unix://{user}{quote(self.socket)}?db={self.db}"
        else:
            host = f"[{self.host}]" if ":" in self.host else self.host
            start = f"redis{'s' if self.tls else ''}://{user}{host}:{self.port}/{self.db}"
        given = {"namespace": self.namespace} if self.namespace != DEFAULT_NAMESPACE else {}
        given |= {"ttl": f"{self.ttl}s"} if self.ttl is not None else {}
        if not given:
            return start
        return f"{start}{'&' if '?' in start else '?'}{urlencode(given)}"


def check_location(location: str) -> None:
    """Whether a store may be at `location`; asks neither disk nor network.

    Raises:
        ValueError: the rest of a sentence that starts with "`store`"; it never repeats a password.
    """
    if not location.strip():
        raise ValueError(f"is empty; {_USE}")
    redis_address(location)


def redis_address(location: str) -> RedisAddress | None:
    """The Redis that `location` names; None where it names a folder.

    Raises:
        ValueError: as `check_location`.
    """
    if "://" not in location:
        return None
    scheme, rest = location.split("://", 1)
    scheme = scheme.lower()
    # Before anything is taken apart or repeated: a password with odd characters would end up in another field, and in its error.
    if ":" in rest.rpartition("@")[0]:
        raise ValueError(
            f"holds a password, and what it says is copied into run.json and reports; set {PASSWORD_VARIABLE} (and {USERNAME_VARIABLE}, "
            "where Redis has users) in the environment instead, and write redis://host:port/db"
        )
    if scheme not in _SCHEMES:
        raise ValueError(f"knows no {scheme}://; {_USE}")
    try:
        parts = urlsplit(location)
        port = parts.port
    except ValueError:
        raise ValueError(f"has no port that can be; write {scheme}://host:{DEFAULT_PORT}/0") from None
    given = _parameters(parts.query, tls=scheme == "rediss")
    ours = RedisAddress(
        username=unquote(parts.username) if parts.username else None,
        namespace=given.get("namespace", DEFAULT_NAMESPACE),
        ttl=seconds_of(given["ttl"]) if "ttl" in given else None,
        tls=scheme == "rediss",
        ssl_ca_certs=given.get("ssl_ca_certs"),
        ssl_certfile=given.get("ssl_certfile"),
        ssl_keyfile=given.get("ssl_keyfile"),
    )
    if scheme == "unix":
        if not parts.path.startswith("/") or parts.hostname:
            raise ValueError("has unix:// but no absolute path of a socket; write unix:///path/redis.sock?db=0")
        return replace(ours, socket=unquote(parts.path), db=_database(given.get("db", "0")))
    if not parts.hostname:
        raise ValueError(f"names no host; write {scheme}://host:{DEFAULT_PORT}/0")
    db = _database(given.get("db") or parts.path.strip("/") or "0")
    return replace(ours, host=parts.hostname, port=DEFAULT_PORT if port is None else port, db=db)


def absolute_location(location: str, folder: Path) -> str:
    """`location` with the paths in it made absolute; relative ones are relative to `folder`."""
    if not location.strip() or location == EMBEDDED:
        return location
    if "://" not in location:
        return str((folder / Path(location).expanduser()).resolve())
    try:
        parts = urlsplit(location)
    except ValueError:
        return location  # `check_location` says what is wrong
    given = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name in _TLS_FILES for name, _ in given):
        return location
    query = [(name, str(folder / Path(value).expanduser()) if name in _TLS_FILES and value else value) for name, value in given]
    return urlunsplit(parts._replace(query=urlencode(query, safe="/")))


def seconds_of(duration: str) -> int:
    """A duration in seconds: `90s`, `45m`, `12h`, `30d`, `8w`; a bare number is seconds.

    Raises:
        ValueError: the rest of a sentence.
    """
    found = re.fullmatch(r"(\d+)([smhdw]?)", duration.strip().lower())
    if found is None or int(found[1]) == 0:
        raise ValueError(f"has a duration {duration!r} that cannot be; write for example 12h, 30d or 8w")
    return int(found[1]) * _SECONDS[found[2] or "s"]


def _parameters(query: str, tls: bool) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name.lower() in _SECRETS:
            raise ValueError(f"holds a secret (`{name}`), and is copied into reports; set {PASSWORD_VARIABLE} in the environment instead")
        if name not in _PARAMETERS:
            near = difflib.get_close_matches(name, _PARAMETERS, n=1, cutoff=0.0)[0]
            raise ValueError(f"has an unknown parameter `{name}`; did you mean `{near}`?")
        if name in given:
            raise ValueError(f"gives `{name}` twice; keep one")
        if name in _TLS_FILES and not tls:
            raise ValueError(f"gives `{name}`, which needs TLS; write rediss:// or remove it")
        if not value:
            raise ValueError(f"gives `{name}` without a value; give one or remove it")
        given[name] = value
    namespace = given.get("namespace", DEFAULT_NAMESPACE)
    if not _NAMESPACE.fullmatch(namespace):
        raise ValueError(f"has the namespace {namespace!r}; use at most 64 letters, digits, dots, dashes and underscores")
    return given


def _database(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("has no number of a database behind the host; write redis://host:6379/0")
    return int(text)
