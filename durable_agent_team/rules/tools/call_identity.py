"""When two calls of a tool are the same call: equal names, and equal arguments as JSON."""

import hashlib
import json

from durable_agent_team.contracts.conversation import ToolCall

SHORT = 32
"""Hex digits of the hash that are kept: 128 bits."""


def call_identity(call: ToolCall) -> str:
    """The same for calls whose arguments differ only in spaces, or in the order of keys."""
    try:
        arguments = json.dumps(json.loads(call.arguments), sort_keys=True, ensure_ascii=True)
    except (ValueError, RecursionError):
        arguments = call.arguments
    text = f"{call.name}\n{arguments}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:SHORT]
