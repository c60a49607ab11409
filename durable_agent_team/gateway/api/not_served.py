"""What the APIs of providers have and the gateway does not, with what to do instead: mostly the
setting by which a client or a framework uses a door that is served."""

import re
from typing import Final

from durable_agent_team.gateway.api.door_path import PREFIX, door_path

CHAT_SETTINGS: Final = (
    "for chat completions, set OpenAIChatCompletionsModel in the OpenAI Agents SDK,"
    " use_responses_api=False in LangChain, OpenAIChatModel in Pydantic AI,"
    " OpenAIChatCompletionClient in AutoGen and the Agent Framework,"
    " createOpenAICompatible in the AI SDK and Mastra"
)
STORED: Final = (
    "nothing is stored here; send the whole conversation to POST /v1/responses with store: false;"
    f" or, {CHAT_SETTINGS}"
)
TEXT_ONLY: Final = (
    "only text and images as input of a chat can be bounded in cost, so it is not served; use a"
    " chat model by POST /v1/chat/completions, without the client's settings for voice and images"
    " (in the OpenAI Agents SDK, Agent and Runner instead of RealtimeAgent or VoicePipeline)"
)
OWN_API: Final = (
    "this provider's own API is not served; use its OpenAI-compatible client, with the gateway's"
    f" address, which ends in /v1, as base_url; {CHAT_SETTINGS}"
)
BASE_URL: Final = (
    "the base_url of an OpenAI client ends in /v1 here, that of an Anthropic client does not: it"
    " adds /v1/messages by itself"
)
SCOPED_ADDRESS: Final = (
    "below /scopes the address is /scopes/SCOPE/ATTEMPT/v1/chat/completions (or responses,"
    " messages, embeddings, models), with a number from 1 as the attempt; everything else is served"
    " without a scope"
)
NO_ATTEMPT: Final = re.compile(r"/scopes/[^/]*/v1/")
NOT_SERVED: Final = {
    "/v1/messages/count_tokens": (
        "tokens are not counted here; the bound of a call is its size in bytes (GET /v1/models has"
        " what is added to it), and the answer's `usage` has the tokens"
    ),
    "/v1/messages/batches": "batches are not served; send each request to POST /v1/messages",
    "/v1/batches": "batches are not served; send each request by itself",
    "/v1/responses": STORED,
    "/v1/conversations": STORED,
    "/v1/files": "files are not stored here; send their content in the request",
    "/v1/uploads": "files are not stored here; send their content in the request",
    "/v1/vector_stores": (
        "nothing is stored here; make embeddings by POST /v1/embeddings, and search in the agent"
    ),
    "/v1/assistants": f"assistants are not served; use POST /v1/responses; or, {CHAT_SETTINGS}",
    "/v1/threads": STORED,
    "/v1/containers": "tools that the provider runs are not served; run tools in the agent",
    "/v1/realtime": TEXT_ONLY,
    "/v1/audio": TEXT_ONLY,
    "/v1/images": TEXT_ONLY,
    "/v1/videos": TEXT_ONLY,
    "/v1/moderations": (
        "it is not served; set the client's moderation or guardrails off, or ask a chat model"
    ),
    "/v1/fine_tuning": "models are not trained here; name a model of GET /v1/models",
    "/v1/traces": (
        "traces are not taken here; set OPENAI_AGENTS_DISABLE_TRACING=1, or"
        " set_tracing_disabled(True)"
    ),
    "/v1/completions": (
        "it is not served; use POST /v1/chat/completions (in LangChain, ChatOpenAI instead of"
        " OpenAI)"
    ),
    "/v1/complete": "it is not served; use POST /v1/messages",
    "/v1/v1": BASE_URL,
    "/chat/completions": BASE_URL,
    "/responses": BASE_URL,
    "/embeddings": BASE_URL,
    "/messages": BASE_URL,
    "/v1beta": OWN_API,
    "/v1alpha": OWN_API,
    "/api": OWN_API,
    "/openai": OWN_API,
    "/model": OWN_API,
}
"""By the beginning of the path, without its scope."""


def not_served(path: str) -> str | None:
    """What a 404 or a 405 says beyond its status."""
    if NO_ATTEMPT.match(path):
        return SCOPED_ADDRESS
    door = door_path(path)
    for start, remedy in NOT_SERVED.items():
        if door == start or door.startswith(start + "/"):
            return remedy
    return SCOPED_ADDRESS if f"{path}/".startswith(PREFIX) else None
