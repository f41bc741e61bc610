"""What an error of a provider means: ask again later, count a failure, or stop.

Ask again: 408, 409, 425, 429, 5xx, broken connections. Stop (`ChatError`): a key or account that is refused, an unknown model, no
credit. Everything else concerns this one request. Vendors spread the same meaning over different statuses, so words count too.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import cast

from auto_interventions.errors import ChatError
from auto_interventions.llm.chat import Failure

_BUSY = {408, 409, 425, 429}
_BAD_KEY = re.compile(
    r"api[ _-]?key not valid|api[ _-]?key (?:expired|invalid)|api_key_invalid|invalid[ _-]api[ _-]key|incorrect api key", re.I
)
_NO_CREDIT = re.compile(r"insufficient_quota|insufficient[ _](?:credits?|balance|funds)|credit balance is too low|billing_hard_limit", re.I)
_NO_MODEL = re.compile(r"model_not_found|model .{0,80}(?:does not exist|not found)", re.I)
_BLOCKED = re.compile(r"content_filter|content[ _]policy|moderation|was flagged|responsibleai", re.I)
_DELAY = re.compile(r"\"?retryDelay\"?'?\s*:\s*['\"](\d+(?:\.\d+)?)s['\"]")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """An error reply: `status` of HTTP, what it says to people, and all that it says, with the vendor's own codes."""

    status: int
    message: str
    details: str = ""
    retry_after: float | None = None


def failure_of(fault: Fault, name: str, key: str) -> Failure:
    """What `fault` means for one request to the model `name`, whose key came from `key`.

    Raises:
        ChatError: no further call can succeed.
    """
    status, message, all_of_it = fault.status, short(fault.message), f"{fault.message} {fault.details}"
    if status in (401, 403) and _BLOCKED.search(all_of_it):
        return Failure("blocked", message)
    if _NO_CREDIT.search(all_of_it) or status == 402:
        raise ChatError(f"{name}: the account has no credit ({message}); top it up, or name another model")
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(all_of_it)):
        raise ChatError(f"{name}: the provider refuses the key in {key} ({message}); set one that may use this model")
    if status == 404 or (status == 400 and _NO_MODEL.search(all_of_it)):
        raise ChatError(f"{name}: the provider knows no such model ({message}); name one that it serves, and check `base_url`")
    if status in _BUSY or status >= 500:
        return Failure("unavailable", f"{status}: {message}", retry_after=fault.retry_after)
    return Failure("blocked" if _BLOCKED.search(all_of_it) else "rejected", f"{status}: {message}")


def message_in(body: object) -> str | None:
    """The vendor's sentence in an error's body: `{"message": …}` or `{"error": {"message": …}}`."""
    if not isinstance(body, dict):
        return None
    told = cast(dict[str, object], body)
    message = told.get("message")
    return message if isinstance(message, str) else message_in(told.get("error"))


def short(message: str) -> str:
    """One line of at most 300 characters."""
    return " ".join(message.split())[:_LONGEST]


def retry_after(headers: Mapping[str, str], body: str = "") -> float | None:
    """Seconds to wait: `retry-after-ms`, `Retry-After` (seconds or an HTTP date), or Google's RetryInfo in the error's body."""
    text = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(text.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds * unit)
    if "retry-after" in text:
        try:
            return max(0.0, parsedate_to_datetime(text["retry-after"]).timestamp() - time.time())
        except ValueError:
            pass
    found = _DELAY.search(body)
    return float(found[1]) if found else None
