"""What a request's error says about its call, and whether the same request can have another end."""

from typing import Final

from durable_agent_team.gateway.api_error import ApiError

OUTCOMES: Final = {
    "upstream_error": "upstream_error",
    "unavailable": "unavailable",
    "internal_error": "internal",
}
"""By the error's type. All other types are refusals: the upstream was not called."""
NO_RETRY: Final = {"X-Should-Retry": "false"}
"""The SDKs of OpenAI and Anthropic repeat a 408, 409, 429 or 5xx unless the answer says this."""
PASSING: Final = frozenset({408, 429})
"""Refusals of the gateway's own that a repetition may not meet."""


def is_final(error: ApiError) -> bool:
    """Whether a client that repeats the request by itself gets this refusal again. Errors of an
    upstream, and of a gateway that is busy or stopping, are not final."""
    refused = error.type not in OUTCOMES and error.status not in PASSING
    return (refused and error.status < 500) or error.code == "limit_reached"
