"""What the scripted upstream says to an agent with a tool: first a call of it, then an answer."""

import json
from typing import Any

from tests.support.upstream import Received, Rule

TITLE = "The brakes squeal"
ANSWER = "We opened a ticket; the workshop will look at your brakes."
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
"""The same for each call, so that a call's price is known."""


def rules(tool: str = "open_ticket", *, seconds: float = 0.0) -> list[Rule]:
    """The rules of one model that calls `tool` once in each conversation.

    `seconds` is how long the answer after the tool's result takes.
    """
    call = _message(
        {
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": tool, "arguments": json.dumps({"title": TITLE})},
                }
            ],
        },
        "tool_calls",
    )
    return [
        Rule(match=lambda sent: offers(sent, tool) and not has_result(sent), body=call),
        Rule(match=has_result, text=ANSWER, usage=USAGE, latency=seconds),
        Rule(text=ANSWER, usage=USAGE),
    ]


def offers(sent: Received, tool: str) -> bool:
    tools = sent.body.get("tools") or []
    return any(each.get("function", {}).get("name") == tool for each in tools)


def has_result(sent: Received) -> bool:
    return any(each.get("role") == "tool" for each in sent.body.get("messages") or [])


def _message(message: dict[str, Any], reason: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [choice],
        "usage": USAGE,
    }
