"""What OpenAI's and Anthropic's APIs have and the gateway does not, with what to do instead."""

from typing import Final

STORED: Final = "nothing is stored here; send the whole conversation to POST /v1/responses"
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
    "/v1/assistants": "assistants are not served; use POST /v1/responses",
    "/v1/threads": STORED,
    "/v1/completions": "it is not served; use POST /v1/chat/completions",
}
"""By the beginning of the path."""


def not_served(path: str) -> str | None:
    """What a 404 or a 405 says beyond its status."""
    for start, remedy in NOT_SERVED.items():
        if path == start or path.startswith(start + "/"):
            return remedy
    return None
