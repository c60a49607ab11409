"""Checks of values that requests have in common. Each raises ApiError, which names the field."""

import math
import re
from decimal import Decimal
from typing import Any

from aiohttp import web

from durable_agent_team.gateway.amounts import is_number, parse_usd
from durable_agent_team.gateway.api.http_bodies import query_value
from durable_agent_team.gateway.api.request_shapes import MAX_DIGITS, MAX_WAIT_SECONDS, Schema
from durable_agent_team.gateway.api_error import invalid, shown, shown_name

IF_MATCH = "If-Match"
REVISION = re.compile(r'"[0-9]{1,15}"')


def refuse_unknown(data: dict[str, Any], shape: Schema) -> None:
    """Refuses fields that the shape does not have: a misspelled one would be ignored."""
    known = set(shape["properties"])
    if unknown := sorted(set(data) - known):
        name = shown_name(unknown[0])
        raise invalid(f"`{name}` is not known here; known: {', '.join(sorted(known))}")


def micro_usd(value: object, field: str) -> int:
    """An amount of USD in a body, in micro-USD."""
    try:
        return parse_usd(value, field)
    except ValueError as error:
        raise invalid(str(error)) from None


def wait_seconds(request: web.Request, data: dict[str, Any]) -> float:
    """How long the client waits for an answer: in the body or the query string, by default 0."""
    value = data.get("wait_seconds", query_value(request, "wait_seconds") or 0)
    # A Decimal becomes infinity where `float` of an int would raise OverflowError.
    seconds = float(Decimal(value)) if is_number(value) else math.nan
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise invalid(
            f"`wait_seconds` must be between 0 and {MAX_WAIT_SECONDS}; got {shown(value)}"
        )
    return seconds


def expected_revision(request: web.Request) -> int | None:
    """That of `If-Match`; None without the header."""
    values = request.headers.getall(IF_MATCH, [])
    if not values:
        return None
    if len(values) > 1 or not REVISION.fullmatch(values[0]):
        raise invalid(
            f'`{IF_MATCH}` must be one revision in quotes, such as "3"; got'
            f" {shown(', '.join(values))}"
        )
    return int(values[0].strip('"'))


def refuse_revision(request: web.Request) -> None:
    """For changes that are not fenced: a client that relies on the header must know."""
    if IF_MATCH in request.headers:
        raise invalid(
            f"`{IF_MATCH}` is not used for this request: send it with PATCH /v1/agents/{{id}}, POST"
            " /v1/charges and POST /v1/charges/{key}/release"
        )


def whole(request: web.Request, field: str, default: int, least: int, most: int) -> int:
    """A whole number of the query string."""
    text = query_value(request, field)
    if text is None:
        return default
    digits = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if not digits or not least <= int(text) <= most:
        raise invalid(f"`{field}` must be a whole number from {least} to {most}; got {shown(text)}")
    return int(text)
