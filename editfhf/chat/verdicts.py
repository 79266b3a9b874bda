"""What an HTTP answer of a model server means for the request: kept apart from how it came, live or in a batch."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from enum import Enum
from typing import Any

PASSING = frozenset({408, 409, 429})
"""Besides 500 and above: the statuses after which the `openai` package tries again."""
UNSURE = frozenset({408, 409, 502, 504, *range(520, 528)})
"""Answers of gateways, and of servers that work at the same request already: the model may answer it all the same."""
HOPELESS_CODES = frozenset({"unsupported_parameter", "unsupported_value", "model_not_found", "invalid_api_key"})
"""Codes of an answer 400 that every other request would get too."""
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})

_CODE = re.compile(r"^[A-Za-z0-9_.\[\]-]{1,60}$")


class Fate(Enum):
    """ok: a completion.  again: worth another try.  filtered: no answer is to be had.  failed: this request cannot be
    answered.  stop: none can."""

    ok = "ok"
    again = "again"
    filtered = "filtered"
    failed = "failed"
    stop = "stop"


@dataclass(frozen=True, slots=True)
class Verdict:
    """sentence: what happened, without the server's text
    pause: seconds that the server asks to wait, if it does
    unsure: whether the model may have answered although this came
    """

    fate: Fate
    sentence: str = ""
    pause: float | None = None
    unsure: bool = False


def judge(status: int, headers: Mapping[str, str], content: bytes | dict[str, Any], url: str, model: str) -> Verdict:
    """What to do after an answer; header names are in small letters."""
    if 200 <= status < 300:
        return Verdict(Fate.ok)
    code = _code(content)
    said = f"{status} ({code})" if code else str(status)
    if code in NO_CREDIT:
        return Verdict(Fate.stop, f"The account at {url} has no credit left: {said}. Top it up and run it again.")
    if 300 <= status < 400:
        return Verdict(Fate.stop, f"{url} sends requests on to elsewhere: expected the model server's own address.")
    if status == 401 or code == "invalid_api_key":
        return Verdict(Fate.stop, f"{url} does not accept the key: {said}. Check it and the address.")
    if status == 403:
        return Verdict(Fate.stop, f"{url} does not let this key use the model {model!r}: {said}. Use another.")
    if status == 404 or code in HOPELESS_CODES:
        return Verdict(Fate.stop, _unknown(said, code, url, model))
    if code in FILTER_CODES:
        return Verdict(Fate.filtered, f"A content filter stopped the request: {said}.")
    asked = headers.get("x-should-retry", "").lower()
    if asked == "true" or (asked != "false" and (status in PASSING or status >= 500)):
        return Verdict(Fate.again, f"The server answered {said}.", retry_after(headers), status in UNSURE)
    return Verdict(Fate.failed, f"The server does not take the request: {said}.")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait (RFC 9110, section 10.2.3, and OpenAI's own header in milliseconds); None when not said."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        return max(0.0, seconds) if not math.isnan(seconds) else None
    date = parsedate_tz(headers.get("retry-after", ""))
    if date is None:
        return None
    try:
        return max(0.0, mktime_tz(date) - (time.time() if now is None else now))
    except (ValueError, OverflowError):
        return None


def _unknown(said: str, code: str, url: str, model: str) -> str:
    if code.startswith("unsupported"):
        return f"The model {model[:80]!r} at {url} does not take a parameter of the requests: {said}. Change it."
    return f"{url} has no model {model[:80]!r}, or is not the address of a model server: {said}. Check both."


def _code(content: bytes | dict[str, Any]) -> str:
    """The machine-readable code of an error, with the parameter it is about; nothing that could be free text."""
    try:
        body = json.loads(content) if isinstance(content, bytes) else content
    except (ValueError, RecursionError):
        return ""
    error = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    found = (error.get(name) for name in ("code", "type"))
    return next((value for value in found if isinstance(value, str) and _CODE.match(value)), "")
