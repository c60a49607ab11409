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
        {"message": "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 and 500"},
        {"message": "`inputs` must have less than 1000 tokens. Given: 1001"},
        {"message": "The input (9000 tokens) is longer than the model's context length (8192)."},
        {"message": "Invalid request: Your request exceeded model token limit: 8192"},
        {"message": "Range of input length should be [1, 30720]"},
        {"message": "Prompt exceeds max length", "code": "1261"},
        {"message": "invalid params, context window exceeds limit (2013)"},
        {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"},
        {"message": "the number of input tokens 9000 cannot exceed the total tokens limit 8192"},
        {"message": "input and maximum output tokens (9) exceeded this model context window limit"},
        {"message": "max_tokens must be at least 1, got -186."},
        {"message": "the input token count is 40000 but model only supports up to 32768."},
        {"message": "Trying to keep the first 5000 tokens when context the overflows."},
        {"message": "Request body too large for gpt-4o model.", "code": "tokens_limit_reached"},
        {"type": "request_too_large", "message": "Request exceeds the maximum allowed bytes"},
        {
            "message": "The number of tokens to keep from the initial prompt is greater than the"
            " context length (n_keep: 9000>= n_ctx: 4096)."
        },
        {"message": "Total tokens of image and text exceed max message tokens. Request id: x"},
        {"message": "Input Tokens Exceeded: Number of input tokens exceeds maximum length."},
        {
            "message": "the model's context length is only 8192 tokens, resulting in a maximum"
            " input length of 6192 tokens."
        },
        {"message": "prompt token count of 9 exceeds", "code": "model_max_prompt_tokens_exceeded"},
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
        "max_tokens must be at least 1, got 0",
        "Range of max_tokens should be [1, 8192]",
    ],
)
def test_other_bad_requests_are_not_meant(message: str) -> None:
    assert not says_context_exceeded(400, error_of({"error": {"message": message}}))
