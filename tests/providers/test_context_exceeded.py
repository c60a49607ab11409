"""How providers say that a prompt does not fit, and what only sounds like it."""

from typing import Any

import pytest

from durable_agent_team.providers.context_exceeded import says_context_exceeded
from durable_agent_team.providers.error_body import error_of
from tests.emulators.rules import PROVIDERS


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_emulated_provider_is_understood(name: str) -> None:
    said = PROVIDERS[name].too_long
    assert said
    assert says_context_exceeded(400, error_of(said))
    assert not says_context_exceeded(500, error_of(said))


@pytest.mark.parametrize(
    "error",
    [
        {"type": "exceed_context_size_error", "message": "the request exceeds the available"},
        {"message": "the request exceeds the available context size"},
        {"message": "Your input exceeds the context window of this model."},
        {"message": "input length and `max_tokens` exceed context limit: 9 + 9 > 10"},
        {"message": "Input is too long for requested model."},
        {"type": "request_too_large", "message": "Request exceeds the maximum allowed bytes"},
    ],
)
def test_other_ways_to_say_it(error: dict[str, Any]) -> None:
    assert says_context_exceeded(413, error_of({"type": "error", "error": error}))


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 9000. This model supports at most 4096 completion tokens",
        "Invalid 'messages[0].content': string too long",
        "Rate limit reached: tokens per minute",
        "Unknown parameter: 'context'",
    ],
)
def test_other_bad_requests_are_not_meant(message: str) -> None:
    assert not says_context_exceeded(400, error_of({"error": {"message": message}}))
