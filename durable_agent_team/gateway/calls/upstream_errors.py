"""The errors of upstreams, as the gateway answers them: one shape, one status, one `Retry-After`.

What an error means is decided in `providers`, for the gateway and the worker alike.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.providers.context_exceeded import says_context_exceeded
from durable_agent_team.providers.error_body import (
    ErrorBody,
    ends_badly,
    error_of,
    failed_choice,
    stated_error,
)
from durable_agent_team.providers.error_kind import (
    OUT_OF_FUNDS_CODE,
    ErrorKind,
    ProviderError,
    error_inside,
    provider_error,
    read_error,
)
from durable_agent_team.providers.waits import wait_seconds

MAX_ERROR_TEXT = 2_000
MAX_ERROR_CODE = 100


def is_success(status: int) -> bool:
    """Some servers answer a POST with 201: an answer is one with every status of success."""
    return 200 <= status < 300


def response_error(
    status: int, headers: Mapping[str, str], raw: bytes, value: Any, *, has_content: bool
) -> ApiError | None:
    """The error that a response is or has; None if it is an answer. `value`: `raw` as JSON, or
    None. An answer with content that did not break off is an answer, whatever stands beside it."""
    if 300 <= status < 400:
        return _redirected(status, raw)
    if not is_success(status):
        error = provider_error(status, value)
        return _api_error(error, headers, raw, f"The upstream answered {status}")
    if has_content and not (isinstance(value, dict) and failed_choice(value)):
        return None
    inside = error_inside(value)
    if inside is None:
        return None
    number = f" {inside.status}" if inside.is_known else ""
    begins = f"The upstream answered {status} with the error{number}"
    return _api_error(inside, headers, raw, begins, "upstream_error")


def _redirected(status: int, raw: bytes) -> ApiError:
    """No redirect is followed, since the key would go with it."""
    text = f": {bounded_text(raw)}" if raw.strip() else ""
    message = (
        f"The upstream answered {status}, a redirect, which is not followed. Correct its URL{text}"
    )
    more = {"upstream_status": status}
    return ApiError(502, "upstream_error", "upstream_redirect", message, more)


def chunk_error(
    raw: bytes, value: Any, event: bytes, headers: Mapping[str, str]
) -> ApiError | None:
    """The error in a chunk of a stream, or in an event of the name `error`; None if none is."""
    found = error_of(value) if event == b"error" else stated_error(value)
    return None if found is None else _stream_error(found, headers, raw)


def bad_ending(raw: bytes, chunk: dict[str, Any], headers: Mapping[str, str]) -> ApiError | None:
    """The error of a chunk that only ends with a `finish_reason` that says so."""
    return _stream_error(ErrorBody(), headers, raw) if ends_badly(chunk) else None


def _stream_error(found: ErrorBody, headers: Mapping[str, str], raw: bytes) -> ApiError:
    begins = "The upstream's stream ended with an error"
    return _api_error(read_error(found), headers, raw, begins, "upstream_stream_error")


def client_status(status: int) -> int:
    """The status for the agent. 401 to 403 are about the operator's key and account, so they become
    502, as does what is not the status of an error."""
    if status == 200:
        return 200
    return status if 400 <= status < 600 and status not in (401, 402, 403) else 502


def _api_error(
    error: ProviderError,
    headers: Mapping[str, str],
    raw: bytes,
    begins: str,
    unknown: str = "upstream_error",
) -> ApiError:
    """`unknown`: the code of an error that says neither a code nor a status."""
    message = error.body.message
    text = bounded_text(message.encode(errors="replace") if message else raw)
    code = _shown_code(error)
    extra: dict[str, Any] = {"upstream_status": error.status} if error.is_known else {}
    if error.kind is ErrorKind.OUT_OF_FUNDS:
        if code is not None:
            extra["upstream_code"] = code
        message = f"The operator's account at the upstream is out of funds. {begins}: {text}"
        return ApiError(503, "upstream_error", OUT_OF_FUNDS_CODE, message, extra)
    passed = {}
    if error.kind is ErrorKind.WAIT:
        wait = wait_seconds(error.status, headers, error.body, datetime.now(UTC))
        if wait is not None:
            passed["Retry-After"] = str(math.ceil(wait))
    code = code or (f"upstream_{error.status}" if error.is_known else unknown)
    shown = client_status(error.status)
    return ApiError(shown, "upstream_error", code, f"{begins}: {text}", extra, passed)


def _shown_code(error: ProviderError) -> str | None:
    if says_context_exceeded(error.status, error.body):
        return "context_length_exceeded"
    code = error.body.code
    if code is None or code.isdigit():
        return None
    return code.encode(errors="replace").decode()[:MAX_ERROR_CODE]


def bounded_text(raw: bytes) -> str:
    text = raw.decode(errors="replace").strip()
    return text if len(text) <= MAX_ERROR_TEXT else text[:MAX_ERROR_TEXT] + "…"
