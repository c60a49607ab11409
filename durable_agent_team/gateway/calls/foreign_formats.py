"""Answers in the format of another API than the upstream's URL or `speaks` says.

They were made and billed, so what they report as used is charged, once. They are not read: a
proxy that answers so would not have read a chat's tools, images or schema either. The operator
corrects the upstream.
"""

from typing import Any, Final

from durable_agent_team.gateway.api_error import ApiError

Json = dict[str, Any]
COHERE_EVENTS = ("message-start", "content-start", "content-delta", "message-end")
CONVERSE_EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "messageStop")
REMEDIES: Final = {
    "Gemini's generateContent": (
        "its API of chat completions is at https://generativelanguage.googleapis.com/v1beta/openai"
    ),
    "Amazon Bedrock's Converse": (
        "its API of chat completions is at https://bedrock-runtime.REGION.amazonaws.com/openai/v1"
    ),
    "Cohere's Chat": "its API of chat completions is at https://api.cohere.ai/compatibility/v1",
    "Ollama's chat": "its API of chat completions is at http://127.0.0.1:11434/v1",
    "Anthropic's Messages": 'or set `speaks = "messages"` there',
    "OpenAI's Responses": 'or set `speaks = "responses"` there',
}


def foreign_error(data: Json, begins: str) -> ApiError | None:
    """The error of an answer, or of an event of a stream, in another format; None for any other.
    `begins`: what the upstream has done, such as `The upstream answered 200`."""
    name = None if data.get("choices") else _format_of(data)
    if name is None:
        return None
    message = (
        f"{begins} in the format of {name} instead of that of chat completions, so its answer"
        " cannot be read. Correct the upstream's URL (UPSTREAM_URL, or `url` in the models file):"
        f" {REMEDIES[name]}"
    )
    return ApiError(502, "upstream_error", "upstream_format", message)


def _format_of(data: Json) -> str | None:
    kind, message = data.get("type"), data.get("message")
    if isinstance(data.get("candidates"), list) or isinstance(data.get("usageMetadata"), dict):
        return "Gemini's generateContent"
    output = data.get("output")
    is_output = isinstance(output, dict) and isinstance(output.get("message"), dict)
    if is_output or any(isinstance(data.get(each), dict) for each in CONVERSE_EVENTS):
        return "Amazon Bedrock's Converse"
    if kind == "message" or (kind == "message_start" and isinstance(message, dict)):
        return "Anthropic's Messages"
    if data.get("object") == "response" or str(kind).startswith("response."):
        return "OpenAI's Responses"
    if isinstance(message, dict) and "content" in message and "done" in data:
        return "Ollama's chat"
    if kind in COHERE_EVENTS or (isinstance(message, dict) and "content" in message):
        return "Cohere's Chat"
    return None
