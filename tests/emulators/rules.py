"""What each provider's chat completions refuse, and how they answer. As data, with the sources.

Facts were checked against the providers' documentation and against reports of their real errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

COMMON = frozenset(
    {"model", "messages", "temperature", "top_p", "stop", "stream", "response_format", "tools",
     "tool_choice"}
)  # fmt: skip
OPENAI = COMMON | {
    "max_completion_tokens", "max_tokens", "frequency_penalty", "presence_penalty", "seed", "n",
    "logprobs", "top_logprobs", "logit_bias", "user", "store", "metadata", "parallel_tool_calls",
    "reasoning_effort", "verbosity", "stream_options", "service_tier", "safety_identifier",
    "prompt_cache_key", "functions", "function_call", "prediction", "modalities", "audio",
}  # fmt: skip
SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
     "logit_bias"}
)  # fmt: skip


def invalid(message: str, **more: Any) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


BAD_REQUEST = "invalid_request_error"
LONGEST = "This model's maximum context length is 1000 tokens. "
OPENAI_TOO_LONG = invalid(
    f"{LONGEST}However, your messages resulted in 2000 tokens.",
    param="messages",
    code="context_length_exceeded",
)


@dataclass(frozen=True)
class Provider:
    """One provider's rules. `refused` are known fields that its models do not take."""

    source: str
    known: frozenset[str]
    """Any other field is an error; empty: unknown fields are ignored."""
    refused: frozenset[str] = frozenset()
    limit: frozenset[str] = frozenset({"max_tokens", "max_completion_tokens"})
    """The names of the limit that it takes."""
    formats: frozenset[str] = frozenset({"text", "json_object", "json_schema"})
    strict: bool = False
    """Whether a schema with `strict` must be in the subset of structured outputs."""
    holds: bool = True
    """Whether the answer conforms to a schema that was sent."""
    ignores_format: bool = False
    key_header: str = "Authorization"
    query: Mapping[str, str] = field(default_factory=dict)
    max_temperature: float = 2
    unknown_status: int = 400
    names_json: bool = True
    """Whether JSON mode wants the word JSON in the prompt."""
    thinks_in: str = ""
    """Where its thinking arrives: `field`, `tags`, or nowhere."""
    streams_usage_unasked: bool = False
    reports_cost: bool = False
    hidden_thinking: int = 0
    """Tokens of thinking in `completion_tokens`."""
    forced: tuple[str, ...] = ()
    """Models that think, and so refuse a `tool_choice` that forces a call."""
    calls_without_thinking: tuple[str, ...] = ()
    """Beginnings of names of models that take tools with the effort `none` alone."""
    too_long: Json = field(default_factory=dict)
    """How it refuses a prompt that does not fit the context; empty: it cuts the prompt."""


PROVIDERS: Mapping[str, Provider] = {
    "openai-reasoning": Provider(
        too_long=OPENAI_TOO_LONG,
        source="developers.openai.com/api/docs/guides/reasoning,"
        " developers.openai.com/api/docs/guides/structured-outputs;"
        " github.com/BerriAI/litellm/pull/34569 (tools, from GPT-5.6 on)",
        calls_without_thinking=("gpt-5.6", "gpt-6"),
        known=OPENAI,
        refused=SAMPLING | {"stop"},
        limit=frozenset({"max_completion_tokens"}),
        strict=True,
        hidden_thinking=7,
    ),
    "openai": Provider(
        too_long=OPENAI_TOO_LONG,
        source="developers.openai.com/api/reference/resources/chat (create),"
        " developers.openai.com/api/docs/guides/structured-outputs",
        known=OPENAI,
        refused=frozenset({"reasoning_effort"}),
        strict=True,
    ),
    "anthropic": Provider(
        too_long=invalid("prompt is too long: 2000 tokens > 1000 maximum"),
        source="platform.claude.com/docs/en/api/openai-sdk (compatible endpoint: `response_format`"
        " and most sampling fields are ignored), .../about-claude/models/migration-guide"
        " (`temperature` is refused from Opus 4.7 on)",
        known=frozenset(),
        refused=frozenset({"temperature", "top_p", "top_k"}),
        ignores_format=True,
        holds=False,
        max_temperature=1,
    ),
    "gemini": Provider(
        too_long={
            "error": {
                "code": 400,
                "message": "The input token count (2000) exceeds the maximum number of tokens"
                " allowed (1000).",
                "status": "INVALID_ARGUMENT",
            }
        },
        source="ai.google.dev/gemini-api/docs/openai; an unknown field is answered with `Invalid"
        " JSON payload received. Unknown name ...: Cannot find field`",
        known=COMMON | {"max_tokens", "max_completion_tokens", "n", "reasoning_effort",
                        "stream_options", "extra_body"},
        hidden_thinking=5,
    ),
    "deepseek": Provider(
        too_long=invalid(f"{LONGEST}However, you requested 2000 tokens.", code=BAD_REQUEST),
        source="api-docs.deepseek.com/api/create-chat-completion, .../guides/json_mode; another"
        " format is answered with `This response_format type is unavailable now`;"
        " github.com/deepseek-ai/DeepSeek-V3/issues/1376: with thinking, another `tool_choice` than"
        " auto or none is answered with `Thinking mode does not support this tool_choice`",
        forced=("deepseek-reasoner", "deepseek-v4-pro", "deepseek-v4-flash", "deepseek-flash"),
        known=frozenset(),
        limit=frozenset({"max_tokens"}),
        formats=frozenset({"text", "json_object"}),
        holds=False,
        thinks_in="field",
    ),
    "xai": Provider(
        too_long={
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 1000 but the request contains 2000"
            " tokens.",
        },
        source="docs.x.ai/developers/model-capabilities/text/reasoning: reasoning models refuse"
        " penalties and stop sequences",
        known=frozenset(),
        refused=frozenset({"presence_penalty", "frequency_penalty", "stop"}),
        thinks_in="field",
    ),
    "mistral": Provider(
        too_long={
            "object": "error",
            "message": "Prompt contains 2000 tokens and 0 draft tokens, too large for model with"
            " 1000 maximum context length",
            "type": "invalid_request_error",
            "code": "3051",
        },
        source="docs.mistral.ai/api (POST /v1/chat/completions); an unknown field is a 422 of type"
        " `extra_forbidden`",
        known=COMMON | {"max_tokens", "random_seed", "presence_penalty", "frequency_penalty", "n",
                        "prediction", "parallel_tool_calls", "prompt_mode", "safe_prompt",
                        "reasoning_effort"},
        limit=frozenset({"max_tokens"}),
        unknown_status=422,
        streams_usage_unasked=True,
    ),
    "openrouter": Provider(
        too_long={
            "error": {
                "message": "This endpoint's maximum context length is 1000 tokens. However, you"
                " requested about 2000 tokens.",
                "code": 400,
                "metadata": {"provider_name": None},
            }
        },
        source="openrouter.ai/docs/api/reference/parameters,"
        " openrouter.ai/docs/cookbook/administration/usage-accounting",
        known=frozenset(),
        holds=False,
        reports_cost=True,
        thinks_in="field",
    ),
    "azure": Provider(
        too_long=OPENAI_TOO_LONG,
        source="learn.microsoft.com/azure/foundry/openai (chat completions, api-version"
        " 2024-10-21; the deployment is in the path, the key in `api-key`)",
        known=OPENAI,
        refused=SAMPLING | {"stop"},
        limit=frozenset({"max_completion_tokens"}),
        strict=True,
        key_header="api-key",
        query={"api-version": "2024-10-21"},
    ),
    "ollama": Provider(
        too_long=invalid("the input length exceeds the context length"),
        source="docs.ollama.com/api/openai-compatibility: unknown fields are ignored, thinking of"
        " some models stands in the text",
        known=frozenset(),
        limit=frozenset({"max_tokens"}),
        thinks_in="tags",
    ),
}  # fmt: skip
