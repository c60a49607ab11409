"""Names in `.env` that look like a misspelt setting: what nobody reads is not missed by anyone."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from durable_agent_team.local_stack.stack_plan import StackSettings
from durable_agent_team.process.operator_settings import OperatorSettings
from durable_agent_team.process.settings import WorkerSettings

OF_THE_GATEWAY: Final = (
    "GATEWAY_BLOB_DAYS", "GATEWAY_BLOB_STORAGE_BYTES", "GATEWAY_DATABASE", "GATEWAY_HOST",
    "GATEWAY_IDLE_SECONDS", "GATEWAY_LEASE_SECONDS", "GATEWAY_MAX_ANSWER_BYTES",
    "GATEWAY_MAX_BLOB_BYTES", "GATEWAY_MAX_BODY_BYTES", "GATEWAY_MAX_CALL_SECONDS",
    "GATEWAY_MAX_STREAM_BYTES", "GATEWAY_MODELS", "GATEWAY_PARENT_KEY", "GATEWAY_PORT",
    "GATEWAY_PRICES", "GATEWAY_REQUEST_SECONDS", "GATEWAY_SECRET", "GATEWAY_SHUTDOWN_SECONDS",
    "UPSTREAM_API_KEY", "UPSTREAM_CIRCUIT_FAILURES", "UPSTREAM_TIMEOUT_SECONDS", "UPSTREAM_URL",
)  # fmt: skip
"""The gateway's settings, which this package may not import; a test compares them."""
OF_PROVIDERS: Final = (
    "ANTHROPIC_API_KEY", "ATXP_UPSTREAM_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT",
    "DEEPSEEK_API_KEY", "FIREWORKS_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "LM_STUDIO_API_KEY",
    "LM_STUDIO_URL", "MISTRAL_API_KEY", "OLLAMA_API_KEY", "OLLAMA_URL", "OPENAI_API_KEY",
    "OPENROUTER_API_KEY", "TOGETHER_API_KEY", "VLLM_API_KEY", "VLLM_URL", "XAI_API_KEY",
)  # fmt: skip
"""What the presets of upstreams read; a test compares them."""
OTHERS: Final = ("MCP_TOKEN", "POSTGRES_PASSWORD")
SETTINGS: Final = (WorkerSettings, OperatorSettings, StackSettings)
KNOWN: Final = frozenset(
    {
        *(name.upper() for kind in SETTINGS for name in kind.model_fields),
        *OF_THE_GATEWAY,
        *OF_PROVIDERS,
        *OTHERS,
    }
)
ALIKE: Final = 0.88
"""A ratio of `difflib`: a letter or two in a name, and no other setting's whole name."""


def misspelt_settings(names: Iterable[str]) -> list[str]:
    """A warning for each name that is no setting and nearly one."""
    found = []
    for name in names:
        if name.upper() in KNOWN or name.upper().startswith("OTEL_"):
            continue
        if near := get_close_matches(name.upper(), sorted(KNOWN), 1, ALIKE):
            found.append(f"warning: .env: {name} is no setting; did you mean {near[0]}?")
    return found
