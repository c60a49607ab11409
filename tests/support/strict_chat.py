"""What a strict provider refuses of a chat completion with tools, and scripted messages of models.

After OpenAI's API reference, "Create chat completion": an assistant message with `tool_calls` must
be followed by tool messages responding to each `tool_call_id`; `content` may be null only beside
`tool_calls`; names match `^[a-zA-Z0-9_-]{1,64}$`; `tool_choice` is only allowed with `tools`; and
after what Anthropic, Gemini, Mistral and Groq refuse at their compatible endpoints: calls whose
arguments are no JSON object, and a `response_format` beside `tools`.
"""

import json
import re
from typing import Any

NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


def problem_of(body: dict[str, Any]) -> str | None:
    """Why the provider answers 400; None where it does not."""
    tools = body.get("tools")
    if tools is None and "tool_choice" in body:
        return "tool_choice is only allowed when tools are specified"
    if tools is not None and "response_format" in body:
        return "response_format cannot be combined with tools"
    for tool in tools or ():
        function = tool["function"]
        if tool["type"] != "function" or not NAME.match(function["name"]):
            return f"invalid tool {tool}"
        if function["parameters"].get("type") != "object":
            return f"parameters of {function['name']} are no object"
    return _messages_problem(body["messages"])


def _messages_problem(messages: list[dict[str, Any]]) -> str | None:
    open_ids: list[str] = []
    used: set[str] = set()
    for message in messages:
        role = message["role"]
        if role == "tool":
            if message["tool_call_id"] not in open_ids:
                return f"no call {message['tool_call_id']} to respond to"
            open_ids.remove(message["tool_call_id"])
            continue
        if open_ids:
            return f"tool_call_ids did not have response messages: {open_ids}"
        calls = message.get("tool_calls", [])
        if message["content"] is None and not calls:
            return "content is null"
        if "tool_calls" in message and not calls:
            return "tool_calls is empty"
        for call in calls:
            if call["id"] in used or not call["id"]:
                return f"the id {call['id']!r} is not unique"
            used.add(call["id"])
            open_ids.append(call["id"])
            if not NAME.match(call["function"]["name"]):
                return f"invalid name {call['function']['name']!r}"
            if not isinstance(json.loads(call["function"]["arguments"]), dict):
                return "arguments are no object"
    return f"tool_call_ids did not have response messages: {open_ids}" if open_ids else None


def completion(message: dict[str, Any], finish_reason: str = "stop") -> dict[str, Any]:
    """The body of a chat completion with this message."""
    return {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def calling(*named: tuple[str, Any], content: str | None = None, **fields: Any) -> dict[str, Any]:
    """A message that calls these tools; arguments are JSON or, as a text, taken as they are."""
    made = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for number, (name, arguments) in enumerate(named)
    ]
    return {"role": "assistant", "content": content, "tool_calls": made, **fields}
