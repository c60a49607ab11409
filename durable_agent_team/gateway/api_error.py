"""Error responses in OpenAI's format. Type and code distinguish them."""

import json
import reprlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "insufficient_funds",
    "insufficient_storage",
    "account_disabled",
    "conflict",
    "idempotency_conflict",
    "upstream_error",
    "unavailable",
    "internal_error",
]

SCRUB: ContextVar[Callable[[str], str]] = ContextVar("gateway_scrub", default=str)
"""Removes keys from a text of the current request. Set by the middleware."""


class _Shortened(reprlib.Repr):
    def repr_str(self, x: str, level: int) -> str:
        """Scrubbed before it is cut: half of a key could not be recognised."""
        return super().repr_str(SCRUB.get()(x), level)


MAX_SHOWN = 300
"""Characters. Each string in a value is shortened, but lists and dicts in each other have many."""
_shorten = _Shortened()
_shorten.maxstring = _shorten.maxother = _shorten.maxlong = 80


def shown(value: Any) -> str:
    """The value for an error message, without keys, shortened."""
    if isinstance(value, Decimal):
        return str(value)[:80]
    text = _shorten.repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def shown_name(name: str) -> str:
    """A field's name for an error message, without keys, shortened."""
    return SCRUB.get()(name)[:80]


@dataclass
class ApiError(Exception):
    """An error response. `extra` are further fields of `error`, `headers` those of the response."""

    status: int
    type: ErrorType
    code: str
    message: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        return {"message": self.message, "type": self.type, "code": self.code, **self.extra}

    def body(self) -> bytes:
        return json.dumps({"error": self.fields()}).encode()


def invalid(message: str, code: str = "invalid_request", status: int = 400) -> ApiError:
    return ApiError(status, "invalid_request_error", code, message)


def unauthorized() -> ApiError:
    return ApiError(
        401,
        "authentication_error",
        "invalid_api_key",
        "The key is unknown. Send an agent's key (or, for accounts, the parent key) as"
        " `Authorization: Bearer KEY`.",
    )


def forbidden(message: str) -> ApiError:
    return ApiError(403, "permission_error", "wrong_kind_of_key", message)


def not_found(message: str) -> ApiError:
    return ApiError(404, "invalid_request_error", "not_found", message)


def conflict(message: str, code: str, **extra: Any) -> ApiError:
    kind: ErrorType = "idempotency_conflict" if code == "idempotency_conflict" else "conflict"
    return ApiError(409, kind, code, message, extra)


def changed_since(what: str, revision: int) -> ApiError:
    """The refusal of an `If-Match`."""
    message = f"{what} was changed since its client has read it: its revision is now {revision}"
    return ApiError(412, "conflict", "changed_since", message, {"revision": revision})


def unavailable(message: str, code: str, retry_after: int = 1) -> ApiError:
    return ApiError(503, "unavailable", code, message, headers={"Retry-After": str(retry_after)})


def unexpected(request_id: str) -> ApiError:
    return ApiError(500, "internal_error", "internal", f"Unexpected; log id {request_id}")
