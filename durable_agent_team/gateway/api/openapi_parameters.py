"""The parameters of requests in `/openapi.json`: in the path, the query string and the headers."""

from typing import Final

from durable_agent_team.gateway.api.effect_shapes import EFFECT as EFFECT_NAME
from durable_agent_team.gateway.api.request_shapes import (
    AMOUNT,
    CHARGE,
    IDEMPOTENCY_KEY,
    MAX_AFTER,
    MAX_PAGE,
    PAGE,
    POSSIBLY_BILLED,
    TOOL,
    WAIT_FOR_CHARGE,
    WAIT_SECONDS,
    Schema,
)
from durable_agent_team.gateway.api.request_values import IF_MATCH, REVISION
from durable_agent_team.gateway.api.scoped_calls import (
    ATTEMPT_HEADER,
    MAX_ATTEMPT,
    SCOPE,
    SCOPE_HEADER,
)
from durable_agent_team.gateway.api.tool_charge_shapes import CHARGE_KEY
from durable_agent_team.gateway.calls.time_limit import (
    KNOWN_LIMITS_HEADER,
    MAX_KNOWN_LIMITS,
    TIMEOUT_HEADER,
)


def _parameter(place: str, name: str, schema: Schema) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _whole(least: int, most: int, default: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


ID = _parameter("path", "id", {"type": "string", "minLength": 1})
SHA256 = _parameter("path", "sha256", {"type": "string", "pattern": "^[0-9a-f]{64}$"})
EFFECT = _parameter("path", "effect", {"type": "string", "pattern": f"^{EFFECT_NAME.pattern}$"})
WAIT = _parameter("query", "wait_seconds", WAIT_SECONDS)
OF_AGENT = _parameter("query", "agent", {"type": "string", "minLength": 1})
"""With the parent key: the account that the scope belongs to."""
TIMEOUT = _parameter("header", TIMEOUT_HEADER, {"type": "number", "exclusiveMinimum": 0})
KNOWN_LIMITS = _parameter(
    "header", KNOWN_LIMITS_HEADER, {"type": "integer", "minimum": 0, "maximum": MAX_KNOWN_LIMITS}
)
IDEMPOTENT = _parameter("header", "Idempotency-Key", IDEMPOTENCY_KEY)
EXPECTED = _parameter("header", IF_MATCH, {"type": "string", "pattern": f"^{REVISION.pattern}$"})
"""The `revision` that is to be changed."""
PAGING = (
    _parameter("query", "limit", _whole(1, MAX_PAGE, PAGE)),
    _parameter("query", "after", _whole(0, MAX_AFTER, 0)),
)
LEDGER_FILTERS = (
    _parameter("query", "kind", {"enum": [CHARGE, TOOL, POSSIBLY_BILLED], "default": CHARGE}),
    _parameter("query", "idempotency_key", {"type": "string"}),
    _parameter("query", "scope", {"type": "string"}),
)
SCOPE_NAME: Final[Schema] = {"type": "string", "pattern": f"^{SCOPE.pattern}$"}
ATTEMPT_NUMBER: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPT}
OF_SCOPE = _parameter("path", "scope", SCOPE_NAME)
IN_SCOPE = (OF_SCOPE, _parameter("path", "attempt", ATTEMPT_NUMBER))
LONG_POLL = (
    _parameter("query", "spent_usd", AMOUNT),
    _parameter("query", "wait_seconds", WAIT_FOR_CHARGE),
)
"""A scope's state is answered as soon as it has cost another amount than `spent_usd`."""
BEGINS = _parameter("query", "attempt", ATTEMPT_NUMBER)
"""Begins this attempt of the scope."""
SCOPE_HEADERS = (
    _parameter("header", SCOPE_HEADER, SCOPE_NAME),
    _parameter("header", ATTEMPT_HEADER, ATTEMPT_NUMBER),
)
OF_CHARGE = _parameter("path", "key", {"type": "string", "pattern": f"^{CHARGE_KEY.pattern}$"})
