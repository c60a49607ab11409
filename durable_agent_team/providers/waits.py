"""How long a provider asks to wait, in seconds: one answer for all the ways to say it. Pure.

In this order; what is not understood is ignored:

1. `retry-after-ms`, `x-ms-retry-after-ms`, then `Retry-After` as seconds, a duration (`30s`,
   `30 seconds`, `00:00:30`), an HTTP date (RFC 9110) or a moment in seconds since 1970; the same in
   the error's body (`retry_after`)
2. Google's RetryInfo, `{"@type": ".../google.rpc.RetryInfo", "retryDelay": "34s"}`
3. when a rate limit resets: `x-ratelimit-reset-requests: 6m0s` (OpenAI, Groq, Azure, Cerebras),
   `x-ratelimit-reset: 1741305600000` (OpenRouter), `anthropic-ratelimit-tokens-reset` in RFC 3339,
   `ratelimit-reset`, and `RateLimit: "default";r=0;t=30` (the IETF's draft; in its older form,
   `limit=10, remaining=0, reset=30`)

4. in a 429 or 503, the message: "Please try again in 7m12s", "Please retry after 33 seconds"

A reset counts where its limit has nothing left, as `...-remaining` says. A 429 may also be due to a
limit that has too little left: then any reset counts.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final

from durable_agent_team.providers.error_body import ErrorBody

LONGEST: Final = 86_400.0
"""A longer pause becomes this: a request a day does no harm, and a person may have helped since."""
MAX_TEXT = 100
MAX_HEADERS = 200

NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE]\+?[0-9]{1,3})?", re.ASCII)
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|μs|ms|d|h|m|s))+")
PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|μs|ms|d|h|m|s)")
WORDY = re.compile(
    r"(?<=[0-9])(milli(?:second)?s?|sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|days?)(?![a-z])"
)
"""Units as words."""
CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]+)?)", re.ASCII)
UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3_600.0,
    "d": 86_400.0,
}
SAID = re.compile(
    r"\b(?:try again|retry) (?:in|after) "
    r"((?:[0-9]{1,9}(?:\.[0-9]{1,12})? ?"
    r"(?:m(?:illi)?s(?:econds?)?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)"
    r"(?![a-z]) ?)+)",
    re.IGNORECASE,
)
LOOKED_AT: Final = 2_000
EPOCH_SECONDS = 1e9
"""A number from here on is a moment: seconds since 1970, or milliseconds from 1e12 on."""
EPOCH_MILLISECONDS = 1e12

IETF = re.compile(
    r"\b(?:r|remaining)=([0-9]{1,15})\b[^,]*?(?:, *)?\b(?:t|reset)=([0-9]{1,10})\b", re.ASCII
)


def wait_seconds(
    status: int, headers: Mapping[str, Any], body: ErrorBody, now: datetime
) -> float | None:
    """How long the response asks to wait: above 0, at most LONGEST; None where it does not say.

    A moment counts from its `Date`: `now` is by another clock, which may be an hour off.
    """
    own = _lower(headers)
    now = _parsed(own.get("date", "")) or now
    for each in (own, _lower(body.headers)):
        if (told := _told(each, now)) is not None:
            return min(told, LONGEST)
    if (delay := _retry_info(body)) is not None:
        return min(delay, LONGEST)
    for each in (own, _lower(body.headers)):
        if (reset := _reset(status, each, now)) is not None:
            return min(reset, LONGEST)
    said = SAID.search((body.message or "")[:LOOKED_AT]) if status in (429, 503) else None
    delay = _positive(_duration(said[1])) if said else None
    return None if delay is None else min(delay, LONGEST)


def retry_after_seconds(text: str, now: datetime) -> float | None:
    """`Retry-After` alone: seconds, with fractions too, or a moment."""
    parts = text.split(",")
    if len(parts) > 1 and all(_number(each) is not None for each in parts):  # sent twice
        return _positive(max(_moment(each, now) or 0.0 for each in parts))
    return _positive(_moment(text, now))


def _told(headers: Mapping[str, str], now: datetime) -> float | None:
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name, ""))
        if found := _positive(None if milliseconds is None else milliseconds / 1000):
            return found
    return retry_after_seconds(headers.get("retry-after", ""), now)


def _retry_info(body: ErrorBody) -> float | None:
    for detail in body.details:
        kind = detail.get("@type")
        delay = detail.get("retryDelay", detail.get("retry_delay"))
        if isinstance(kind, str) and kind.endswith("google.rpc.RetryInfo"):
            if isinstance(delay, str):
                return _positive(_duration(delay))
            if isinstance(delay, Mapping):  # a duration as an object
                whole, nanos = delay.get("seconds", 0), delay.get("nanos", 0)
                seconds = _number(str(whole)) or 0.0
                return _positive(seconds + (_number(str(nanos)) or 0.0) / 1e9)
    return None


def _reset(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """When the limit that was reached resets: the last one that has nothing left. In a 429 without
    one, the first one to reset: it has something left, but too little."""
    used_up: list[float] = []
    others: list[float] = []
    for seconds, remaining in _resets(headers, now):
        if remaining == 0 or (remaining is None and status == 429):
            used_up.append(seconds)
        elif status == 429:
            others.append(seconds)
    if used_up:
        return max(used_up)
    return min(others, default=None)


def _resets(headers: Mapping[str, str], now: datetime) -> Iterator[tuple[float, float | None]]:
    """Seconds until each limit resets, and what is left of it where a header says so."""
    for name, text in headers.items():
        if "ratelimit" not in name.replace("-", ""):
            continue
        if name == "ratelimit":
            for found in IETF.finditer(text):
                yield float(found[2]), float(found[1])
        elif "reset" in name:
            seconds = _positive(_moment(text, now))
            if seconds is not None:
                yield seconds, _number(headers.get(name.replace("reset", "remaining"), ""))


def _moment(text: str, now: datetime) -> float | None:
    """Seconds from now: a duration, a number of seconds, or a moment in one of its spellings."""
    number = _number(text)
    if number is not None:
        if number < EPOCH_SECONDS:
            return number
        since = number / 1000 if number >= EPOCH_MILLISECONDS else number
        return since - now.timestamp()
    return _duration(text) or _date(text, now)


def _duration(text: str) -> float | None:
    """Such as `6m0s`, `20ms`, `1m 30s`, `30 seconds`, `00:01:30` or `PT1.5S` (ISO 8601)."""
    text = text.strip().strip('"').replace(" ", "")
    if clock := CLOCK.fullmatch(text):
        return float(clock[1]) * 3_600 + float(clock[2]) * 60 + float(clock[3])
    if text[:2].upper() == "PT":
        text = text[2:].lower()
    text = WORDY.sub(lambda unit: "ms" if unit[1].startswith("milli") else unit[1][0], text.lower())
    if not DURATION.fullmatch(text):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))


def _number(text: str) -> float | None:
    text = text.strip().strip('"')
    return float(text) if NUMBER.fullmatch(text) else None


def _date(text: str, now: datetime) -> float | None:
    moment = _parsed(text)
    return None if moment is None else (moment - now).total_seconds()


def _parsed(text: str) -> datetime | None:
    """A date of RFC 9110 or RFC 3339."""
    text = text.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        return None


def _positive(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 < seconds < math.inf else None


def _lower(headers: Mapping[str, Any]) -> dict[str, str]:
    """Names in lower case; numbers as texts, since a router passes headers on as JSON."""
    found: dict[str, str] = {}
    for name, value in list(headers.items())[:MAX_HEADERS]:
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and len(value) <= MAX_TEXT:
            found[str(name).lower()] = value
    return found
