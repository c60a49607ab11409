"""Pure: why a model stopped, from what each provider calls it.

Sources: OpenAI (`stop`, `length`, `content_filter`, `tool_calls`, a Response's `incomplete` and
`max_output_tokens`), Anthropic (`end_turn`, `max_tokens`, `model_context_window_exceeded`,
`refusal`, `pause_turn`), Gemini (`STOP`, `MAX_TOKENS`, `SAFETY`, `RECITATION`, `BLOCKLIST`,
`PROHIBITED_CONTENT`, `SPII`, `MODEL_ARMOR`, `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL`,
`NO_IMAGE`, `OTHER`), Mistral (`model_length`, `error`), DeepSeek
(`insufficient_system_resource`), Amazon Bedrock (`guardrail_intervened`, `content_filtered`),
Cohere (`MAX_TOKENS`, `ERROR_TOXIC`, `TIMEOUT`), GLM (`sensitive`, `network_error`), watsonx
(`token_limit`, `time_limit`, `cancelled`), vLLM (`abort`, `repetition`), Ollama (`load`,
`unload`).
"""

from enum import StrEnum


class Ending(StrEnum):
    """Why an answer ends where it does, in OpenAI's words. `CallResult.finish_reason` has it."""

    STOP = "stop"
    """The model was done, or nothing says that it was not."""
    LENGTH = "length"
    """At a limit of tokens."""
    CONTENT_FILTER = "content_filter"
    """The provider's filter took the answer, or its rest, away."""
    REFUSAL = "refusal"
    ERROR = "error"
    """The provider broke off."""


_MARKS: tuple[tuple[Ending, tuple[str, ...]], ...] = (
    (Ending.ERROR, ("malformed", "unexpected_tool")),  # `function_call_filter: MALFORMED_…`
    (Ending.REFUSAL, ("refus",)),
    (
        Ending.CONTENT_FILTER,
        (
            "filter", "safety", "blocklist", "blocked", "prohibited", "recitation", "spii",
            "sensitive", "guardrail", "moderation", "toxic", "censor", "policy", "language",
            "harm", "copyright", "jailbreak", "armor",
        ),
    ),
    (Ending.ERROR, ("time",)),
    (
        Ending.LENGTH,
        (
            "length", "max_", "max-", "maxtokens", "maximum", "limit", "context_window", "truncat",
            "incomplete", "cutoff", "cut_off", "budget", "out_of_tokens",
        ),
    ),
    (
        Ending.ERROR,
        (
            "error", "abort", "cancel", "insufficient", "interrupt", "other", "fail",
            "pause", "preempt", "unexpected", "too_many", "missing", "repetition", "load",
            "no_image", "partial",
        ),
    ),
)  # fmt: skip
"""Looked for in the provider's word, in this order: `ERROR_TOXIC` is a filter, and `time_limit` is
no limit of tokens."""


def ending_of(finish_reason: str) -> Ending:
    """What a provider's word means. One that is not known counts as a model that was done."""
    word = finish_reason.lower()
    for ending, marks in _MARKS:
        if any(mark in word for mark in marks):
            return ending
    return Ending.STOP


def says_nothing(finish_reason: str) -> bool:
    return finish_reason.lower() in ("", "null", "none", "unknown", "finish_reason_unspecified")
