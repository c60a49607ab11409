"""How long a provider asks to wait, in each way to say it."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.providers.error_body import ErrorBody, error_of
from durable_agent_team.providers.waits import LONGEST, wait_seconds

NOW = datetime(2025, 3, 7, 12, 0, 0, tzinfo=UTC)
IN_A_MINUTE = NOW + timedelta(minutes=1)
EPOCH = NOW.timestamp()
RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def google(delay: Any) -> Any:
    return [{"error": {"code": 429, "details": [{"@type": RETRY_INFO, "retryDelay": delay}]}}]


def quoted(headers: dict[str, Any]) -> Any:
    return {"error": {"code": 429, "message": "x", "metadata": {"headers": headers}}}


def in_a_message(inner: Any) -> Any:
    """As Google's command line client passes it on."""
    return {"error": {"message": json.dumps(inner), "code": 429, "status": "Too Many Requests"}}


def said(message: str) -> Any:
    return {"error": {"message": message, "code": "rate_limit_exceeded"}}


ZERO = {"x-ratelimit-remaining-requests": "0"}

TABLE: list[tuple[dict[str, str], Any, float | None]] = [
    ({}, in_a_message(google("34s")), 34),
    ({}, in_a_message(google("34s")[0]), 34),
    ({}, in_a_message(quoted({"retry-after": "7"})), 7),
    ({"Retry-After": "60"}, None, 60),
    ({"retry-after": "1.5"}, None, 1.5),
    ({"RETRY-AFTER": format_datetime(IN_A_MINUTE, usegmt=True)}, None, 60),
    ({"retry-after": "Fri, 07 Mar 2025 12:01:00 GMT"}, None, 60),
    ({"retry-after": "Friday, 07-Mar-25 12:01:00 GMT"}, None, 60),
    ({"retry-after": format_datetime(NOW - timedelta(hours=1), usegmt=True)}, None, None),
    # A clock that is two hours off, theirs or ours, does not count.
    (
        {"date": "Fri, 07 Mar 2025 10:00:00 GMT", "retry-after": "Fri, 07 Mar 2025 10:00:05 GMT"},
        None,
        5,
    ),
    (
        {
            "date": "Fri, 07 Mar 2025 14:00:00 GMT",
            "x-ratelimit-reset": f"{EPOCH + 7_260:.0f}",
            **ZERO,
        },
        None,
        60,
    ),
    ({"Date": "7 o'clock", "retry-after": "Fri, 07 Mar 2025 12:01:00 GMT"}, None, 60),
    ({"date": "0001-01-01T00:00:00+23:00", "retry-after": "30"}, None, 30),
    ({"retry-after-ms": "1500", "retry-after": "2"}, None, 1.5),
    ({"x-ms-retry-after-ms": "61000"}, None, 61),
    ({"retry-after-ms": "nonsense", "retry-after": "2"}, None, 2),
    ({"retry-after": "60, 60"}, None, 60),
    ({"retry-after": "30s"}, None, 30),
    ({"retry-after": "1m 30s"}, None, 90),
    ({"retry-after": "30 seconds"}, None, 30),
    ({"retry-after": "1 minute"}, None, 60),
    ({"retry-after": "2 Minutes 5 secs"}, None, 125),
    ({"retry-after": "500 milliseconds"}, None, 0.5),
    ({"retry-after": "1 hour"}, None, 3600),
    ({"retry-after": "00:01:30"}, None, 90),
    ({"retry-after": '"30"'}, None, 30),
    ({"retry-after": "5 moons"}, None, None),
    ({"retry-after": "PT1M"}, None, 60),
    ({"retry-after": "2025-03-07T12:01:00Z"}, None, 60),
    ({"retry-after": "Fri, 07 Mar 2025 13:01:00 +0100"}, None, 60),
    ({"retry-after": f"{EPOCH + 60:.0f}"}, None, 60),
    ({"retry-after": f"{(EPOCH + 60) * 1000:.0f}"}, None, 60),
    ({"retry-after": f"{EPOCH - 60:.0f}"}, None, None),
    ({"retry-after": "0"}, None, None),
    ({"retry-after": "-5"}, None, None),
    ({"retry-after": "soon"}, None, None),
    ({"retry-after": "nan"}, None, None),
    ({"retry-after": "1e999"}, None, None),
    ({"retry-after": "99999999"}, None, LONGEST),
    ({"retry-after": "9" * 500}, None, None),
    ({"x-ratelimit-reset-requests": "1s"}, None, 1),
    ({"x-ratelimit-reset-requests": "20ms"}, None, 0.02),
    ({"x-ratelimit-reset-tokens": "6m0s"}, None, 360),
    ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, None, 3723.5),
    ({"x-ratelimit-reset-tokens": "2m59.56s"}, None, 179.56),
    ({"x-ratelimit-reset-tokens-minute": "11.38"}, None, 11.38),
    ({"x-ratelimit-reset": f"{EPOCH + 60:.0f}"}, None, 60),
    ({"x-ratelimit-reset": f"{(EPOCH + 60) * 1000:.0f}"}, None, 60),
    ({"x-ratelimit-reset": f"{(EPOCH - 60) * 1000:.0f}"}, None, None),
    ({"ratelimit-reset": "30"}, None, 30),
    ({"RateLimit": '"default";r=0;t=30'}, None, 30),
    ({"RateLimit": '"a";r=5;t=3, "b";r=0;t=60'}, None, 60),
    ({"RateLimit": "limit=100, remaining=0, reset=60"}, None, 60),
    ({"ratelimitbysize-reset": "31", "ratelimitbysize-remaining": "0"}, None, 31),
    (
        {"x-ratelimit-reset-tokens-day": "3600.5", "x-ratelimit-remaining-tokens-day": "0"},
        None,
        3600.5,
    ),
    ({"anthropic-ratelimit-tokens-reset": "2025-03-07T12:01:00Z"}, None, 60),
    ({"anthropic-ratelimit-requests-reset": "2025-03-07T14:01:00+02:00"}, None, 60),
    ({"x-ratelimit-reset-requests": "soon"}, None, None),
    ({}, google("34s"), 34),
    ({}, google("45.837906927s"), 45.837906927),
    ({}, google({"seconds": "34", "nanos": 500_000_000}), 34.5),
    ({}, {"error": {"details": [{"@type": RETRY_INFO, "retry_delay": "34s"}]}}, 34),
    ({}, {"error": {"code": 429, "retry_after": 20}}, 20),
    ({}, {"error": {"code": 429, "metadata": {"retry_after_seconds": 20.5}}}, 20.5),
    ({}, {"message": "slow", "code": 429, "retry_after_ms": "1500"}, 1.5),
    ({}, {"error": {"code": "x", "retryAfterMs": 1500}}, 1.5),
    ({}, {"error": {"code": "x", "retryAfterSeconds": 7}}, 7),
    ({}, {"error": {"type": "usage_limit_reached", "resets_in_seconds": 13872}}, 13872),
    ({}, {"error": {"type": "usage_limit_reached", "resets_at": EPOCH + 60}}, 60),
    ({}, {"error": "Model m is currently loading", "estimated_time": 20.0}, 20),
    ({}, {"error": "slow down", "retry_after": 5, "estimated_time": 20.0}, 5),
    ({}, said("Limit 30000, Used 29000. Please try again in 7m12.5s. Visit"), 432.5),
    ({}, said("Please retry in 38.863719904s."), 38.863719904),
    ({}, said("Please retry after 33 seconds. Please go here"), 33),
    ({}, said("No deployments available, Try again in 5 seconds. Passed model=m"), 5),
    ({}, said("Try again in 1 minute 5 seconds"), 65),
    ({}, said("Try again in 20ms"), 0.02),
    ({"retry-after": "5"}, said("Please try again in 7m12s."), 5),
    ({}, said("Please try again in a while."), None),
    ({}, said("Please try again in 5 months."), None),
    ({}, said("Please try again in 99999999s."), LONGEST),
    ({"retry-after": "5"}, {"error": {"code": 429, "retry_after": 20}}, 5),
    ({}, {"error": {"code": 429, "retry_after": True}}, None),
    ({}, google("34"), None),
    ({}, google(None), None),
    ({"retry-after": "5"}, google("34s"), 5),
    ({}, quoted({"X-RateLimit-Reset": f"{(EPOCH + 60) * 1000:.0f}"}), 60),
    ({}, quoted({"X-RateLimit-Reset": (EPOCH + 60) * 1000}), 60),
    ({}, quoted({"Retry-After": 7}), 7),
    ({}, quoted({"Retry-After": None}), None),
    ({}, "nonsense", None),
    ({}, None, None),
]


@pytest.mark.parametrize(("headers", "body", "seconds"), TABLE)
def test_how_long_a_429_asks_to_wait_is_found(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    found = wait_seconds(429, headers, error_of(body), NOW)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=1e-3))


BOTH = {
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}


@pytest.mark.parametrize(
    ("status", "remaining", "seconds"),
    [
        (429, {}, 360),
        (429, {"requests": "0", "tokens": "149000"}, 1),
        (429, {"requests": "59", "tokens": "0"}, 360),
        (429, {"requests": "0", "tokens": "0"}, 360),
        (429, {"requests": "59", "tokens": "149"}, 1),
        (503, {}, None),
        (503, {"requests": "59", "tokens": "149000"}, None),
        (503, {"requests": "59", "tokens": "0"}, 360),
    ],
)
def test_a_reset_counts_where_nothing_is_left(
    status: int, remaining: dict[str, str], seconds: float | None
) -> None:
    left = {f"x-ratelimit-remaining-{name}": value for name, value in remaining.items()}
    assert wait_seconds(status, {**BOTH, **left}, ErrorBody(), NOW) == seconds


def test_the_words_of_other_errors_ask_for_no_wait() -> None:
    body = error_of(said("The prompt says: try again in 7m12s."))
    assert [wait_seconds(status, {}, body, NOW) for status in (400, 500, 503)] == [None, None, 432]


def test_anthropics_limits_are_told_apart() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2025-03-07T12:30:00Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2025-03-07T12:01:00Z",
    }
    assert wait_seconds(429, headers, ErrorBody(), NOW) == 60
    assert wait_seconds(529, headers, ErrorBody(), NOW) == 60


NAMES = [
    "retry-after",
    "Retry-After-Ms",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "ratelimit",
    "anthropic-ratelimit-tokens-reset",
    "anthropic-ratelimit-tokens-remaining",
]
names = st.sampled_from(NAMES)
number = st.from_regex(r"[0-9]{1,15}(\.[0-9]+)?(s|ms|m|h)?", fullmatch=True)
texts = st.text(max_size=40) | number
detail = st.dictionaries(st.sampled_from(["@type", "retryDelay"]), texts | st.just(RETRY_INFO))


@given(
    st.integers(200, 599),
    st.dictionaries(names, texts),
    st.dictionaries(names, texts | st.integers() | st.floats() | st.none()),
    st.lists(detail),
)
def test_it_is_a_sensible_number_or_nothing(
    status: int, headers: dict[str, str], inner: dict[str, Any], details: list[dict[str, Any]]
) -> None:
    found = wait_seconds(status, headers, ErrorBody(headers=inner, details=tuple(details)), NOW)
    assert found is None or 0 < found <= LONGEST


@given(st.floats(0.001, 80_000, allow_nan=False))
def test_all_ways_to_say_it_agree(seconds: float) -> None:
    moment = NOW + timedelta(seconds=seconds)
    spellings = [
        {"retry-after": f"{seconds:.6f}"},
        {"retry-after-ms": f"{seconds * 1000:.3f}"},
        {"x-ratelimit-reset-tokens": f"{seconds * 1000:.3f}ms"},
        {"x-ratelimit-reset": f"{moment.timestamp():.6f}"},
        {"anthropic-ratelimit-tokens-reset": moment.isoformat()},
    ]
    for headers in spellings:
        found = wait_seconds(429, headers, ErrorBody(), NOW)
        assert found == pytest.approx(seconds, abs=2e-3)
