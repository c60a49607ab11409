"""What a provider's error means: wait, the operator's money is gone, or neither will help.

Decided by statuses and codes: the same words ("quota", "billing", "credits") stand in rate limits
and in quoted prompts too. A code is one word, such as `insufficient_quota` or
`InsufficientBalance`. Where a provider has no code for it, the message must begin with the
provider's own sentence.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from durable_agent_team.providers.error_body import ErrorBody, error_in, error_of

OUT_OF_FUNDS_CODE: Final = "upstream_out_of_funds"
"""The gateway's own code, which a gateway in front of a gateway passes on."""


class ErrorKind(StrEnum):
    WAIT = "wait"
    """A rate limit, an overload, an outage: the same request may succeed later."""
    OUT_OF_FUNDS = "out_of_funds"
    """The operator has to pay the provider."""
    FINAL = "final"
    """The same request will be refused again."""


@dataclass(frozen=True, slots=True)
class ProviderError:
    """An error, read. `status` is the HTTP status that it amounts to."""

    kind: ErrorKind
    status: int
    body: ErrorBody
    is_known: bool = True
    """False where neither a status nor a code says what it is."""


def provider_error(status: int, body: Any) -> ProviderError:
    """The error of a response with the status of an error. `body` is parsed JSON, or None."""
    found = error_of(body)
    if found.status in (402, 429) or (status == 424 and found.status):
        status = found.status  # a router's own status can be less precise than its provider's
    elif status in (400, 403) and _is_throttled(found.codes):
        status = 429  # Amazon's `ThrottlingException`, Google's `rateLimitExceeded`
    return _kind_of(status, found)


def error_inside(body: Any) -> ProviderError | None:
    """The error in a response with the status 200, or in a chunk of a stream; None if none is."""
    found = error_in(body)
    return None if found is None else read_error(found)


def read_error(found: ErrorBody) -> ProviderError:
    """An error without the status of a response: its own decides, else its codes."""
    status = found.status or _status_of(found.codes)
    if status is None and not _is_about_funds(found.codes):
        return ProviderError(ErrorKind.WAIT, 502, found, is_known=False)
    return _kind_of(status or 429, found)


def _kind_of(status: int, found: ErrorBody) -> ProviderError:
    if IN_FLIGHT in found.codes:
        return ProviderError(ErrorKind.WAIT, 429, found)
    if status == 402 or _is_about_funds(found.codes) or _says_funds_are_gone(status, found):
        return ProviderError(ErrorKind.OUT_OF_FUNDS, status, found)
    waits = status in WAITING or status >= 500
    return ProviderError(ErrorKind.WAIT if waits else ErrorKind.FINAL, status, found)


def _says_funds_are_gone(status: int, found: ErrorBody) -> bool:
    """Fireworks has the code `PRECONDITION_FAILED` for an account that has not paid, and for a
    model that cannot be loaded; Portkey has 412 for a key whose budget is used up."""
    message = (found.message or "")[:1_000]
    if status == 412 and SUSPENDED.search(message) is not None:
        return True
    return status in (400, 403, 429) and OWN_SENTENCES.match(message) is not None


def _is_throttled(codes: Iterable[str]) -> bool:
    names = ("_".join(WORDS.findall(each)).lower() for each in codes if A_CODE.fullmatch(each))
    return any(part in name for name in names for part in THROTTLED)


THROTTLED: Final = ("throttl", "rate_limit", "too_many_requests")
SUSPENDED: Final = re.compile(r"spending limit|past invoices|/billing|\bbudget\b", re.IGNORECASE)
OWN_SENTENCES: Final = re.compile(
    r"Your credit balance is too low to access the Anthropic API"
    r"|You have reached your specified API usage limits"
    r"|Your prepayment credits are depleted"
    r"|Your team [\w-]{1,60} has either used all available credits or reached its monthly spending"
    r"|Your newly created team doesn't have any credits"
    r"|You have run out of credits or need a Grok subscription"
)
"""How Anthropic says it, with the code of any bad request; Google, with that of a rate limit; and
xAI, with either of two that say something else. At the beginning of the message, where no prompt
is quoted."""
WAITING: Final = frozenset({408, 409, 425, 429, 498, 499})
"""With 498, Groq says that its flex tier has no room at the moment; with 499, Google and Cohere
that they have cancelled the call."""
IN_FLIGHT: Final = "openrouter_in_flight_budget"
"""A `metadata.limit_source` of OpenRouter's: a 402 that ends when other requests have ended."""
A_CODE = re.compile(r"[A-Za-z0-9_.:/#\-]{1,100}", re.ASCII)
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

FUNDS: Final = frozenset(
    {
        OUT_OF_FUNDS_CODE,
        "insufficient_quota",
        "insufficient_user_quota",  # New API, One API
        "exceeded_current_quota_error",  # Moonshot
        "exceeded_current_quota",
        "blocked_api_access",  # Groq: the organisation's spend limit
        "allocation_quota_free_tier_only",  # Alibaba
        "commodity_not_purchased",
        "billing_error",  # Anthropic
        "billing_hard_limit_reached",  # OpenAI
        "billing_not_active",
        "billing_disabled",  # Google
        "credit_balance_too_low",
        "payment_required",
        "arrearage",  # Alibaba
        "budget_exceeded",  # LiteLLM
        "budget_exhausted",
        "pre_consume_token_quota_failed",  # New API: of the key itself
        "failed_operation_resource_pack_exhausted",  # Tencent
        "failed_operation_free_resource_pack_exhausted",
        "1113",  # Z.ai: insufficient balance
        "30001",  # SiliconFlow: the same
    }
)
MONEY = frozenset({"balance", "credit", "credits", "fund", "funds", "money", "prepaid", "wallet"})
GONE = frozenset(
    {
        "insufficient",
        "exhausted",
        "depleted",
        "low",
        "no",
        "not",
        "negative",
        "empty",
        "exceeded",
        "out",
    }
)
PAYING = frozenset(
    {"billing", "payment", "prepayment", "overdue", "arrears", "arrearage", "unpaid"}
)
SPENDING = frozenset({"spend", "spending", "credit", "credits"})
TOKENS = frozenset({"token", "tokens", "thinking", "reasoning", "time", "context"})
"""What other budgets are of."""
CONTRACT = frozenset({"subscription", "trial"})


def _is_about_funds(codes: Iterable[str]) -> bool:
    return any(A_CODE.fullmatch(code) and _names_funds(code) for code in codes)


def _names_funds(code: str) -> bool:
    words = [word.lower() for word in WORDS.findall(code)]
    if "_".join(words) in FUNDS:
        return True
    each = set(words)
    return bool(
        (each & MONEY and each & GONE)
        or {"insufficient", "quota"} <= each
        or (each & PAYING and not each & {"method", "invalid"})
        or (each & SPENDING and "limit" in each)
        or ("budget" in each and each & {*GONE, "limit"} and not each & TOKENS)
        or (each & CONTRACT and each & {"expired", "ended", "inactive"})
    )


RESPONSE_FAILED: Final = (
    "data_residency_mismatch",
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
    "image_file_too_large",
    "image_parse_error",
    "image_too_large",
    "image_too_small",
    "invalid_base64_image",
    "invalid_encrypted_content",
    "invalid_image",
    "invalid_image_format",
    "invalid_image_mode",
    "invalid_image_url",
    "unsupported_image_media_type",
)
"""OpenAI's reference of Responses: the `error.code` of one that failed because of its request. It
comes with the status 200."""
STATUSES: Final = {
    401: ("authentication_error", "unauthenticated", "unauthorized", "invalid_api_key"),
    403: ("permission_error", "permission_denied", "forbidden", "permission"),
    404: ("not_found_error", "not_found", "model_not_found", "model_not_available"),
    400: (
        "invalid_request_error",
        "invalid_request",
        "invalid_argument",
        "failed_precondition",
        "out_of_range",
        "bad_request",
        "bad_request_error",
        "context_length_exceeded",
        "exceed_context_size_error",
        "content_filter",
        "content_policy_violation",
        "unsupported_parameter",
        "unsupported_value",
        "invalid_prompt",
        "data_inspection_failed",  # Alibaba's filter
        *RESPONSE_FAILED,
    ),
    413: ("request_too_large", "payload_too_large"),
    422: ("unprocessable_entity", "unprocessable_entity_error", "validation_error"),
    429: ("resource_exhausted", "quota_exceeded", "service_tier_capacity_exceeded"),
    499: ("cancelled", "canceled"),
    500: ("api_error", "server_error", "internal", "internal_error", "internal_server_error"),
    502: ("bad_gateway", "provider_error", "upstream_error"),
    503: ("slow_down", "capacity_exceeded", "no_capacity", "insufficient_system_resource"),
    504: ("deadline_exceeded", "timeout_error"),
}
BY_CODE: Final = {code: status for status, codes in STATUSES.items() for code in codes}
BY_PART: Final = (
    ("rate_limit", 429),
    ("too_many_requests", 429),
    ("throttl", 429),
    ("over_capacity", 503),
    ("overload", 529),
    ("unavailable", 503),
    ("timeout", 504),
    ("policy", 400),  # `bio_policy`, `image_content_policy_violation`
)


def _status_of(codes: Iterable[str]) -> int | None:
    """The status that the first code with a known meaning amounts to."""
    for code in codes:
        if A_CODE.fullmatch(code) is None:
            continue
        name = "_".join(word.lower() for word in WORDS.findall(code))
        if status := BY_CODE.get(name):
            return status
        for part, status in BY_PART:
            if part in name:
                return status
    return None
