"""One HTTP exchange: JSON in, JSON out with exact decimals, failures as types without keys."""

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from durable_agent_team.atxp.exceptions import (
    MalformedAnswer,
    ProviderRefused,
    TimedOut,
    Unreachable,
    error_fields,
    scrub,
)
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.trace_headers import trace_headers
from durable_agent_team.contracts.base import count_of, decimal_of, usd_of

REPLAY_HEADER = "X-Idempotent-Replay"
SPENT_HEADER = "X-Account-Spent-Usd"
POSSIBLY_BILLED_CALLS_HEADER = "X-Account-Possibly-Billed-Calls"
POSSIBLY_BILLED_USD_HEADER = "X-Account-Possibly-Billed-Usd"
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """A 2xx answer whose body is a JSON object."""

    body: dict[str, Any]
    replayed: bool
    """From the gateway's store: it was billed before."""
    account_spent_usd: Decimal | None = None
    """The account's whole spend after this answer, where the server reports it."""
    possibly_billed_calls: int = 0
    """Requests of the account so far that were given up after they were sent."""
    possibly_billed_usd: Decimal = Decimal(0)
    """The most that these can have cost the server's operator."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that may say how long to wait, with names in lower case."""


def if_match(revision: int | None) -> dict[str, str]:
    """The header by which a change is refused (`is_changed`) where another one came before it."""
    return {} if revision is None else {"If-Match": f'"{revision}"'}


def revision_of(told: Mapping[str, Any]) -> int | None:
    """None of a provider that has none: then changes are not refused."""
    revision = told.get("revision")
    return revision if isinstance(revision, int) and revision >= 0 else None


def parse_json(text: bytes) -> Any:
    """JSON with every fraction as a `Decimal`: a float would have lost digits already."""
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


async def exchange(
    http: HttpxClient,
    method: str,
    url: httpx.URL,
    *,
    key: str | None,
    timeout_seconds: float,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Sends one request, with the trace headers of its call.

    Raises `ProviderRefused`, `Unreachable`, `TimedOut` or `MalformedAnswer`.
    """
    what = f"{method} {url.path}"
    sent = {"Content-Type": "application/json", **trace_headers(), **(headers or {})}
    if key:
        sent["Authorization"] = f"Bearer {key}"
    connecting = {"connect": min(CONNECT_SECONDS, timeout_seconds)}
    request = httpx.Request(
        method, url, content=content, headers=sent, extensions={"timeout": connecting}
    )
    response = await _response(http, request, what, key, timeout_seconds)
    body = parse_json(response.content)
    if not response.is_success:
        raise refusal(what, response, body, key)
    if not isinstance(body, dict):
        start = scrub(response.text[:200], [key or ""])
        text = f"{what} answered {response.status_code} without JSON: {start!r}"
        raise MalformedAnswer(text, body=body)
    return Answer(
        body,
        _replayed(response),
        decimal_of(response.headers.get(SPENT_HEADER)),
        count_of(response.headers.get(POSSIBLY_BILLED_CALLS_HEADER)),
        usd_of(response.headers.get(POSSIBLY_BILLED_USD_HEADER)),
        _about_waiting(response.headers),
    )


async def _response(
    http: HttpxClient, request: httpx.Request, what: str, key: str | None, timeout_seconds: float
) -> httpx.Response:
    """Raises `Unreachable` or `TimedOut`."""
    url = request.url
    try:
        async with asyncio.timeout(timeout_seconds):
            return await http.send(request)
    except TimeoutError:
        reason = f"within {timeout_seconds:.3g} s"
        raise TimedOut(f"{what} had no answer {reason}", str(url), f"not {reason}") from None
    except (httpx.HTTPError, OSError) as error:
        place = f"{url.host}:{url.port or 'default port'}"
        reason = scrub(_reason(error), [key or ""])
        text = f"{what} got no answer from {place}: {reason}"
        raise Unreachable(text, str(url), reason) from None


def _reason(error: BaseException) -> str:
    """The operating system's reason, such as `Connection refused`; else the error's own text."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError) and cause.errno:
            return os.strerror(cause.errno)
        if isinstance(cause, socket.gaierror):
            return str(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def refusal(what: str, response: httpx.Response, body: Any, key: str | None) -> ProviderRefused:
    """A refusal, with the fields by which its kinds are distinguished."""
    error = error_fields(body)
    outer = body.get("restriction") if isinstance(body, dict) else None
    inner = outer if isinstance(outer, dict) else {}
    words = inner.get("message") or error.get("message") or error.get("detail")
    words = words or response.text[:2_000] or response.reason_phrase
    amounts = {
        name: amount
        for name in ("remaining_usd", "required_usd", "reserved_usd", "possibly_billed_usd")
        if (amount := decimal_of(error.get(name))) is not None
    }
    return ProviderRefused(
        what=what,
        status=response.status_code,
        message=scrub(str(words), [key or ""]),
        kind=str(error.get("type") or "")[:100],
        code=str(error.get("code") or "")[:100],
        restriction=scrub(str(inner.get("error") or ""), [key or ""])[:100],
        headers=_about_waiting(response.headers),
        amounts=amounts,
        body=body,
        replayed=_replayed(response),
    )


def _about_waiting(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by which a server says how long to wait, with names in lower case."""
    wanted = ((name.lower(), value) for name, value in headers.items())
    return {name: value for name, value in wanted if "retry-after" in name or "ratelimit" in name}


def _replayed(response: httpx.Response) -> bool:
    return bool(response.headers.get(REPLAY_HEADER, "").lower() == "true")
